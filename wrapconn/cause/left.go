package cause

import (
	"fmt"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// clientRules are about a client that ended the connection: seen by a proxy or
// in a capture, never by the client itself.
var clientRules = []rule{
	{
		slug:     "client_left",
		severity: Error,
		title:    "The client ended the connection before it had all it was owed",
		signs: when(
			fact{is: "the client's side ended first", holds: func(e *Evidence) bool {
				return e.Direction == session.FromClient && e.Stream != StreamOpen && e.Violation == session.Truncated
			}},
		),
		explain: func(e *Evidence) string {
			how := map[StreamEnd]string{StreamEOF: "closed the connection", StreamReset: "reset the connection"}[e.Stream]
			if how == "" {
				how = "was gone"
			}
			s := e.Client.String() + " " + how + " " + leftWhere(e) + "."
			if e.far() {
				s += " A device on the way that ends connections looks the same from here."
			}
			return s
		},
		advise: func(e *Evidence) string {
			if e.Phase.Connecting() {
				return "Look at the client: a time limit of its own (connect timeout), a process that ended, or a health check that only knocks. The server counts such connections (Aborted_connects), and blocks a host after max_connect_errors of them."
			}
			return "Look at the client: a time limit of its own (read timeout, a request that was cancelled), or a process that ended. The server may have run the statement all the same: check before it is run again."
		},
		executed: func(e *Evidence) Executed {
			if e.InsidePacket || e.Phase == session.PhaseReady {
				return ExecutedNo // the command is not whole
			}
			return ifSent(e)
		},
	},
}

// leftWhere says what was under way when the client ended.
func leftWhere(e *Evidence) string {
	switch p := e.Phase; {
	case p == session.PhaseGreeting:
		return dur(e.Age) + " after it was made, before the server had greeted"
	case p == session.PhaseTLS:
		return "in the handshake of TLS"
	case p == session.PhaseLogin:
		return dur(e.Age-e.GreetingAfter) + " after the server's greeting, before it had sent its login"
	case p == session.PhaseAuth && e.Command != session.ComChangeUser:
		return dur(e.SinceLogin) + " after it had sent its login, before the login was over"
	case p == session.PhaseLocalInfile:
		return "in the middle of the file that it was sending"
	case e.InsidePacket:
		return "in the middle of a command"
	case !begun(e):
		return fmt.Sprintf("%s after it had sent %s, before anything of the answer had come", dur(e.SinceCommand), e.Command)
	}
	return fmt.Sprintf("%s after it had sent %s, in the middle of the answer", dur(e.SinceCommand), e.Command)
}
