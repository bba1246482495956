package conversation

import (
	"io"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Before a command, what lies in the socket can be looked at without taking it
// out. Every answer starts at sequence id 1 again, so the next command would
// take a stale one for its own.

// BeforeCommand checks the bytes that have been read already. It reports whether
// the socket must be looked into as well: the next bytes of the client begin a
// command, and nothing is known to be wrong yet.
func (c *Conversation) BeforeCommand(now time.Duration) (look bool) {
	c.now = now
	if c.client.frames.missing() == 0 && c.NothingDue() { // all of the usual case, without a defer: there is nothing in it that could go wrong
		return true
	}
	c.withoutLook()
	return false
}

// withoutLook is BeforeCommand for the cases in which no look into the socket is needed.
func (c *Conversation) withoutLook() {
	defer c.rescue()
	switch {
	case c.ended || !c.BetweenCommands():
	case c.server.frames.missing() > 0 || c.comp != nil && c.comp.server.Missing() > 0:
		// The head of a packet that nobody asked for came together with the
		// last answer. Its rest may not have come yet, so the peek would not do.
		c.find(c.unasked())
	case c.goodbye: // it came with the end of the last answer
		c.GoneWaiting(cause.StreamEOF, io.EOF, c.now)
	}
}

func (c *Conversation) unasked() finding {
	return finding{
		violation: session.Unsolicited, phase: session.PhaseReady, dir: session.FromServer,
		kind: session.KindUnknown, expected: c.tracker.Expected(), command: c.tracker.Command(), waiting: true,
	}
}

// GoneWaiting says that the look into the socket has found that the server is
// gone.
func (c *Conversation) GoneWaiting(how cause.StreamEnd, err error, now time.Duration) {
	c.now = now
	c.find(finding{
		violation: session.Truncated, phase: session.PhaseReady, dir: session.FromServer,
		stream: how, command: c.tracker.Command(), waiting: true, err: err,
	})
}

// WaitingShort returns how many more bytes than b must be looked at to tell what
// waits: of TLS, less than a record could be anything.
func (c *Conversation) WaitingShort(b []byte) (n int) {
	if c.tls == nil {
		return 0
	}
	defer c.rescue()
	if p := c.tls.view.PeekServer(b); p.Kind == wire.TLSPeekIncomplete {
		return p.Missing
	}
	return 0
}

// Waiting looks at bytes that wait in the socket although nothing is outstanding.
// They stay there: if they are read later, Bytes gets them, too.
func (c *Conversation) Waiting(b []byte, now time.Duration) {
	c.now = now
	defer c.rescue()
	f := c.unasked()
	if c.tls != nil {
		switch p := c.tls.view.PeekServer(b); p.Kind {
		case wire.TLSPeekPostHandshake, wire.TLSPeekIncomplete:
			return // tickets are not answers; half a record is not one yet
		case wire.TLSPeekCloseNotify:
			f.violation, f.stream, f.err = session.Truncated, cause.StreamEOF, io.EOF
			c.find(f)
			return
		case wire.TLSPeekData, wire.TLSPeekNotTLS:
			b = p.Plain
		default:
			c.find(f)
			return
		}
	}
	var h wire.Header
	var prefix []byte
	if c.comp != nil {
		p, s := wire.PeekFrames(b, make([]byte, wire.PeekLen))
		if s == wire.PeekHeader || s == wire.PeekPacket {
			h, prefix = p.Packet, p.Prefix
			h.Seq = p.Frame.Seq // inner ids are informative only
		}
	} else if len(b) >= wire.HeaderLen {
		h = wire.Header{Length: uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16, Seq: b[3]}
		prefix = b[wire.HeaderLen:min(len(b), wire.HeaderLen+int(h.Length))]
	}
	f.actual, f.length = h.Seq, h.Length
	var code uint16
	if e, ok := session.ParseError(prefix); ok {
		f.kind, f.server, code = session.KindERR, &e, e.Code
	} else if len(prefix) > 0 && prefix[0] == 0 {
		f.kind = session.KindOK
	}
	c.history.add(&entry{
		at: c.now, bytes: h.Length, count: 1, first: h.Seq, direction: session.FromServer,
		kind: f.kind, violation: session.Unsolicited, code: code,
	})
	c.find(f)
}

// NothingDue reports whether the server owes nothing, and no byte of anything has
// come: a client that reads now waits for what nobody will send.
func (c *Conversation) NothingDue() bool {
	return c.tracker.Phase() == session.PhaseReady && c.server.frames.missing() == 0 &&
		(c.comp == nil || c.comp.server.Missing() == 0) && !c.ended && !c.goodbye
}

// ReadNothingDue says that the client has been reading since then although
// nothing was due. how is how that ended, StreamOpen if it is still under way.
// With survived the client goes on reading.
func (c *Conversation) ReadNothingDue(since time.Duration, how cause.StreamEnd, err error, survived bool, now time.Duration) {
	c.now = now
	defer c.rescue()
	c.find(finding{
		phase: session.PhaseReady, dir: session.FromServer, stream: how, err: err, survived: survived,
		expected: c.tracker.Expected(), command: c.tracker.Command(), unowed: max(now-since, 1),
	})
}
