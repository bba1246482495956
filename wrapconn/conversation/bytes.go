package conversation

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Bytes takes the next bytes of a side. Call it with the client's bytes before the
// server can have answered them. p is not kept; if it must be held back, it is
// copied.
func (c *Conversation) Bytes(dir session.Direction, p []byte, now time.Duration) {
	if len(p) == 0 {
		return
	}
	c.now = now
	defer c.rescue()
	c.of(dir).taken += int64(len(p))
	if c.x != nil {
		if dir == session.FromClient {
			c.x.opening.take(p)
		}
		if c.holding() {
			c.hold(dir, p)
			return
		}
	}
	c.take(dir, p)
	if c.x != nil {
		c.afterTake(dir, len(p))
	}
	c.fine = true
}

func (c *Conversation) of(dir session.Direction) *half {
	if dir == session.FromClient {
		return &c.client
	}
	return &c.server
}

// take looks at bytes that can be looked at now.
func (c *Conversation) take(dir session.Direction, p []byte) {
	m, phase := &c.marks, c.tracker.Phase()
	if dir == session.FromServer {
		if phase.Answering() && m.read > m.command && !c.listening {
			m.gap(c.now, c.server.taken-int64(len(p)))
		}
		c.feed(dir, p)
		if phase == session.PhaseGreeting && c.server.taken == int64(len(p)) && c.Found() {
			c.foundFirst(p)
		}
		if !c.listening { // the client is not reading any more
			m.read = c.now
		}
		return
	}
	c.listening = false // the client goes on: what failed was not the end
	if phase.Connecting() {
		m.paused = m.waits(c.now)
		m.ownPause = max(m.ownPause, m.paused)
		m.turn, m.heard = false, c.server.taken
	}
	if phase == session.PhaseReady || phase >= session.PhaseUntracked && m.read > m.write { // of what is not seen, behind the server's last word
		m.before = c.client.taken - int64(len(p))
	}
	c.feed(dir, p)
	m.write = c.now
}

// feed gives bytes to the layers of one direction.
func (c *Conversation) feed(dir session.Direction, p []byte) {
	f := &c.of(dir).frames
	f.now = c.now
	if c.hidden && c.tls == nil {
		return // TLS that is not seen through still has its alerts
	}
	for len(p) > 0 {
		if c.x == nil && c.tls == nil && c.comp == nil { // the usual case
			p = p[f.r.Feed(p):]
			continue
		}
		if c.x != nil && c.x.unaligned && dir == session.FromClient && !c.within() {
			c.lose() // the answer to the last command was not found
		}
		if c.x != nil && c.x.searching {
			if p = c.search(dir, p); len(p) == 0 {
				return
			}
		}
		if c.x != nil && c.x.unaligned && dir == session.FromServer {
			if p = c.align(p); len(p) == 0 {
				return
			}
		}
		switch {
		case c.tls != nil:
			c.tls.feed(dir, p)
			return
		case c.comp != nil:
			c.comp.of(dir).Feed(p)
			return
		case c.x != nil && dir == session.FromClient:
			p = p[c.x.tap.Feed(p):]
		default:
			p = p[f.r.Feed(p):]
		}
	}
}

// rescue is to be deferred. Whatever goes wrong in this package is its own fault
// and must not become its user's: the conversation is then opaque.
func (c *Conversation) rescue() {
	if c.fine { // recover is not free
		c.fine = false
		return
	}
	if r := recover(); r != nil {
		c.counts.Panics++
		c.hidden, c.reason = true, "internal error of the guard"
		c.counts.Opaque = 1
		c.tracker.Opaque()
		c.dropTLS()
		c.x.drop()
	}
}

// dropTLS erases the keys and looks at records no more. It must not panic: the
// layer may be what did.
func (c *Conversation) dropTLS() {
	defer func() { _ = recover() }()
	if v := c.tls; v != nil {
		c.tls = nil
		v.view.Zero()
	}
}

// Opaque gives up seeing packets, for a reason that goes into reports.
func (c *Conversation) Opaque(reason string, now time.Duration) {
	c.now = now
	defer c.rescue()
	c.hide(reason)
	if c.x != nil {
		c.drain()
	}
}

func (c *Conversation) hide(reason string) {
	if c.hidden {
		return
	}
	c.hidden, c.reason = true, reason
	c.tracker.Opaque()
	c.counts.Opaque = 1
	if c.tls != nil {
		c.tls.view.GiveUp(reason)
	}
}
