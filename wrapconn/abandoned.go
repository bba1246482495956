package wrapconn

import (
	"context"
	"errors"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// A context that ends while the server is at work on a command is no violation
// of anything, and the commonest failure of all. go-sql-driver closes the
// connection over it; what stood there then is noted by Close, and Abandoned, on
// the goroutine of the operation, says whether it was the context.

// noteClose notes what is outstanding when this side closes the connection in the
// middle of an operation.
func (c *Conn) noteClose() {
	if c.leaving.Load() || c.closed.Load() || !c.owner.active() {
		return
	}
	c.mu.Lock()
	defer c.unlock()
	p := c.talk.Phase()
	if c.fatal == nil && c.open == nil && (p.Answering() || p.Connecting()) {
		s := c.sceneLocked()
		c.open = &s
	}
	if p.Connecting() { // DeadlineExceeded comes when the socket is gone
		_ = c.noteUnread()
	}
}

// Abandoned tells the connection, before End, that the operation under way has
// failed. If its context had ended while a command was unanswered or the login was
// not over, the operation counts as abandoned: it is counted, kept for
// LastAbandoned, and reported as a notice if Options.Abandoned is set. The
// operation's error stays as it is: Take does not return this report.
func (c *Conn) Abandoned() {
	op := c.owner.snapshot()
	if op.kind == OpNone || op.ctx == nil || op.ctx.Err() == nil {
		return
	}
	s := c.takeOpen()
	if s == nil {
		return
	}
	e := s.evidence
	e.Abandoned = cause.AbandonCanceled
	if errors.Is(op.ctx.Err(), context.DeadlineExceeded) {
		e.Abandoned = cause.AbandonDeadline
	}
	owner := c.export(&op, s.now)
	e.Owner = owner.party()
	c.testify(&e)
	r := c.newReport(&e, c.start.Add(s.now), s.connection)
	r.Owner, r.Context, r.OpaqueReason = owner, op.ctx, s.opaque
	r.History, r.Forgotten = s.history.Packets()
	counters.abandoned.Add(1)
	lastAbandoned.keep(r.detached())
	if c.opts.Abandoned {
		c.tell(r)
	}
}

// takeOpen returns what was outstanding, once. The client may learn of the end
// of the context a moment before it closes the connection.
func (c *Conn) takeOpen() *scene {
	c.mu.Lock()
	defer c.unlock()
	s := c.open
	if c.fatal != nil || c.left {
		return nil
	}
	if p := c.talk.Phase(); s == nil && (p.Answering() || p.Connecting()) {
		now := c.sceneLocked()
		s = &now
	}
	c.open, c.left = nil, s != nil
	return s
}
