package report

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Violation is a finding with its cause, ready to be told.
type Violation struct {
	Cause    cause.Diagnosis
	Finding  conversation.Finding
	Server   string // address
	Started  time.Time
	Number   int      // of the connection, in this run; 0 if they are not counted
	Notes    []string // what limits the claim, beside the cause itself
	TraceID  string   // of the trace that the client's statement carried
	ParentID string
}

// Client is who was at the other end.
func (v *Violation) Client() cause.Client { return v.Finding.Evidence.Client }

// Quiet reports whether it is too ordinary to be told one by one.
func (v *Violation) Quiet() bool {
	e := &v.Finding.Evidence
	return e.BeforeCommand && e.ServerError == nil && e.Violation == session.Truncated && e.Stream == cause.StreamEOF
}

// numbered reports whether the violation is one of sequence ids, so that the two
// numbers say something.
func (v *Violation) numbered() bool {
	switch v.Finding.Evidence.Violation {
	case session.SequenceMismatch, session.MisnumberedError:
		return true
	}
	return false
}
