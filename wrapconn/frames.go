package wrapconn

import (
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
	"github.com/seqguard/mysql-seqguard/wrapconn/wire"
)

// frames is one direction's reader of packets and what it tells the connection.
// All of it runs under Conn.mu.
type frames struct {
	conn *Conn
	dir  session.Direction
	r    wire.Reader
	now  int64 // of the call that brought the bytes
}

func (f *frames) init(c *Conn, dir session.Direction) {
	f.conn, f.dir = c, dir
	f.r.Init(f)
	if dir == session.FromServer {
		f.r.SetPrefix(wire.LongPrefix) // the greeting
	}
}

func (f *frames) missing() int { return f.r.Missing() }

// Packet implements wire.Handler.
func (f *frames) Packet(h wire.Header, prefix []byte) {
	c := f.conn
	before := c.tracker.Phase()
	lost := c.tracker.Lost()
	ev := c.tracker.Packet(session.Packet{Direction: f.dir, Seq: h.Seq, Length: h.Length, Prefix: prefix})
	c.history.add(entry{
		at: f.now, bytes: h.Length, count: 1, code: ev.ErrorCode, first: h.Seq, last: h.Seq,
		direction: f.dir, kind: ev.Kind, command: ev.Command, violation: ev.Violation,
	})
	if ev.Kind == session.KindCommand {
		c.marks.idle = f.now - c.marks.last()
	}
	c.marks.packet(f.now, f.dir, ev)
	if lost != c.tracker.Lost() {
		counters.untracked.Add(1)
	}
	if c.comp != nil && c.comp.wrong && f.dir == session.FromServer {
		c.outerSequence(ev, before)
	}
	if c.listening && ev.Kind == session.KindERR {
		if e, ok := session.ParseError(prefix); ok {
			c.words = &e
		}
	}
	if ev.Violation != session.None {
		c.violation(f.dir, before, ev, h, prefix)
	}
	if after := c.tracker.Phase(); after != before || after == session.PhaseRows {
		c.phaseChanged(before, after)
	}
}

// Run implements wire.Handler.
func (f *frames) Run(r wire.Run) {
	if f.conn.comp != nil && f.conn.comp.wrong {
		f.conn.outerSequence(session.Event{Kind: session.KindRow}, session.PhaseRows)
	}
	f.conn.tracker.Rows(r.Count, r.Last)
	f.conn.history.add(entry{
		at: f.now, bytes: uint32(min(r.Bytes, 1<<32-1)), count: uint32(r.Count), first: r.First, last: r.Last,
		direction: f.dir, kind: session.KindRow,
	})
}

// phaseChanged sets the readers up for what may come now.
func (c *Conn) phaseChanged(before, after session.Phase) {
	server, client := &c.server.frames.r, &c.client.frames.r
	// What continues a row of 16 MiB looks like a row of its own.
	server.SetRun(after == session.PhaseRows && !c.tracker.Continued(session.FromServer), c.tracker.Expected())
	if before == after {
		return
	}
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
