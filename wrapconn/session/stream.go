package session

import "encoding/binary"

// event takes a packet of the server in the answer to a binlog dump.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication.html
func (t *Tracker) event(p *Packet, ev *Event) {
	if t.terminator(p) {
		ev.Kind = KindEOF // of a client that did not want to wait for more
		t.number(p, ev)
		t.answered(ev)
		return
	}
	ev.Kind = KindEvent
	t.restart(p)
	t.number(p, ev)
}

// restart lets the numbers begin at 1 again behind an acknowledgement. The server
// reads it when it gets to it, so that some packets may still be numbered on.
func (t *Tracker) restart(p *Packet) {
	if t.phase == PhaseEvents && t.acked && p.Seq == 1 {
		t.next = 1
	}
}

// ackMagic begins the acknowledgement of semi-synchronous replication
// (plugin/semisync/semisync.h, kPacketMagicNum); a position and a file follow.
const ackMagic = 0xef

// Commands of the clone plugin's own protocol (plugin/clone/include/clone.h,
// Command_RPC) run from COM_INIT to COM_EXIT.
const (
	cloneInit = 1
	cloneExit = 6
)

// cloning takes the answer to COM_CLONE.
func (t *Tracker) cloning(p *Packet, ev *Event) {
	if p.Prefix[0] != headOK {
		t.unexpected(p, ev)
		return
	}
	ev.Kind = KindOK
	t.number(p, ev)
	t.phase = PhaseClone
}

// clone takes a packet of the donor. All of them were seen with number 0, and
// what is in them is not MySQL's protocol.
func (t *Tracker) clone(p *Packet, ev *Event) {
	ev.Kind = KindClone
	if len(p.Prefix) >= 3 && p.Prefix[0] == headERR {
		ev.Kind, ev.ErrorCode = KindERR, binary.LittleEndian.Uint16(p.Prefix[1:])
		t.lastERR, t.failed = ev.ErrorCode, true
		t.answered(ev)
	}
}

// inStream takes a packet of the client while events or a clone pass.
func (t *Tracker) inStream(p *Packet, ev *Event) {
	first := byte(0)
	if len(p.Prefix) > 0 {
		first = p.Prefix[0]
	}
	switch {
	case t.phase == PhaseEvents && first == ackMagic && p.Length > 8:
		ev.Kind, ev.Expected = KindAck, 0
		t.acked = true
	case t.phase == PhaseEvents:
		t.sendAhead(p, ev)
	case !t.cloned && first >= cloneInit && first <= cloneExit:
		ev.Kind, ev.Expected = KindClone, 0
		t.cloned = first == cloneExit
	default: // the clone is over
		t.ready()
		t.command(p, ev)
	}
}
