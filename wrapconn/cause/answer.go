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
// refused for it, and the refusal lost (a reset may overtake ERR 1153): the least
// default that max_allowed_packet had in releases still met.
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
			// npm mysql2's createServer: one counter for the whole connection.
			{waiting, fromServer, violation(session.SequenceMismatch), noERR, fact{is: "its number counts on from the exchange before", holds: countedOn}},
		},
		explain: func(e *Evidence) string {
			if countedOn(e) && !answering.holds(e) && e.ServerError == nil {
				return fmt.Sprintf("The answer to %s begins with number %d where %d was due: the peer counts on from the exchange before (its last packet had %d) where each command begins anew. If the exchange before was not all of it, this may also be the rest of another answer.", e.Command, e.Actual, e.Expected, e.LastNumber)
			}
			s := fmt.Sprintf("Within the answer to %s came %s with number %d where %d was due. Nothing else used the connection, so the peer counts wrongly, or packets of the answer were lost.", e.Command, packet(e), e.Actual, e.Expected)
			if anotherHead.holds(e) {
				s += " An exchange begins with such a number, so it may also be the answer to another command."
			}
			return s
		},
		advise: func(e *Evidence) string {
			return "A proxy, or a server that imitates MySQL, has a fault" + version(e) + ": often where one result follows another (" + e.inGo("multiStatements", "several statements in one command") + ", CALL). Connect past it and compare, then update it."
		},
		executed: maybe,
		others: func(e *Evidence) []Slug {
			if anotherHead.holds(e) || countedOn(e) {
				return []Slug{"mismatched_answer"}
			}
			return nil
		},
	},
	{
		slug:     "not_prepared",
		severity: Error,
		title:    "The server answered a PREPARE with a plain OK",
		signs:    when(waiting, fromServer, fact{is: "a PREPARE was answered by an ordinary OK, with nothing else outstanding", holds: plainOK}),
		explain: func(e *Evidence) string {
			return fmt.Sprintf("COM_STMT_PREPARE was answered by %s, which names no prepared statement. Every earlier command had got its answer, so this server has no prepared form of the statement%s, or a proxy ran it instead of preparing it. It may also be the answer to another command.", packet(e), version(e))
		},
		advise: func(e *Evidence) string {
			return e.inGo("Send the statement without arguments, or with interpolateParams=true in the DSN, so that it is not prepared", "Send it as an ordinary statement, not prepared on the server") + ". Whether it was run cannot be known from here: a server or proxy that answers so may have done it. If the same statement is prepared without trouble past the proxy, it is the proxy's fault."
		},
		executed: maybe,
		others:   func(*Evidence) []Slug { return []Slug{"mismatched_answer"} },
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
			if e.Unread {
				return unreadAnswer(e)
			}
			if e.Violation != session.Malformed {
				return fmt.Sprintf("In phase %s came %s, which the protocol does not have there.", e.Phase, packet(e)) + ofAnother(e)
			}
			if e.RowsSent > 0 {
				return fmt.Sprintf("The answer to %s had %s, and the client read %d of them and took that for the end: a value in the next one is longer than its row. go-sql-driver gives no error then.", e.Command, count(e.RowsSent, "row", "rows"), e.RowsRead)
			}
			who := "The peer"
			if e.Direction == session.FromClient {
				who = capital(e.who())
			}
			return fmt.Sprintf("%s sent %s whose content contradicts its first byte or its length (phase %s).", who, packet(e), e.Phase) + ofAnother(e)
		},
		advise: func(e *Evidence) string {
			cache := ""
			if e.MariaDB && (e.Command == session.ComQuery || e.Command == session.ComStmtExecute) {
				// Seen with MariaDB 10.11 and 11.8: its cache keeps packets, and not all that two clients have agreed on differently.
				cache = " MariaDB's query cache may have answered with what it had kept for a client of another kind: if SELECT @@query_cache_type is not OFF, try with SET SESSION query_cache_type = OFF."
			}
			return "Suspect a proxy, or a server that imitates MySQL" + version(e) + ", that understands the agreed capabilities differently. Connect past it and compare; report it to its makers with the packets of this report." + cache
		},
		executed: func(e *Evidence) Executed {
			switch {
			case !e.Unread || e.Phase != session.PhaseReady || e.Commands == 0:
				return ifSent(e)
			case e.LastError != nil:
				return ExecutedUnknown
			}
			return statementRan(e) // its whole answer had come
		},
		others: func(e *Evidence) []Slug {
			if ofAnother(e) != "" {
				return []Slug{"mismatched_answer"}
			}
			return nil
		},
	},
	{
		slug:     "read_too_late",
		severity: Error,
		title:    "The answer was there and was read too late",
		signs:    when(timedOut, noERR, fact{is: "bytes of the peer lay unread when the time limit ran out", holds: (*Evidence).readLate}),
		explain: func(e *Evidence) string {
			of := "the answer to " + what(e)
			switch {
			case e.Phase == session.PhaseGreeting:
				of = "the greeting"
			case connecting.holds(e):
				of = "the answer to the login"
			}
			there := ""
			if t := &e.Transport; t.Known && t.SinceData >= minStall {
				there = fmt.Sprintf(", the last of it since %s", dur(t.SinceData))
			}
			perhaps := ""
			if e.Stall.Cause(e.unread()) == StallUnknown {
				perhaps = " (no processor, a frozen machine)"
			}
			return fmt.Sprintf("When the time limit of %s ran out, %s lay in its socket%s: the peer had answered, and this process had not read it%s.", side(e), of, there, perhaps)
		},
		advise: func(e *Evidence) string {
			return "The server and the network are not to blame. Find what held " + e.it() + " up: " + e.library().busy() + "."
		},
		executed: ifSent,
	},
	{
		slug:     "peer_unresponsive",
		severity: Error,
		title:    "The server did not answer within the time limit",
		signs:    []sign{{waiting, timedOut, noERR, notLate}, {answering, timedOut, noERR, notLate}},
		explain: func(e *Evidence) string {
			if e.Phase == session.PhaseMoreResults {
				return fmt.Sprintf("A result of %s had come whole and announced a further one (SERVER_MORE_RESULTS_EXISTS). Nothing of that came until the time limit of %s ran out, %s after the command was sent.%s", what(e), side(e), dur(e.SinceCommand), cameLater(e))
			}
			if answering.holds(e) {
				return fmt.Sprintf("The answer to %s had begun, then nothing more came until the time limit of %s ran out, %s after the command was sent.%s", what(e), side(e), dur(e.SinceCommand), cameLater(e))
			}
			if e.Unsent > 0 {
				return fmt.Sprintf("The server did not take %s: %s were left when the time limit of %s ran out, %s after it was begun.", what(e), unsent(e), side(e), dur(e.SinceCommand))
			}
			return fmt.Sprintf("%s was sent, not one byte came back and nothing was closed, until the time limit of %s ran out after %s.%s", what(e), side(e), dur(e.SinceCommand), cameLater(e))
		},
		advise: func(e *Evidence) string {
			if e.Phase == session.PhaseMoreResults {
				return "Either the next statement or the rest of the procedure takes longer than the limit: look for it in SHOW PROCESSLIST, it may still run there. Or the peer" + version(e) + " announces results that it does not send: connect past the proxy and compare."
			}
			s := "Either the statement takes longer than the limit (readTimeout or writeTimeout in the DSN, the context's deadline): look for it in SHOW PROCESSLIST, it may still run there. " +
				"Or the path is dead: a firewall or NAT that forgot an idle connection drops silently. " + e.library().idle + " its limit."
			if e.Compressed && e.Commands <= 1 {
				// MySQL Router in passthrough mode without TLS was seen to hang here.
				s = "This was the first command after compression was agreed: a proxy that does not follow the compressed protocol hangs here. Take compress=true out of the DSN. " + s
			}
			return s
		},
		executed: ifSent,
		others: func(e *Evidence) []Slug {
			if e.Late { // not all of it may have come that late
				return []Slug{"read_too_late"}
			}
			if e.Unsent > 0 && e.large() {
				return []Slug{"packet_too_large"}
			}
			return nil
		},
	},
	{
		slug:     "closed_before_answer",
		severity: Error,
		title:    "The connection ended before the command was answered",
		signs:    when(waiting, ended, noERR),
		explain: func(e *Evidence) string {
			if e.Unsent > 0 {
				return fmt.Sprintf("While %s was being sent the connection was %s, with %s not sent. The server cannot have run what it did not get whole.%s%s", what(e), e.ending(), unsent(e), company(e), life(e))
			}
			quiet := ""
			if e.Idle >= time.Second {
				quiet = fmt.Sprintf(" Before the command the connection had been idle for %s: the end may have come then, and crossed the command.", dur(e.Idle))
			}
			sent := "sent whole"
			if e.Transport.NotSent > 0 {
				sent = "written" // the kernel still had a part of it
			}
			return fmt.Sprintf("%s was %s; %s later the connection was %s without a byte of an answer.%s%s%s", what(e), sent, dur(e.SinceCommand), e.ending(), quiet, company(e), life(e))
		},
		advise: func(e *Evidence) string {
			if e.Unsent > 0 {
				look := "Look for a restart, a crash, KILL, offline_mode, or a proxy's limit at this moment."
				if e.large() {
					return "If the command is large, compare it with max_allowed_packet of the server and with the proxy's limit: their refusal is often lost in the reset. Otherwise l" + look[1:]
				}
				return look + " If the connection had been idle for long before, compare that with wait_timeout of the server and the idle limits of what stands in between (proxy, load balancer, NAT, firewall)."
			}
			large := ""
			if e.CommandBytes >= largeCommand {
				large = fmt.Sprintf("The command took %s on the wire: compare that with max_allowed_packet of the server and with the proxy's limit, whose refusal may have been lost. ", count(e.CommandBytes, "byte", "bytes"))
			}
			if ifSent(e) == ExecutedNo {
				return large + fmt.Sprintf("%s runs no statement, so nothing was changed, and it may be sent again on another connection. Look into the server's error log (crash, restart, out of memory), for KILL, for offline_mode, and for a limit of a proxy.", what(e))
			}
			return large + "Whether the statement was run cannot be known from here: check before you run it again, or make it safe to repeat. Look into the server's error log (crash, restart, out of memory), for KILL, for offline_mode, and for a limit of a proxy on the duration of a statement."
		},
		executed: ifSent,
		others: func(e *Evidence) []Slug {
			out := []Slug{"connection_killed", "server_shutdown"}
			if e.large() {
				out = append(out, "packet_too_large")
			}
			if e.Idle >= time.Second || e.Unsent > 0 && !e.large() {
				// The end may have crossed the command.
				out = append(out, "closed_while_idle", "idle_timeout")
			}
			return out
		},
	},
	{
		slug:     "slow_reader",
		severity: Error,
		title:    "The result was read too slowly and the server gave up",
		signs: []sign{
			{loggedIn, said(erWriteInterrupted)},
			{answering, ended, noERR, pausedLong},
			{answering, ended, noERR, insidePacket, pausedMost, buffersFull},
		},
		titled: func(e *Evidence) string {
			if e.ServerError == nil && !pausedLong.holds(e) {
				return "The connection ended in a pause between two rows" // nobody has said that the server gave up
			}
			return ""
		},
		explain: func(e *Evidence) string {
			if e.ServerError != nil {
				return fmt.Sprintf("The server could not send the rest of the result and gave up (%s). The longest pause of %s while bytes lay unread was %s.", e.err(), e.who(), dur(e.LongestReadGap))
			}
			also := " A server that ends at that very time for another reason looks the same."
			if e.Siblings.down() {
				also = " But the server refused connections, or said that it is going, at about that time: a stop or a crash of the server, during the pause, looks the same."
			}
			return fmt.Sprintf("In the middle of a result the connection was %s. %s had paused for %s between two reads while bytes lay there; a server that cannot send for net_write_timeout gives up.%s", e.ending(), capital(e.who()), dur(e.LongestReadGap), also)
		},
		advise: func(e *Evidence) string {
			if !e.ours() {
				return "Let the client do less between two rows: read them into memory first (a buffered cursor), or fetch in pages (WHERE id > ? ORDER BY id LIMIT n), and do slow work behind the last one. Raise net_write_timeout (60 s by default) for the session if the pace must be kept."
			}
			return "Do less between two rows.Next(): read the rows into memory first, or fetch in pages (WHERE id > ? ORDER BY id LIMIT n), and do slow work after rows.Close(). Raise net_write_timeout (60 s by default) for the session if the pace must be kept."
		},
		executed: maybe,
		others: func(e *Evidence) []Slug {
			if e.ServerError != nil {
				return nil
			}
			if e.Siblings.down() {
				return []Slug{"connection_lost_mid_answer", "server_shutdown"}
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
			switch {
			case e.Phase == session.PhaseOpaque || e.Phase == session.PhaseUntracked:
				where = "at a place that cannot be seen"
			case e.InsidePacket:
				where = "inside a packet"
			case e.Phase == session.PhaseMoreResults:
				where = "between two results, of which another had been announced"
			}
			if e.Phase == session.PhaseEvents {
				return fmt.Sprintf("The binary log that %s asked for stopped %s: the connection was %s, %s after the command was sent. It has an end only for a client that does not want to wait.%s%s", e.Command, where, e.ending(), dur(e.SinceCommand), company(e), life(e))
			}
			if unseenRest(e) {
				return fmt.Sprintf("The server had answered something of this operation already, and while more was being sent to it the connection was %s, with %s not sent. What that was cannot be seen: the file of a LOAD DATA LOCAL, in front of which other statements may have run, or a further command.%s%s", e.ending(), unsent(e), company(e), life(e))
			}
			return fmt.Sprintf("The answer to %s broke off %s (phase %s): the connection was %s, %s after the command was sent.%s%s%s", what(e), where, e.Phase, e.ending(), dur(e.SinceCommand), lainHere(e), company(e), life(e))
		},
		advise: func(e *Evidence) string {
			if e.Phase == session.PhaseEvents {
				return "A replica connects again by itself and goes on where it was. If it happens again and again, look for a second replica with the same server_id: the source ends the thread of the first one. Look also for KILL of its thread there, and for a proxy's limit on the duration of a statement."
			}
			if unseenRest(e) {
				return "Check what has been executed before you run it again: rows that were loaded stay in a table without transactions. Look for a process that slept, or a LOCAL INFILE reader that waited, for longer than net_read_timeout (30 s by default), for KILL, a restart, a crash, offline_mode, and max_allowed_packet."
			}
			return "What was read is not the whole result: discard it. Look into the error log of the server and the proxy at this moment: a crash, restart or failover, KILL, offline_mode, or a limit on the duration or size of a result; proxies also close like this when a statement behind them fails in the middle of its answer. A SELECT may be run again; check a statement that changes data first."
		},
		executed: ifSent,
		others: func(e *Evidence) []Slug {
			out := []Slug{"server_shutdown", "connection_killed"}
			if unseenRest(e) {
				out = append(out, "local_infile_aborted")
			}
			if e.LongestReadGap >= time.Second || e.lain() >= minStall {
				out = append(out, "slow_reader")
			}
			return out
		},
	},
}

// The signs of a reader that was too slow. The pause is this side's own: time in
// which a read was waiting for the server does not count.
var (
	pausedLong = fact{is: "the client paused between two reads for as long as net_write_timeout, 60 s by default", holds: func(e *Evidence) bool { return e.LongestReadGap >= netWriteTimeout }}
	// A server that is done with writing ends between packets. One that is cut off
	// inside a packet was writing, and with a reader that keeps up that takes no
	// time.
	insidePacket = fact{is: "the answer ends inside a packet", holds: func(e *Evidence) bool { return e.InsidePacket }}
	pausedMost   = fact{is: "the client spent most of the answer's time, and at least 1 s, in one pause between two reads", holds: func(e *Evidence) bool {
		return e.LongestReadGap >= time.Second && e.LongestReadGap > e.SinceCommand/2
	}}
	// What lay in the buffers when the pause was over. A server that had less to
	// send than they hold was not kept waiting.
	buffersFull = guard("so much lay unread that the server cannot have gone on sending", func(e *Evidence) bool {
		return e.GapBytes == 0 || e.GapBytes >= leastBuffer
	})
	notSlow = guard("the client did not keep the server waiting", func(e *Evidence) bool {
		return !(answering.holds(e) && (pausedLong.holds(e) || insidePacket.holds(e) && pausedMost.holds(e) && buffersFull.holds(e)))
	})
)

// readLate: when the time limit ran out, bytes of the peer lay unread that had come in time. What
// the kernel says came behind it, while this process was late to notice that it was over, did not.
func (e *Evidence) readLate() bool {
	return e.Late && !(e.Transport.Known && e.Transport.SinceData+kernelTick < e.Overdue)
}

// kernelTick is the coarsest that the kernel's clock of arrivals is.
const kernelTick = 10 * time.Millisecond

// cameLater says so, to follow a sentence.
func cameLater(e *Evidence) string {
	if !e.Late || e.readLate() {
		return ""
	}
	return fmt.Sprintf(" Something lay in the socket when that was noticed, %s later; by the kernel's clock the last of it had come when the limit was over.", dur(e.Overdue))
}

// lain is for how long, by the kernel's clock, the last of an answer that broke off had been here when
// this process read it: a Read that was under way returned late.
func (e *Evidence) lain() time.Duration {
	if !e.ours() || !e.Transport.Known || e.SinceRead == 0 {
		return 0
	}
	return max(0, e.Transport.SinceData-e.SinceRead)
}

// lainHere says so, to follow a sentence.
func lainHere(e *Evidence) string {
	if e.lain() < minStall {
		return ""
	}
	return fmt.Sprintf(" By the kernel's clock the last of it had been here for %s when %s read it, which may have been stopped or without a processor meanwhile: a server that cannot send for net_write_timeout (60 s by default) gives up.", dur(e.lain()), e.who())
}

// leastBuffer is less than any receive buffer that Linux gives by itself.
const leastBuffer = 16 << 10

// unreadAnswer is about a client that gave up on an answer.
func unreadAnswer(e *Evidence) string {
	if e.Phase == session.PhaseReady && e.Commands > 0 {
		return fmt.Sprintf("The client library could not read the answer to %s, although all its packets had come and their frames are in order: a field in it contradicts the packet's length or the column's type.", what(e))
	}
	return fmt.Sprintf("The client library could not read what came (phase %s, command %s): a field in it contradicts the packet's length or what was announced.", e.Phase, what(e))
}

// statementRan is what a whole answer without an error proves.
func statementRan(e *Evidence) Executed {
	if ifSent(&Evidence{Phase: session.PhaseCommand, Command: e.Command}) == ExecutedNo {
		return ExecutedNo // of a command that runs nothing
	}
	return ExecutedYes
}

// what names the command that is out.
func what(e *Evidence) string {
	if e.Command == session.ComSleep {
		return "the command" // nobody sends COM_SLEEP: it was not seen
	}
	return e.Command.String()
}

// unsent is what the socket did not take.
func unsent(e *Evidence) string {
	s := count(e.Unsent, "byte", "bytes")
	if !exact(e) {
		return "at least " + s
	}
	return s
}

// exact reports whether what the socket did not take (Unsent) is all that was left of the
// command. TLS, compression and packets of 16 MiB bring it in pieces, and what would have
// come behind the one that failed is not known.
func exact(e *Evidence) bool { return e.TLS == TLSNone && !e.Compressed && e.CommandBytes < 1<<24 }

// ofAnother is the other side of a packet that makes no sense within an answer; empty
// elsewhere.
func ofAnother(e *Evidence) string {
	if e.Direction != session.FromServer || e.Unread || e.RowsSent > 0 || !answering.holds(e) && !waiting.holds(e) {
		return ""
	}
	return " It may also belong to the answer of another command."
}
