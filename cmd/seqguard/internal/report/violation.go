package report

import (
	"net"
	"slices"
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
	Sampled  bool // that trace is recorded

	// Local and Peer are the two ends of the connection to the server of who tells
	// it; nil for a capture.
	Local, Peer net.Addr
}

// Client is who was at the other end.
func (v *Violation) Client() cause.Client { return v.Finding.Evidence.Client }

// atOnce is how soon a client leaves that only knocks.
const atOnce = time.Second

// Quiet reports whether it is too ordinary to be told one by one: a client that
// connected and left at once without having said anything. Health checks of
// balancers do so every few seconds, and pools that are closed while they dial. One
// that waited is told: it may have given up on a server that does not greet.
func (v *Violation) Quiet() bool {
	e := &v.Finding.Evidence
	return v.Cause.Slug == "client_left" && (e.Phase == session.PhaseGreeting || e.Phase == session.PhaseLogin) && e.Age < atOnce && !e.InsidePacket &&
		!slices.ContainsFunc(v.Finding.History, func(p conversation.Packet) bool { return p.Direction == session.FromClient })
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
