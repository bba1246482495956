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
			{unasked, notSaid(transportCodes...), fact{is: "what was taken for the last answer had begun sooner than half of the least round trip after its command", holds: (*Evidence).tooEarly}},
			{violation(session.CommandDuringAnswer), fact{is: "the operation that sent the earlier command was over", holds: func(e *Evidence) bool {
				return e.Watched && e.Ownership == OwnershipNone
			}}},
			{waiting, fromServer, violation(session.UnexpectedKind, session.SequenceMismatch), fact{is: "an earlier command never got the end of its answer", holds: earlier}},
		},
		explain: func(e *Evidence) string {
			if e.Violation == session.CommandDuringAnswer {
				return fmt.Sprintf("When %s was to be written, an earlier command of this connection had not got the end of its answer, although its operation was over. The next command would have read the rest as its own answer.%s", e.Command, refused(e))
			}
			if unasked.holds(e) && !earlier(e) {
				return fmt.Sprintf("%s is left over, although every command seemed to have got its whole answer: the answers of this connection are shifted, and what %s returned belongs to an earlier question.", packet(e), what(e))
			}
			if e.BeforeCommand {
				return fmt.Sprintf("Before the next command was written, %s was waiting to be read, and an earlier command of this connection never got the end of its answer. The next command would have read it as its own answer.", packet(e))
			}
			return fmt.Sprintf("%s came, which does not answer the present command, while an earlier command of this connection never got the end of its answer.", packet(e))
		},
		advise: func(e *Evidence) string {
			return "The connection must not be used again. Look for what left the earlier answer unread: a read that was cancelled or recovered from a panic, a deadline, use by two " + e.inGo("goroutines", "threads or tasks") + ", a driver that keeps a connection after an error. Check what earlier operations on this connection returned."
		},
		executed: ifSent,
	},
	{
		// Seen of go-mysql-server 0.20: the second of three statements fails, and
		// the result of the third follows its ERR, numbered on.
		slug:     "continued_after_error",
		severity: DataIntegrity,
		title:    "The peer went on with a further result after a statement had failed",
		signs: when(unasked, fromServer, noERR, fact{is: "the last answer ended with an ERR", holds: func(e *Evidence) bool { return e.LastError != nil }},
			fact{is: "the packet is numbered on from that ERR", holds: func(e *Evidence) bool { return e.Actual == e.LastNumber+1 && e.Actual > 1 && !e.Compressed }},
			guard("no earlier command is without its end", func(e *Evidence) bool { return !earlier(e) })),
		explain: func(e *Evidence) string {
			return fmt.Sprintf("The answer to %s had ended with %s. Then came %s with number %d, counted on from that ERR: the peer went on to the next of several statements, where the protocol ends the answer. The next command would have read it as its own answer.", what(e), lastWords(e), packet(e), e.Actual)
		},
		advise: func(e *Evidence) string {
			return "The peer has a fault" + version(e) + ": report it to its makers. Until then send statements one at a time (" + e.inGo("without multiStatements", "not several in one command") + "). The connection must not be used again; statements behind the one that failed may have been run."
		},
		executed: ifSent,
		others:   func(*Evidence) []Slug { return []Slug{"unsolicited_packet"} },
	},
	{
		slug:     "unsolicited_packet",
		severity: DataIntegrity,
		title:    "The server sent a packet that nobody had asked for",
		signs:    when(unasked, notSaid(transportCodes...)),
		explain: func(e *Evidence) string {
			if behindAnswer(e) {
				return fmt.Sprintf("Behind the answer to %s came %s, which nobody had asked for. An answer does not say which command it belongs to, so either may be the command's own: what it returned must not be trusted.%s", e.Command, packet(e), wrongEnd(e))
			}
			where := "While no command was outstanding"
			if e.BeforeCommand {
				where = "Before the next command was written"
			}
			return fmt.Sprintf("%s, %s was waiting to be read, although every command of this connection had got its whole answer. The next command would have read it as its own answer.%s", where, packet(e), wrongEnd(e))
		},
		advise: func(e *Evidence) string {
			return "A server does not do this. Suspect a proxy that gives one client the answer of another, or sends one result too many" + version(e) + ". The connection must not be used again. Connect past the proxy and compare; report it to its makers with the packets of this report."
		},
		executed: ifSent,
	},
	{
		slug:     "mismatched_answer",
		severity: DataIntegrity,
		title:    "The answer does not belong to the command",
		signs: []sign{
			{waiting, fromServer, violation(session.UnexpectedKind), noERR, notPrepared},
			{waiting, fromServer, violation(session.SequenceMismatch), noERR, notCountedOn},
			// An ERR ends an answer anywhere; with a wrong number it is counted wrongly.
			{answering, fromServer, numberWrong, anotherHead, noERR},
		},
		explain: func(e *Evidence) string {
			if answering.holds(e) {
				return fmt.Sprintf("In the middle of the answer to %s came %s with number %d, where %d was due: an exchange begins with such a number, so another answer came in between.", e.Command, packet(e), e.Actual, e.Expected)
			}
			if e.Violation == session.SequenceMismatch {
				return fmt.Sprintf("The first packet after %s has number %d, where an answer begins with %d: its head was lost, or it is the rest of another answer.", e.Command, e.Actual, e.Expected)
			}
			return fmt.Sprintf("After %s came %s, which cannot be an answer to it: it may be another command's.", e.Command, packet(e))
		},
		advise: func(e *Evidence) string {
			return "The connection must not be used again. Suspect a proxy that mixes or renumbers answers" + version(e) + ", and anything that reads this connection besides its client. Connect past the proxy and compare."
		},
		executed: ifSent,
		others:   func(*Evidence) []Slug { return []Slug{"stale_answer", "unsolicited_packet", "peer_misnumbers_results"} },
	},
}

// wrongEnd says that packets nobody asked for may be the rows of an earlier result.
func wrongEnd(e *Evidence) string {
	if !e.ClassicEOF {
		return ""
	}
	return " A result of this connection ended with an EOF packet although both sides had agreed on OK in its place (CLIENT_DEPRECATE_EOF): if another one stood behind its columns, it was read as the end of an empty result, and these are its rows."
}

// anotherHead tells the first packet of an answer inside another from a packet
// that was counted wrongly; where one packet was lost, the ids may wrap to the same.
var anotherHead = fact{is: "the packet has the number with which an exchange begins", holds: func(e *Evidence) bool {
	switch e.Phase {
	case session.PhaseColumns, session.PhaseRows, session.PhasePrepare:
		return e.Actual <= 1 && e.Distance() != -1
	}
	return false
}}

// countedOn: the packet has the number that it would have if the peer had never
// begun to count anew for this command, which was number 0.
func countedOn(e *Evidence) bool {
	return !e.Compressed && e.Actual == e.LastNumber+2 && e.Actual > 1 && !earlier(e)
}

var notCountedOn = guard("its number does not count on from the exchange before", func(e *Evidence) bool { return !countedOn(e) })

// plainOK: a PREPARE was answered by an ordinary OK, and everything before it had
// got its answer.
func plainOK(e *Evidence) bool {
	return e.Command == session.ComStmtPrepare && e.Kind == session.KindOK && e.Violation == session.UnexpectedKind && !earlier(e)
}

var notPrepared = guard("it is not a PREPARE that was answered by an OK", func(e *Evidence) bool { return !plainOK(e) })

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
	return fmt.Sprintf("%s of %s", what, count(e.Length, "byte", "bytes"))
}
