package cause

import (
	"fmt"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// unasked: there is a packet of the server that nobody asked for.
var unasked = fact{is: "a packet lay there that no outstanding command had asked for", holds: func(e *Evidence) bool {
	if e.BeforeCommand {
		// Found by the look before a command; an end of the stream is no packet.
		return e.Kind != session.KindUnknown || e.ServerError != nil || e.Violation == session.Unsolicited
	}
	return e.Violation == session.Unsolicited && !connecting.holds(e)
}}

// staleRules are about answers that may belong to another question. Every
// answer begins with number 1, so one that is left over passes every check of
// the numbers and is read as the answer to the next command: wrong data without
// an error.
var staleRules = []rule{
	{
		slug:     "stale_answer",
		severity: DataIntegrity,
		title:    "The answer to an earlier command was still unread",
		signs: []sign{
			{unasked, notSaid(transportCodes...), fact{is: "an earlier command never got the end of its answer", holds: earlier}},
			{waiting, fromServer, violation(session.UnexpectedKind, session.SequenceMismatch), fact{is: "an earlier command never got the end of its answer", holds: earlier}},
		},
		explain: func(e *Evidence) string {
			if e.BeforeCommand {
				return fmt.Sprintf("Before the next command was written, %s was waiting to be read, and an earlier command of this connection never got the end of its answer. The next command would have taken it for its own.", packet(e))
			}
			return fmt.Sprintf("%s came, which does not answer the present command, while an earlier command of this connection never got the end of its answer.", packet(e))
		},
		advise: func(*Evidence) string {
			return "The connection must not be used again. Look for what left the earlier answer unread: a read that was cancelled or recovered from a panic, a deadline, use by two goroutines, a driver that keeps a connection after an error. Check what earlier operations on this connection returned."
		},
		executed: ifSent,
	},
	{
		slug:     "unsolicited_packet",
		severity: DataIntegrity,
		title:    "The server sent a packet that nobody had asked for",
		signs:    when(unasked, notSaid(transportCodes...)),
		explain: func(e *Evidence) string {
			where := "While no command was outstanding"
			if e.BeforeCommand {
				where = "Before the next command was written"
			}
			return fmt.Sprintf("%s, %s was waiting to be read, although every command of this connection had got its whole answer. The next command would have taken it for its own.", where, packet(e))
		},
		advise: func(e *Evidence) string {
			return "A server does not do this: suspect a proxy that gives one client the answer of another, or sends one result too many" + version(e) + ". The connection must not be used again. Connect past the proxy and compare; report it to its makers with the packets of this report."
		},
		executed: ifSent,
	},
	{
		slug:     "mismatched_answer",
		severity: DataIntegrity,
		title:    "The answer does not belong to the command",
		signs: []sign{
			{waiting, fromServer, violation(session.UnexpectedKind), noERR},
			{waiting, fromServer, violation(session.SequenceMismatch), noERR},
		},
		explain: func(e *Evidence) string {
			if e.Violation == session.SequenceMismatch {
				return fmt.Sprintf("The first packet after %s has number %d, where an answer begins with %d: its head was lost, or it is the rest of another answer.", e.Command, e.Actual, e.Expected)
			}
			return fmt.Sprintf("After %s came %s, which cannot be an answer to it: it may be another command's.", e.Command, packet(e))
		},
		advise: func(e *Evidence) string {
			return "The connection must not be used again. Suspect a proxy that mixes or renumbers answers" + version(e) + ", and anything that reads this connection besides the driver. Connect past the proxy and compare."
		},
		executed: ifSent,
		others:   func(*Evidence) []Slug { return []Slug{"stale_answer", "unsolicited_packet", "peer_misnumbers_results"} },
	},
	{
		// A server that prepares a statement anew because its table changed
		// refuses if the number of columns is another one (ER_PS_REBIND,
		// sql/sql_prepare.cc, validate_metadata), so it never sends this.
		slug:     "prepared_metadata_stale",
		severity: DataIntegrity,
		title:    "The columns of a prepared statement are not those of its result",
		signs: when(fact{is: "a prepared statement was executed", holds: func(e *Evidence) bool { return e.Command == session.ComStmtExecute }},
			fact{is: "its result has another number of columns than was announced", holds: func(e *Evidence) bool {
				return e.PreparedColumns > 0 && e.ResultColumns > 0 && e.PreparedColumns != e.ResultColumns
			}}),
		explain: func(e *Evidence) string {
			return fmt.Sprintf("The statement was prepared with %s, its result has %d. A server does not send this: it prepares the statement anew or refuses (ER_PS_REBIND).", count(e.PreparedColumns, "column", "columns"), e.ResultColumns)
		},
		advise: func(e *Evidence) string {
			return "Suspect a proxy that keeps descriptions of prepared statements after ALTER TABLE" + version(e) + ": clear its cache or restart it, and update it. Naming the columns instead of SELECT * avoids it."
		},
		executed: func(*Evidence) Executed { return ExecutedYes },
		others:   func(*Evidence) []Slug { return []Slug{"stale_answer"} },
	},
	{
		slug:     "late_kill_query",
		severity: Error,
		title:    "A KILL QUERY meant for an earlier statement hit this one",
		signs: when(said(erInterrupted), fact{is: "KILL QUERY for this connection was written before this command", holds: func(e *Evidence) bool {
			return e.SinceKill > 0 && e.SinceKill > e.SinceCommand
		}}),
		explain: func(e *Evidence) string {
			return fmt.Sprintf("The statement was interrupted (%s). This process had sent KILL QUERY for this connection %s before it wrote the statement: it was meant for an earlier one and came too late.", e.err(), dur(e.SinceKill-e.SinceCommand))
		},
		advise: func(*Evidence) string {
			return "After KILL QUERY give the connection up, or send a statement that may be interrupted (DO 0) before it is used again. Cancelling through the context, as the driver does it, closes the connection and cannot hit another statement."
		},
		executed: maybe,
	},
}

// packet names the packet that came: its kind and size, or the server's words.
func packet(e *Evidence) string {
	if e.ServerError != nil {
		return "an ERR (" + e.words() + ")"
	}
	what := "a packet"
	switch e.Kind {
	case session.KindUnknown:
	case session.KindOK, session.KindEOF:
		what = "an " + e.Kind.String()
	default:
		what = "a packet (" + e.Kind.String() + ")"
	}
	return fmt.Sprintf("%s of %s", what, count(int(e.Length), "byte", "bytes"))
}
