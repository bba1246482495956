package cause

import (
	"fmt"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// clientEnded: seen by others only.
var clientEnded = fact{is: "the client's side ended first", holds: func(e *Evidence) bool {
	return e.Direction == session.FromClient && e.Stream != StreamOpen && e.Violation == session.Truncated
}}

// turnedAway: the client ended at a step of the authentication that was its own, and
// at once. Who waits for a server does not end there: it is how client libraries end
// a login that they cannot, or may not, go on with, as the protocol has no word for
// that. MySQL manual, "New Authentication Method Not Known by Client".
var turnedAway = fact{is: "the server had said how it wants the client to log in, and the client left at once", holds: func(e *Evidence) bool {
	return clientEnded.holds(e) && e.AuthDue && !e.InsidePacket && e.OwnPause < time.Second
}}

// refusedTLS: the client said why it ended TLS. Whatever its server does then, and
// whose end is seen first, is the consequence.
var refusedTLS = fact{is: "the client had ended TLS with an alert", holds: func(e *Evidence) bool {
	return connecting.holds(e) && e.ClientAlert != ""
}}

// clientRules are about a client that ended the connection: seen by a proxy or
// in a capture, never by the client itself.
var clientRules = []rule{
	{
		slug:     "client_left",
		severity: Error,
		title:    "The client ended the connection before it had all it was owed",
		signs: when(clientEnded,
			guard("it was not the answer to what the server wanted in the login", func(e *Evidence) bool { return !turnedAway.holds(e) && !refusedTLS.holds(e) })),
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
				return leftForTLS(e) + "Look at the client: a time limit of its own (connect timeout), a process that ended, or a health check that only knocks. The server counts such connections (Aborted_connects), and blocks a host after max_connect_errors of them."
			}
			return "Look at the client: a time limit of its own (read timeout, a request that was cancelled), or a process that ended. The server may have run the statement all the same: check before it is run again."
		},
		executed: func(e *Evidence) Executed {
			if e.InsidePacket && !partRan(e) || e.Phase == session.PhaseReady {
				return ExecutedNo // the command is not whole
			}
			return ifSent(e)
		},
		others: func(e *Evidence) []Slug {
			if leftForTLS(e) != "" {
				return []Slug{"tls_failed"}
			}
			return nil
		},
	},
}

// leftForTLS is what a client may have left for that said nothing, if it is about
// TLS; it ends with a space. A health check leaves at the same places.
func leftForTLS(e *Evidence) string {
	switch {
	case e.Phase == session.PhaseLogin && e.NoTLSOffered && e.OwnPause < time.Second:
		return "The server offers no TLS. A client that requires it hangs up like this, with an error of its own (ERROR 2026): MariaDB's clients of 11.4 and later do by default (ssl-verify-server-cert), others with ssl-mode=REQUIRED or the like. " +
			"If it is one of them, give the server a certificate, or switch that off in the client. Otherwise: "
	case e.Phase == session.PhaseTLS && e.OwnPause < time.Second:
		return "A client that does not trust the " + shown(e) + " certificate hangs up like this, with an error of its own: see what the client says of it (CA, name, date, a certificate that the " + strings.TrimSuffix(shown(e), "'s") + " has made for itself). Otherwise: "
	}
	return ""
}

// leftWhere says what was under way when the client ended.
func leftWhere(e *Evidence) string {
	switch p := e.Phase; {
	case p == session.PhaseGreeting:
		return dur(e.Age) + " after it was made, before the server had greeted"
	case p == session.PhaseTLS:
		return "in the handshake of TLS, or behind it and before its login"
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
