package cause

import (
	"fmt"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// netWriteTimeout is the default of the server's net_write_timeout, in MySQL
// and MariaDB: how long it tries to send to a client that does not read.
const netWriteTimeout = time.Minute

// largeCommand is the size from which a command without an answer may have been
// refused for it, and the refusal lost (MySQL Router does not pass ERR 1153 on):
// the least default that max_allowed_packet had in releases still met.
const largeCommand = 1 << 20

// answerRules are about an answer that breaks off, fails to come, or breaks the
// protocol while nothing else is known against it.
var answerRules = []rule{
	{
		slug:     "peer_misnumbers_results",
		severity: Error,
		title:    "The peer numbers the packets of its answers wrongly",
		signs: []sign{
			{loggedIn, fromServer, numberWrong, fact{is: "the answer had begun", holds: func(e *Evidence) bool { return answering.holds(e) }}},
			{waiting, fromServer, violation(session.MisnumberedError)},
		},
		explain: func(e *Evidence) string {
			return fmt.Sprintf("Within the answer to %s came %s with number %d where %d was due. Nothing else used the connection, so the peer counts wrongly, or packets of the answer were lost.", e.Command, packet(e), e.Actual, e.Expected)
		},
		advise: func(e *Evidence) string {
			return "A proxy, or a server that imitates MySQL, has a fault" + version(e) + ": often where one result follows another (multiStatements, CALL). Connect past it and compare, then update it."
		},
		executed: maybe,
	},
	{
		slug:     "malformed_packet",
		severity: Error,
		title:    "A packet is not what it should be",
		signs: []sign{
			{violation(session.Malformed, session.UnexpectedKind)},
			{phase(session.PhaseLogin), violation(session.Unsolicited), noERR},
		},
		explain: func(e *Evidence) string {
			if e.Violation != session.Malformed {
				return fmt.Sprintf("In phase %s came %s, which the protocol does not have there.", e.Phase, packet(e))
			}
			if e.RowsSent > 0 {
				return fmt.Sprintf("The answer to %s had %s, and the client read %d of them and took that for the end: a value in the next one is longer than its row. go-sql-driver gives no error then.", e.Command, count(int(e.RowsSent), "row", "rows"), e.RowsRead)
			}
			who := "The peer"
			if e.Direction == session.FromClient {
				who = "This side"
			}
			return fmt.Sprintf("%s sent %s whose content contradicts its first byte or its length (phase %s).", who, packet(e), e.Phase)
		},
		advise: func(e *Evidence) string {
			return "Suspect a proxy, or a server that imitates MySQL" + version(e) + ", that understands the agreed capabilities differently. Connect past it and compare; report it to its makers with the packets of this report."
		},
		executed: ifSent,
	},
	{
		slug:     "peer_unresponsive",
		severity: Error,
		title:    "The server did not answer within the time limit",
		signs:    []sign{{waiting, timedOut, noERR}, {answering, timedOut, noERR}},
		explain: func(e *Evidence) string {
			if answering.holds(e) {
				return fmt.Sprintf("The answer to %s had begun, then nothing more came until the time limit of this side ran out, %s after the command was sent.", what(e), dur(e.SinceCommand))
			}
			if e.Unsent > 0 {
				return fmt.Sprintf("The server did not take %s: %s were left when the time limit of this side ran out, %s after it was begun.", what(e), count(e.Unsent, "byte", "bytes"), dur(e.SinceCommand))
			}
			return fmt.Sprintf("%s was sent, not one byte came back and nothing was closed, until the time limit of this side ran out after %s.", what(e), dur(e.SinceCommand))
		},
		advise: func(e *Evidence) string {
			s := "Either the statement takes longer than the limit (readTimeout or writeTimeout in the DSN, the context's deadline): look for it in SHOW PROCESSLIST, it may still run there. " +
				"Or the path is dead: a firewall or NAT that forgot an idle connection drops silently; set SetConnMaxIdleTime below its limit."
			if e.Compressed && e.Commands <= 1 {
				// MySQL Router in passthrough mode without TLS was seen to hang here.
				s = "This was the first command after compression was agreed: a proxy that does not follow the compressed protocol hangs here. Take compress=true out of the DSN. " + s
			}
			return s
		},
		executed: ifSent,
	},
	{
		slug:     "closed_before_answer",
		severity: Error,
		title:    "The connection ended before the command was answered",
		signs:    when(waiting, ended, noERR),
		explain: func(e *Evidence) string {
			if e.Unsent > 0 {
				return fmt.Sprintf("While %s was being sent the connection was %s, with %s not sent. The server cannot have run what it did not get whole.", what(e), e.ending(), count(e.Unsent, "byte", "bytes"))
			}
			return fmt.Sprintf("%s was sent whole; %s later the connection was %s without a byte of an answer.", what(e), dur(e.SinceCommand), e.ending())
		},
		advise: func(e *Evidence) string {
			if e.Unsent > 0 {
				return "If the command is large, compare it with max_allowed_packet of the server and with the proxy's limit: their refusal is often lost in the reset. Otherwise look for a restart, KILL, or a proxy's limit at this moment."
			}
			large := ""
			if e.CommandBytes >= largeCommand {
				large = fmt.Sprintf("The command took %s on the wire: compare that with max_allowed_packet of the server and with the proxy's limit, whose refusal may have been lost. ", count(int(e.CommandBytes), "byte", "bytes"))
			}
			return large + "Whether the statement was run cannot be known from here: check before you run it again, or make it safe to repeat. Look into the server's error log (crash, restart, out of memory), for KILL, and for a limit of a proxy on the duration of a statement."
		},
		executed: ifSent,
		others: func(e *Evidence) []Slug {
			out := []Slug{"connection_killed", "server_shutdown"}
			if e.Unsent > 0 || e.CommandBytes >= largeCommand {
				out = append(out, "packet_too_large")
			}
			if e.Idle >= time.Second {
				// The end may have crossed the command.
				out = append(out, "closed_while_idle", "idle_timeout")
			}
			return out
		},
	},
	{
		slug:     "slow_reader",
		severity: Error,
		title:    "This process read the result too slowly and the server gave up",
		signs: []sign{
			{loggedIn, said(erWriteInterrupted)},
			{answering, ended, noERR, fact{is: "this process paused between two reads for as long as net_write_timeout, 60 s by default", holds: func(e *Evidence) bool { return e.LongestReadGap >= netWriteTimeout }}},
			// A server that is done with writing ends between packets. One that
			// is cut off inside a packet was writing, and with a reader that
			// keeps up that takes no time.
			{answering, ended, noERR, fact{is: "the answer ends inside a packet", holds: func(e *Evidence) bool { return e.InsidePacket }},
				fact{is: "this process spent most of the answer's time, and at least 1 s, in one pause between two reads", holds: func(e *Evidence) bool {
					return e.LongestReadGap >= time.Second && e.LongestReadGap > e.SinceCommand/2
				}}},
		},
		explain: func(e *Evidence) string {
			if e.ServerError != nil {
				return fmt.Sprintf("The server could not get rid of the result and gave up (%s). The longest pause of this process between two reads was %s.", e.err(), dur(e.LongestReadGap))
			}
			return fmt.Sprintf("In the middle of a result the connection was %s. This process had paused for %s between two reads; a server that cannot send for net_write_timeout gives up.", e.ending(), dur(e.LongestReadGap))
		},
		advise: func(*Evidence) string {
			return "Do less between two rows.Next(): read the rows into memory first, or fetch in pages (WHERE id > ? ORDER BY id LIMIT n), and do slow work after rows.Close(). Raise net_write_timeout (60 s by default) for the session if the pace must be kept."
		},
		executed: maybe,
		others: func(e *Evidence) []Slug {
			if e.ServerError != nil {
				return nil
			}
			return []Slug{"connection_lost_mid_answer"}
		},
	},
	{
		slug:     "connection_lost_mid_answer",
		severity: Error,
		title:    "The connection ended in the middle of an answer",
		signs:    []sign{{answering, ended, noERR}, {phase(session.PhaseEvents, session.PhaseClone), ended, noERR}},
		explain: func(e *Evidence) string {
			where := "between two packets"
			if e.InsidePacket {
				where = "inside a packet"
			}
			if e.Phase == session.PhaseEvents {
				return fmt.Sprintf("The binary log that %s asked for stopped %s: the connection was %s, %s after the command was sent. It has an end only for a client that does not want to wait.", e.Command, where, e.ending(), dur(e.SinceCommand))
			}
			return fmt.Sprintf("The answer to %s broke off %s (phase %s): the connection was %s, %s after the command was sent.", what(e), where, e.Phase, e.ending(), dur(e.SinceCommand))
		},
		advise: func(e *Evidence) string {
			if e.Phase == session.PhaseEvents {
				return "A replica connects again by itself and goes on where it was. If it happens again and again, look for a second replica with the same server_id (the source ends the thread of the first one), for KILL of its thread there, and for a proxy's limit on the duration of a statement."
			}
			return "What was read is not the whole result: discard it. Look into the error log of the server and the proxy at this moment: a crash, restart or failover, KILL, or a limit on the duration or size of a result. A SELECT may be run again; check a statement that changes data first."
		},
		executed: ifSent,
		others: func(e *Evidence) []Slug {
			out := []Slug{"server_shutdown", "connection_killed"}
			if e.LongestReadGap >= time.Second {
				out = append(out, "slow_reader")
			}
			return out
		},
	},
}

// what names the command that is out.
func what(e *Evidence) string {
	if e.Command == session.ComSleep {
		return "the command" // nobody sends COM_SLEEP: it was not seen
	}
	return e.Command.String()
}
