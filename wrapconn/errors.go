package wrapconn

import (
	"fmt"
	"io"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// ProtocolError is the error of an operation during which the conversation
// broke. It wraps the client's own error, so errors.Is and errors.As find what
// they would find without it.
//
// Its text is one line of at most [MaxErrorLine] characters. The format %+v
// prints the whole report, as [Report.String] does.
type ProtocolError struct {
	Report *Report
	Err    error // the client's error; nil if the connection itself returned this one
}

// Error returns one line: the client's own error, the cause, where it happened,
// whether the statement was executed, what to do, and the name of the cause.
func (e *ProtocolError) Error() string { return e.Report.line(e.Err) }

// Format implements fmt.Formatter: %+v adds the report.
func (e *ProtocolError) Format(f fmt.State, verb rune) { format(f, verb, e, e.Report) }

func (e *ProtocolError) Unwrap() error { return e.Err }

// ErrorType returns the slug of the cause; semconv's ErrorType picks it up.
func (e *ProtocolError) ErrorType() string { return string(e.Report.Cause.Slug) }

// OwnershipError is the error of an operation that was refused because another
// one is using the connection. Nothing was written; the other operation is not
// affected. It is never driver.ErrBadConn: a statement of a transaction must
// not be run elsewhere.
//
// Its text is one line of at most [MaxErrorLine] characters. The format %+v
// prints the whole report, as [Report.String] does.
type OwnershipError struct {
	Report *Report
}

// Error returns one line: what was refused, which operation is using the
// connection, what to do, and the name of the cause.
func (e *OwnershipError) Error() string { return e.Report.line(nil) }

// Format implements fmt.Formatter: %+v adds the report.
func (e *OwnershipError) Format(f fmt.State, verb rune) { format(f, verb, e, e.Report) }

// ErrorType returns the slug of the cause; semconv's ErrorType picks it up.
func (e *OwnershipError) ErrorType() string { return string(e.Report.Cause.Slug) }

// Both errors have a stable name.
var (
	_ interface{ ErrorType() string } = (*ProtocolError)(nil)
	_ interface{ ErrorType() string } = (*OwnershipError)(nil)
)

func format(f fmt.State, verb rune, err error, r *Report) {
	switch {
	case verb == 'v' && f.Flag('+'):
		_, _ = io.WriteString(f, err.Error()+"\n"+r.String())
	case verb == 'q':
		_, _ = fmt.Fprintf(f, "%q", err.Error())
	default:
		_, _ = io.WriteString(f, err.Error())
	}
}

// executed says in a few words whether the statement ran. A misuse or a login
// is not worth repeating as it is, so neither is called safe to repeat.
func executed(d *cause.Diagnosis) string {
	switch {
	case d.Standing:
		return ""
	case d.Executed == cause.ExecutedYes:
		return "It was executed."
	case d.Executed == cause.ExecutedUnknown:
		return "It may have been executed: check before you repeat it."
	case d.Lost:
		return "Not executed, and the transaction is lost."
	}
	return "Not executed."
}
