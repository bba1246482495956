package cause

import (
	"fmt"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Abandon is how an operation was given up by the application.
type Abandon uint8

const (
	NotAbandoned Abandon = iota
	// AbandonCanceled: its context was cancelled.
	AbandonCanceled
	// AbandonDeadline: the deadline of its context passed.
	AbandonDeadline
)

func (a Abandon) String() string {
	switch a {
	case AbandonCanceled:
		return "cancelled"
	case AbandonDeadline:
		return "deadline exceeded"
	}
	return "not abandoned"
}

// abandonedRules are about this side giving up an operation that the server is
// still busy with. Nothing is wrong with the protocol.
var abandonedRules = []rule{
	{
		slug:     "abandoned",
		severity: Notice,
		title:    "The operation was given up before its answer was complete",
		signs: when(
			fact{is: "the context of the operation ended while its command was unanswered", holds: func(e *Evidence) bool {
				return e.Abandoned != NotAbandoned
			}},
		),
		explain: func(e *Evidence) string {
			if e.Phase.Connecting() {
				how := "The context of the connect was cancelled"
				if e.Abandoned == AbandonDeadline {
					how = "The deadline of the connect's context passed"
				}
				before := "the login was over"
				if e.Phase == session.PhaseGreeting {
					before = "the server had greeted"
				}
				return fmt.Sprintf("%s %s after the connection was made, before %s. The driver closed the connection; no statement had been sent on it.", how, dur(e.Age), before)
			}
			how := "The context of the operation was cancelled"
			if e.Abandoned == AbandonDeadline {
				how = "The deadline of the operation's context passed"
			}
			came := "before anything of the answer had come"
			if e.Phase == session.PhaseLocalInfile {
				return fmt.Sprintf("%s %s after %s had been sent, while the file of LOAD DATA LOCAL INFILE was on its way. The driver closed the connection. The server reads there, so it comes to the end of what was sent, and ends the statement; rows that it had by then may stay in a table without transactions.", how, dur(e.SinceCommand), what(e))
			}
			if begun(e) {
				came = "in the middle of the answer"
			}
			s := fmt.Sprintf("%s %s after %s had been sent, %s. The driver closed the connection. The server need not notice that before it writes to it, so the statement may go on running there", how, dur(e.SinceCommand), e.Command, came)
			if e.InTransaction {
				s += ", and the transaction keeps its locks until then"
			}
			return s + "."
		},
		advise: func(e *Evidence) string {
			if neverGreeted(e) {
				return "Look for a proxy or balancer without a backend that works, a server that hangs, has no thread for the connection or looks up the client's name (skip_name_resolve), and for another protocol on this port, in which the client speaks first."
			}
			if e.Phase == session.PhaseLocalInfile {
				return "Check what was loaded before you load it again. Give a load a longer deadline, or load in smaller pieces; look for a reader that is slow, and for waits on locks."
			}
			if e.Phase.Connecting() {
				return "If it happens often, find what makes logins slow: the timing of the packets says which side was waited for. Keep more connections open, so that requests need not wait for a login: SetMaxIdleConns defaults to 2."
			}
			return "To end the statement, KILL the connection on the server. Give statements a limit there that is below the deadline here: max_execution_time (MySQL, of a SELECT) or max_statement_time (MariaDB). Check what was done before you run it again. If it happens often, look for slow statements and for waits on locks."
		},
		executed: ifSent,
	},
}

// neverGreeted reports whether a connect was given up by somebody who had waited for the
// greeting for so long that it is not a matter of pace.
func neverGreeted(e *Evidence) bool {
	return e.Phase == session.PhaseGreeting && e.Age >= time.Second
}
