package session

import (
	"encoding/binary"
)

// fromServer takes a packet of the server that is not a continuation.
func (t *Tracker) fromServer(p *Packet, ev *Event) {
	if t.phase >= PhaseCommand && t.phase <= PhasePrepare && len(p.Prefix) > 0 && p.Prefix[0] != headERR { // the usual case
		t.started = true
		t.answer(p, ev)
		return
	}
	switch t.phase {
	case PhaseGreeting:
		t.greet(p, ev)
		return
	case PhaseQuit:
		// Some servers answer COM_QUIT with OK or ERR before they close.
		ev.Kind = kindOfStatus(p)
		return
	case PhaseClone:
		t.clone(p, ev)
		return
	}
	if len(p.Prefix) > 0 && p.Prefix[0] == headERR {
		t.failure(p, ev)
		return
	}
	switch t.phase {
	case PhaseReady:
		if t.resumes(p) {
			t.row(p, ev)
			return
		}
		ev.Kind = kindOfStatus(p)
		ev.Violation = Unsolicited
		t.next = p.Seq + 1
	case PhaseLogin, PhaseTLS:
		// The word is the client's.
		ev.Kind = kindOfStatus(p)
		ev.Violation = Unsolicited
		t.next = p.Seq + 1
	case PhaseAuth:
		t.auth(p, ev)
	case PhaseLocalInfile:
		ev.Kind = kindOfStatus(p)
		ev.Violation = UnexpectedKind
		t.number(p, ev)
	default:
		t.started = true
		t.answer(p, ev)
	}
}

// kindOfStatus names a packet by its first byte alone, for packets that stand
// outside an answer.
func kindOfStatus(p *Packet) Kind {
	if len(p.Prefix) > 0 {
		switch p.Prefix[0] {
		case headOK:
			return KindOK
		case headERR:
			return KindERR
		case headEOF:
			return KindEOF
		}
	}
	return KindUnknown
}

// greet takes the server's first packet.
func (t *Tracker) greet(p *Packet, ev *Event) {
	if len(p.Prefix) > 0 && p.Prefix[0] == headERR && validError(p.Prefix) && (p.Seq <= 1 || plainError(p.Prefix)) {
		ev.Kind = KindERR
		ev.ErrorCode = binary.LittleEndian.Uint16(p.Prefix[1:])
		// MariaDB of 10.2 and later numbers a refusal 1, most others 0, some
		// proxies 2 or 3: the number of a refusal says nothing.
		ev.Violation = Refused
		t.phase = PhaseClosed
		return
	}
	g, ok := parseGreeting(p.Prefix)
	if !ok {
		ev.Violation = NotMySQL
		t.phase = PhaseClosed
		return
	}
	ev.Kind = KindGreeting
	t.greeting = g
	t.phase = PhaseLogin
	t.number(p, ev)
	if t.spoke {
		t.caps, t.ext = t.caps&g.capabilities, t.ext&g.extended
		t.phase, t.next = PhaseAuth, t.next+1
	}
}

// failure takes an ERR packet after the greeting.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html
func (t *Tracker) failure(p *Packet, ev *Event) {
	ev.Kind = KindERR
	if len(p.Prefix) < 3 {
		ev.Violation = Malformed
		t.number(p, ev)
		t.untrack()
		return
	}
	ev.ErrorCode = binary.LittleEndian.Uint16(p.Prefix[1:])
	if ev.ErrorCode == progressErrCode && t.ext&extendedProgress != 0 {
		// https://mariadb.com/kb/en/progress-reporting/
		ev.Kind, ev.ErrorCode = KindProgress, 0
		t.number(p, ev)
		return
	}
	if !validError(p.Prefix) {
		ev.Violation = Malformed
	}
	t.lastERR = ev.ErrorCode
	switch phase := t.phase; {
	case phase == PhaseReady && t.resumes(p):
		t.failure(p, ev)
	case phase == PhaseReady && t.clientGone:
		t.phase = PhaseClosed // said to a client that hung up: MySQL says 1158 then
	case phase == PhaseReady:
		ev.Violation = Unsolicited
		t.next = p.Seq + 1
		t.phase = PhaseClosed
	case (phase == PhaseCommand || t.changingUser()) && !t.started && t.farewell(p, ev):
		t.phase = PhaseClosed
	case phase.Connecting() && !t.changingUser():
		if phase == PhaseLogin || phase == PhaseTLS || t.turn {
			// The client had the word: the server gave up waiting for it.
			ev.Violation = MisnumberedError
			if p.Seq == t.next {
				ev.Violation = Unsolicited
			}
		}
		t.number(p, ev)
		ev.Done = true
		t.phase = PhaseClosed
	default:
		t.restart(p)
		t.started, t.failed = true, true
		// The client may still be sending a file or a long command that the
		// server has refused: what is left of it is numbered past the answer.
		file := phase == PhaseLocalInfile
		draining, next := file || t.continued[FromClient], t.next
		t.number(p, ev)
		t.answered(ev)
		t.draining, t.drainFile, t.drained = draining, file, next
	}
}

// farewell tells an ERR that the server said of its own accord, while the
// command was on its way, from an answer: it has the number of a first packet,
// or a code that is no answer to anything.
func (t *Tracker) farewell(p *Packet, ev *Event) bool {
	switch {
	case p.Seq == 0 && t.next != 0 && !t.lenient:
		ev.Violation = MisnumberedError
	case ev.ErrorCode == errClientInteractionTimeout && !t.greeting.MariaDB() && p.Seq != t.next:
		// MySQL Router counts on from the exchange before. With the number that
		// is due it is an answer: a procedure may SIGNAL any number.
		t.number(p, ev)
		if ev.Violation == None {
			ev.Violation = Unsolicited
		}
	default:
		return false
	}
	return true
}

// errClientInteractionTimeout is ER_CLIENT_INTERACTION_TIMEOUT: wait_timeout is
// over (MySQL 8.0.24 and later). MariaDB has another error of that number.
const errClientInteractionTimeout = 4031
