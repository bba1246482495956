package conversation

import (
	"time"

	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Gap says that n bytes of a side are lost: a capture does not have them. If
// they were of a payload that is not looked at, nothing else is. Otherwise the
// conversation is followed again from the next command that can be recognised;
// inside TLS it cannot be.
func (c *Conversation) Gap(dir session.Direction, n int64, now time.Duration) {
	if n <= 0 {
		return
	}
	c.now = now
	defer c.rescue()
	x := c.extra()
	x.gaps++
	x.lost += uint64(n)
	x.head = nil
	switch {
	case c.hidden:
		c.dropTLS() // its records cannot be told from each other any more
	case c.tls != nil || c.tracker.Phase() == session.PhaseTLS:
		c.hide("a part of the TLS is not in the capture")
		c.drain()
		c.dropTLS()
	case c.skip(dir, n):
	default:
		c.lose()
	}
}

// Middle says that the conversation began before the first byte that will be
// told. What was agreed in its login is not known.
func (c *Conversation) Middle(now time.Duration) {
	c.now = now
	c.extra()
	c.lose()
}

// extra returns the extras of a conversation that needs them after all.
func (c *Conversation) extra() *extras {
	if c.x == nil {
		c.x = &extras{}
		c.x.tap.init(c, false)
	}
	return c.x
}

// lossy reports whether bytes are missing, so that what is not understood may be
// what came behind them.
func (x *extras) lossy() bool { return x != nil && (x.gaps > 0 || x.searching) }

// skip passes over bytes that would not have been looked at.
func (c *Conversation) skip(dir session.Direction, n int64) bool {
	var s wire.Sink = &c.of(dir).frames.r
	if c.comp != nil {
		s = c.comp.of(dir)
	}
	if c.x.searching {
		return true // everything is passed over
	}
	if c.x.unaligned && dir == session.FromServer {
		return false // the answer may be in it
	}
	if skip, _ := s.Wants(); int64(skip) < n {
		return false
	}
	s.Skip(int(n))
	return true
}

// lose gives up following until search finds a command.
func (c *Conversation) lose() {
	c.x.searching = true
	c.x.blind = c.x.blind || c.tracker.Phase() == session.PhaseClone
	c.x.tap.drop() // a login that is not whole says nothing
	c.tracker.Join()
	c.marks.unsent, c.listening = 0, false
}

// search looks for the beginning of a command in bytes that nobody can make
// sense of: at the beginning of a piece (a segment), which is where clients
// begin one. It returns the bytes from there on.
func (c *Conversation) search(dir session.Direction, p []byte) []byte {
	if dir == session.FromServer || c.x.blind {
		return nil
	}
	if head := c.x.head; head != nil { // Connector/J writes that of a frame by itself
		c.x.head = nil
		if whole := append(head, p...); isCompressedCommand(whole) {
			p = whole
		}
	}
	if len(p) == frameHeaderLen && p[3] == 0 {
		c.x.head = append([]byte(nil), p...)
		return nil
	}
	compressed := c.comp != nil || c.tracker.Compressed()
	switch {
	case len(p) <= wire.HeaderLen:
		return nil
	case c.tracker.Unsure() && isTLS(p):
		c.hide("it began before the first byte that was seen")
		return nil
	case c.tracker.Zstd():
		c.hide("zstd compression")
		return nil
	case !compressed && isCommand(p):
	case isCompressedCommand(p) && (compressed || c.tracker.Unsure()):
		compressed = true
	default:
		return nil
	}
	c.x.searching = false
	c.x.unaligned = true // the server may be within an answer to an earlier command: a client may always leave
	c.server.frames.init(c, session.FromServer)
	c.client.frames.init(c, session.FromClient)
	if compressed {
		c.compress()
	}
	return p
}

// leastSegment is how long a piece must be to end in the middle of a packet: a
// command is cut where a segment is full (RFC 9293 section 3.7.1).
const leastSegment = 536

// isCommand reports whether p is a command, or several, or the beginning of one
// that is longer than a segment.
func isCommand(p []byte) bool {
	whole := len(p)
	for len(p) > wire.HeaderLen {
		n := int(p[0]) | int(p[1])<<8 | int(p[2])<<16
		c := session.Command(p[wire.HeaderLen])
		switch {
		case p[3] != 0 || n == 0 || !c.Known() || c == session.ComSleep:
			return false
		case len(p) < wire.HeaderLen+n:
			return whole >= leastSegment
		}
		p = p[wire.HeaderLen+n:]
	}
	return len(p) == 0
}

// within reports whether the client's last bytes ended in the middle of a packet
// or of a frame.
func (c *Conversation) within() bool {
	return c.client.frames.missing() > 0 || c.comp != nil && c.comp.client.Missing() > 0
}

// align looks for the beginning of an answer in the server's bytes, as search
// does for a command. It returns the bytes from there on.
func (c *Conversation) align(p []byte) []byte {
	due := byte(1)
	switch {
	case !c.tracker.Rejoins(): // the answer to any of the commands
	case c.comp != nil:
		due = c.comp.next
	default:
		due = c.tracker.Expected()
	}
	if c.comp == nil && !isAnswer(p, due) || c.comp != nil && !isCompressedAnswer(p, due) {
		return nil
	}
	c.x.unaligned = false
	return p
}

// isAnswer reports whether p is an answer, or several, or their beginning: the
// first packet has the id due, and each of the others the next one, or 1 if it
// begins another answer. The first packet is never longer than a segment, any
// other may be cut.
func isAnswer(p []byte, due byte) bool {
	whole := len(p)
	for first := true; len(p) > wire.HeaderLen; first = false {
		n := int(p[0]) | int(p[1])<<8 | int(p[2])<<16
		switch {
		case n == 0 || p[3] != due && (first || p[3] != 1):
			return false
		case len(p) < wire.HeaderLen+n:
			return !first && whole >= leastSegment
		}
		due = p[3] + 1
		p = p[wire.HeaderLen+n:]
	}
	return len(p) == 0 || whole >= leastSegment
}

const frameHeaderLen = wire.HeaderLen + 3

// isCompressedAnswer is isAnswer for frames. Only the first one's beginning is
// known to be that of a packet.
func isCompressedAnswer(p []byte, due byte) bool {
	whole := len(p)
	for first := true; len(p) > frameHeaderLen+1; first = false {
		n := int(p[0]) | int(p[1])<<8 | int(p[2])<<16
		stored := p[4] == 0 && p[5] == 0 && p[6] == 0
		body := p[frameHeaderLen:]
		switch {
		case n == 0 || p[3] != due && (first || p[3] != 1):
			return false
		case stored && first && !begins(body[:min(n, len(body))]), !stored && !isDeflated(body):
			return false
		case len(body) < n:
			return whole >= leastSegment
		}
		due = p[3] + 1
		p = body[n:]
	}
	return len(p) == 0 || whole >= leastSegment
}

// begins is isAnswer for what is inside a frame, where servers number packets as
// they like.
func begins(p []byte) bool { return len(p) > wire.HeaderLen && isAnswer(p, p[3]) }

// isDeflated reports whether p begins like a stream of zlib (RFC 1950 section 2.2).
func isDeflated(p []byte) bool {
	return len(p) > 1 && p[0]&0x0F == 8 && (int(p[0])<<8|int(p[1]))%31 == 0
}

// isCompressedCommand is isCommand for frames.
func isCompressedCommand(p []byte) bool {
	whole := len(p)
	for len(p) >= frameHeaderLen+wire.HeaderLen+1 {
		n := int(p[0]) | int(p[1])<<8 | int(p[2])<<16
		stored := p[4] == 0 && p[5] == 0 && p[6] == 0
		body := p[frameHeaderLen:]
		switch {
		case p[3] != 0 || n == 0:
			return false
		case stored && !isCommand(body[:min(n, len(body))]), !stored && !isDeflated(body):
			return false
		case len(body) < n:
			return whole >= leastSegment
		}
		if p = body[n:]; len(p) == 0 {
			return true
		}
	}
	return false
}

// isTLS reports whether p begins like a record of TLS.
func isTLS(p []byte) bool {
	return p[0] >= 20 && p[0] <= 23 && p[1] == 3 && p[2] >= 1 && p[2] <= 4
}
