package conversation

import (
	"time"

	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// frames is one direction's reader of packets and what it tells the
// conversation.
type frames struct {
	c   *Conversation
	now time.Duration // of the bytes
	dir session.Direction
	r   wire.Reader
}

func (f *frames) init(c *Conversation, dir session.Direction) {
	f.c, f.dir = c, dir
	f.r = wire.Reader{}
	f.r.Init(f)
	if dir == session.FromServer && c.tracker.Phase() == session.PhaseGreeting {
		f.r.SetPrefix(wire.GreetingPrefix)
	}
}

func (f *frames) missing() int { return f.r.Missing() }

// Packet implements wire.Handler.
func (f *frames) Packet(h wire.Header, prefix []byte) {
	c := f.c
	if c.x != nil || c.comp != nil {
		f.packet(h, prefix)
		return
	}
	before := c.tracker.Phase()
	k, done := c.tracker.Usual(f.dir, h.Seq, h.Length, prefix)
	if k == session.KindUnknown {
		f.packet(h, prefix)
		return
	}
	// What packet does with such an Event; TestUsualPackets compares the two.
	detail := uint16(0)
	if k == session.KindCommand {
		detail = uint16(prefix[0])
		c.said.prior = c.said.number
		c.marks.commanded(f.now)
	}
	c.said.number = h.Seq
	if done {
		c.said.well()
		c.marks.done = f.now
	}
	c.history.packet(f.now, f.dir, h, k, session.None, detail)
	if c.tracker.Phase() == session.PhaseRows {
		f.r.SetRun(true, c.tracker.Expected())
		f.r.SetBinary(c.tracker.Binary())
	} else if before == session.PhaseRows {
		f.r.SetRun(false, 0)
	}
}

// packet is Packet for one that is not usual.
func (f *frames) packet(h wire.Header, prefix []byte) {
	c := f.c
	before := c.tracker.Phase()
	lost := c.tracker.Lost()
	ev := c.tracker.Packet(session.Packet{Direction: f.dir, Seq: h.Seq, Length: h.Length, Prefix: prefix})
	c.history.packet(f.now, f.dir, h, ev.Kind, ev.Violation, ev.ErrorCode|uint16(ev.Command)) // one of the last two, at most
	f.note(h, prefix, &ev, before, lost)
	if after := c.tracker.Phase(); after != before || after == session.PhaseRows {
		c.phaseChanged(before, after)
	}
}

// note keeps what may be asked of a packet that was met in the phase before.
func (f *frames) note(h wire.Header, prefix []byte, ev *session.Event, before session.Phase, lost uint64) {
	c := f.c
	if c.x != nil {
		c.x.passed(c.start, &entry{
			at: f.now, bytes: h.Length, count: 1, code: ev.ErrorCode, first: h.Seq,
			direction: f.dir, kind: ev.Kind, command: ev.Command, violation: ev.Violation,
		})
		c.x.changed(*ev, before, c.tracker.Command(), prefix)
		if before.Connecting() && f.dir == session.FromClient {
			// The grammar has no number for what comes before the greeting.
			if wrong := c.x.opening.packet(); wrong && before == session.PhaseGreeting && !c.x.lossy() {
				c.marks.misnumb = true
			}
		}
		c.x.kills(c.start.Add(f.now), ev, h, prefix)
	}
	c.said.packet(before, ev, h.Seq, prefix, c.tracker.Greeting())
	c.marks.packet(f.now, f.dir, ev)
	if f.dir == session.FromServer && c.tracker.Phase() == session.PhaseAuth {
		c.marks.turn, _ = c.tracker.AuthDue()
	}
	if lost != c.tracker.Lost() {
		c.counts.Untracked++
	}
	if c.comp != nil {
		if ev.Done && c.tracker.Pending() > 0 || c.comp.ahead && before == session.PhaseReady && ev.Kind == session.KindCommand {
			// Its answer goes on with a count of its own, also if only the head of its
			// frame was sent ahead.
			c.comp.fresh = true
		}
		if c.comp.wrong && f.dir == session.FromServer {
			c.outerSequence(*ev, before)
		}
	}
	if ev.Kind == session.KindERR && (c.listening || c.tracker.KeyRefused()) {
		if e, ok := session.ParseError(prefix); ok {
			c.words = &e
		}
	}
	if ev.Violation != session.None || before.Connecting() && ev.Kind == session.KindERR && aboutReading(ev.ErrorCode) {
		c.violation(f.dir, before, *ev, h, prefix)
	}
}

// Run implements wire.Handler.
func (f *frames) Run(r wire.Run) {
	if f.c.comp != nil && f.c.comp.wrong {
		f.c.outerSequence(session.Event{Kind: session.KindRow}, session.PhaseRows)
	}
	f.c.tracker.Rows(r.Count, r.Last)
	f.c.said.number = r.Last
	f.c.history.rows(f.now, f.dir, &r)
	if f.c.x != nil {
		f.c.x.passed(f.c.start, &entry{
			at: f.now, bytes: uint32(min(r.Bytes, 1<<32-1)), count: uint32(r.Count), first: r.First,
			direction: f.dir, kind: session.KindRow,
		})
	}
}

// phaseChanged sets the readers up for what may come now.
func (c *Conversation) phaseChanged(before, after session.Phase) {
	server, client := &c.server.frames.r, &c.client.frames.r
	// What continues a row of 16 MiB looks like a row of its own.
	run := after == session.PhaseRows && !c.tracker.Continued(session.FromServer)
	server.SetRun(run && (c.x == nil || !c.x.eachRow), c.tracker.Expected())
	if before == after {
		return
	}
	server.SetBinary(c.tracker.Binary())
	switch before {
	case session.PhaseGreeting:
		server.SetPrefix(wire.ShortPrefix)
	case session.PhaseAuth:
		client.SetPrefix(wire.ShortPrefix)
	}
	switch after {
	case session.PhaseAuth:
		client.SetPrefix(wire.NoPrefix) // what the client sends now are credentials
	case session.PhaseTLS:
		client.Stop()
		c.startTLS()
	case session.PhaseReady:
		if before == session.PhaseAuth && c.comp == nil {
			c.startCompression()
		}
	}
}

// violation takes a packet that breaks the protocol.
func (c *Conversation) violation(dir session.Direction, before session.Phase, ev session.Event, h wire.Header, prefix []byte) {
	f := finding{
		violation: ev.Violation, phase: before, dir: dir, kind: ev.Kind, expected: ev.Expected,
		actual: h.Seq, length: h.Length, command: c.tracker.Command(),
	}
	if ev.Kind == session.KindCommand {
		f.command = ev.Command
	}
	if ev.Kind == session.KindERR {
		if e, ok := session.ParseError(prefix); ok {
			f.server = &e
		}
	}
	if ev.Violation == session.NotMySQL {
		head := [wire.HeaderLen]byte{byte(h.Length), byte(h.Length >> 8), byte(h.Length >> 16), h.Seq}
		f.first = append(head[:], prefix[:min(len(prefix), maxFirstBytes-len(head))]...)
	}
	c.find(f)
}

// maxFirstBytes is how much of a peer that is not MySQL is shown.
const maxFirstBytes = 16
