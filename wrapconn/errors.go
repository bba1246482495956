package wrapconn

import (
	"fmt"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// ProtocolError is the error of an operation in whose course the conversation
// broke. It wraps the client's own error, so errors.Is and errors.As see what
// they would see without it.
type ProtocolError struct {
	Report *Report
	Err    error // the client's error; nil if the connection itself returned this one
}

// Error tells the cause first, the numbers after, in one line.
func (e *ProtocolError) Error() string {
	s := "seqguard: " + e.Report.Cause.Title + ": " + e.Report.Cause.Explanation
	if n := numbers(&e.Report.Evidence); n != "" {
		s += " [" + n + "]"
	}
	if e.Report.Cause.Advice != "" {
		s += " What to do: " + e.Report.Cause.Advice
	}
	s += " See " + cause.DocURL(e.Report.Cause.Slug)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ProtocolError) Unwrap() error { return e.Err }

// ErrorType returns the slug of the cause; semconv's ErrorType picks it up.
func (e *ProtocolError) ErrorType() string { return string(e.Report.Cause.Slug) }

// numbers are the facts of the wire that people grep for.
func numbers(e *cause.Evidence) string {
	switch e.Violation {
	case session.SequenceMismatch, session.MisnumberedError:
		s := fmt.Sprintf("%s with sequence id %d where %d was due, phase %s", e.Kind, e.Actual, e.Expected, e.Phase)
		if e.ServerError != nil {
			s = fmt.Sprintf("ERR %d (%s) with sequence id %d where %d was due, phase %s",
				e.ServerError.Code, e.ServerError.Message, e.Actual, e.Expected, e.Phase)
		}
		return s
	case session.None:
		return ""
	case session.Truncated:
		if e.ServerError == nil {
			return fmt.Sprintf("connection %s, phase %s", e.Stream, e.Phase)
		}
	}
	if e.ServerError != nil {
		return fmt.Sprintf("ERR %d (%s), phase %s", e.ServerError.Code, e.ServerError.Message, e.Phase)
	}
	return fmt.Sprintf("%s, phase %s", e.Violation, e.Phase)
}

// OwnershipError is the error of an operation that was refused because another
// one is using the connection. Nothing was written; the other operation is not
// affected. It is never driver.ErrBadConn: a statement of a transaction must
// not be run elsewhere.
type OwnershipError struct {
	Report *Report
}

// Error names both operations.
func (e *OwnershipError) Error() string {
	r := e.Report
	return fmt.Sprintf("seqguard: %s: %s (%s) refused on connection %d, in use by %s. %s What to do: %s See %s",
		r.Cause.Title, r.Intruder.Kind, siteOf(r.Intruder), r.Connection, r.Owner, r.Cause.Explanation, r.Cause.Advice, cause.DocURL(r.Cause.Slug))
}

// ErrorType returns the slug of the cause; semconv's ErrorType picks it up.
func (e *OwnershipError) ErrorType() string { return string(e.Report.Cause.Slug) }

func siteOf(o *Operation) string {
	if f, ok := o.Site(); ok {
		return fmt.Sprintf("%s:%d", shortFile(f.File), f.Line)
	}
	return "call site not recorded"
}
