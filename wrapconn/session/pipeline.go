package session

import "encoding/binary"

// pending is a command whose answer has not begun because an earlier one is
// not complete.
type pending struct {
	cmd    Command
	next   uint8 // id of its answer's first packet
	cursor bool  // it asks for a cursor
}

// maxPending bounds the memory for commands that wait: 192 KiB. Connector/J sends
// 100 of them in a row, Connector/Node as many as its user has.
const maxPending = 1 << 16

// pendingOf reads the head of a command.
func pendingOf(prefix []byte, next uint8) pending {
	q := pending{cmd: Command(prefix[0]), next: next}
	if q.cmd == ComStmtExecute && len(prefix) > 5 {
		// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
		q.cursor = prefix[5]&0x07 != 0
	}
	return q
}

// Pipelining says whether the client may send commands while the answers to
// earlier ones are outstanding. Without it, the name given to Client decides.
func (t *Tracker) Pipelining(may bool) { t.pipelines = may }

// queued is how many commands wait for their answer to begin.
func (t *Tracker) queued() int { return len(t.queue) - t.served }

func (t *Tracker) enqueue(p pending) {
	if t.served*2 >= len(t.queue) { // a client may always have some on their way
		t.queue, t.served = t.queue[:copy(t.queue, t.queue[t.served:])], 0
	}
	t.queue = append(t.queue, p)
}

func (t *Tracker) dequeue() pending {
	t.served++
	return t.queue[t.served-1]
}

// count counts a command.
func (t *Tracker) count(c Command) {
	t.sent++
	if c.grammar() != answerNone {
		t.lastSent = c
	}
}

// sendAhead takes a packet that the client sent while an answer is outstanding.
func (t *Tracker) sendAhead(p *Packet, ev *Event) {
	ev.Expected = 0
	if p.Seq != 0 || len(p.Prefix) == 0 {
		ev.Violation = CommandDuringAnswer
		t.early++
		return
	}
	ev.Kind, ev.Command = KindCommand, Command(p.Prefix[0])
	lawful := t.pipelines || t.lastSent == ComStmtPrepare && ofLastPrepared(p)
	t.ahead, t.waits = true, false
	switch g := ev.Command.grammar(); {
	case g == answerNone:
		// It changes nothing of what is to be read.
		t.count(ev.Command)
		return
	case g == answerQuit:
		// Hanging up is lawful at any time.
		t.count(ev.Command)
		t.phase = PhaseQuit
		return
	case g == answerUnknown || t.queued() == maxPending:
		ev.Violation = CommandDuringAnswer
		t.early++
		t.foreign = true // an answer is due, so none can be told from another again
		t.untrack()
		return
	}
	if !lawful {
		ev.Violation = CommandDuringAnswer
		t.early++
	}
	t.count(ev.Command)
	t.waits = true
	t.enqueue(pendingOf(p.Prefix, 1))
}

// continueAhead takes what continues a command that was sent ahead.
func (t *Tracker) continueAhead(p *Packet) {
	if t.waits && t.queued() > 0 {
		t.queue[len(t.queue)-1].next = p.Seq + 1
	}
}

// ofLastPrepared reports whether a command is about the statement that was
// prepared last: a client that does not wait for its id says -1. MariaDB's.
// https://mariadb.com/kb/en/com_stmt_execute/
func ofLastPrepared(p *Packet) bool {
	switch Command(p.Prefix[0]) {
	case ComStmtExecute, ComStmtBulkExecute, ComStmtFetch, ComStmtReset:
		return len(p.Prefix) >= 5 && binary.LittleEndian.Uint32(p.Prefix[1:]) == 1<<32-1
	}
	return false
}
