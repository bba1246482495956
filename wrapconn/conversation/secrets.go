package conversation

import (
	"fmt"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// heldBytes are bytes that cannot be read before their secrets are known.
type heldBytes struct {
	at  time.Duration
	dir session.Direction
	b   []byte
	end *ending // of that side, behind bytes that are held back
}

// maxEarly bounds the lines of a key log that come before the ClientHello shows
// which of them are for this connection. Five lines are 0.8 KB.
const maxEarly = 16 << 10

// Secrets takes lines of a key log (the format of SSLKEYLOGFILE), whole ones.
// Those of other connections are left out. They may come before or after the
// bytes they are for; packets that waited for them are seen now, in retrospect.
// https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-05.html
func (c *Conversation) Secrets(lines []byte, now time.Duration) {
	c.now = now
	defer c.rescue()
	x := c.x
	switch {
	case c.hidden:
	case x == nil:
		if c.tls != nil {
			c.tls.view.WriteKeyLog(lines)
		}
	case !x.asked:
		if len(x.early)+len(lines) <= maxEarly {
			x.early = append(append(x.early, lines...), '\n')
		}
	default:
		c.offer(lines)
		c.drain()
	}
}

// ClientRandom returns the number by which a key log names the connection. It
// is known when the ClientHello has been seen.
func (c *Conversation) ClientRandom() (random [32]byte, known bool) {
	if c.tls == nil {
		return random, false
	}
	return c.tls.view.ClientRandom()
}

// clientSink is who gets the packets of the client.
func (c *Conversation) clientSink() wire.Sink {
	if c.x != nil {
		return &c.x.tap
	}
	return &c.client.frames.r
}

// holding reports whether what comes now has to wait: it comes behind what
// waits for secrets.
func (c *Conversation) holding() bool {
	return len(c.x.queue) > 0 || c.x.limit > 0 && c.tls != nil && c.tls.view.Waiting()
}

// hold keeps bytes of either side: what the other one says may depend on them.
func (c *Conversation) hold(dir session.Direction, p []byte) {
	x := c.x
	if x.held+len(p) > x.limit {
		c.hide(fmt.Sprintf("the secrets did not come within the %d bytes that are held back", x.limit))
		c.drain()
		c.take(dir, p)
		return
	}
	x.held += len(p)
	x.heldAt = c.now
	x.queue = append(x.queue, heldBytes{at: c.now, dir: dir, b: append([]byte(nil), p...)})
}

// afterTake notes what the TLS layer has found in n bytes.
func (c *Conversation) afterTake(dir session.Direction, n int) {
	x := c.x
	if c.tls == nil {
		return
	}
	if !x.asked && dir == session.FromClient {
		if random, known := c.tls.view.ClientRandom(); known {
			x.asked = true
			if x.keyLog != nil {
				c.offer(x.keyLog(random))
			}
			c.offer(x.early)
			clear(x.early)
			x.early = nil
		}
	}
	if x.limit > 0 && c.tls != nil && c.tls.view.Waiting() { // from here on
		x.held, x.heldAt, x.waitAt = n, c.now, c.now
	}
}

// offer gives the TLS layer secrets. What waits in it is as old as waitAt.
func (c *Conversation) offer(lines []byte) {
	if c.tls == nil || len(lines) == 0 {
		return
	}
	now := c.now
	if c.tls.view.Waiting() {
		c.now = c.x.waitAt
		c.server.frames.now, c.client.frames.now = c.now, c.now
	}
	c.tls.view.WriteKeyLog(lines)
	c.now = now
}

// drain goes on with what was held back, as far as the secrets reach.
func (c *Conversation) drain() {
	x, now := c.x, c.now
	for len(x.queue) > 0 && (c.tls == nil || !c.tls.view.Waiting()) {
		h := x.queue[0]
		x.queue[0] = heldBytes{}
		x.queue = x.queue[1:]
		c.now = h.at
		if h.end != nil {
			c.over(h.dir, *h.end)
			continue
		}
		c.take(h.dir, h.b)
		if c.tls != nil && c.tls.view.Waiting() {
			x.waitAt = h.at
		}
		x.held -= len(h.b)
	}
	if len(x.queue) == 0 {
		x.queue = nil
		if c.tls == nil || !c.tls.view.Waiting() {
			x.held = 0
		}
	}
	c.now = now
}
