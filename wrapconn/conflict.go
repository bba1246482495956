package wrapconn

import (
	"context"
	"runtime"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/internal/callers"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// refuse reports an operation that may not begin because of holder's. In
// Enforce mode it returns the error for it.
func (c *Conn) refuse(ctx context.Context, kind OpKind, conflict Conflict, holder *operation) error {
	op := operation{kind: kind, ctx: ctx, goroutine: callers.Goroutine()}
	if c.opts.CallSites {
		op.ncaller = runtime.Callers(3, op.callers[:])
	}
	o := cause.OwnershipOverlap
	if conflict == Interleaving {
		o = cause.OwnershipInterleaving
	}
	r := c.conflict(op, holder, conflict, o)
	if r == nil {
		return nil
	}
	c.deliver([]*Report{r})
	if c.opts.Mode == Observe {
		return nil
	}
	return &OwnershipError{Report: r.detached()}
}

// overlappedIO reports a Read during a Read, or a Write during a Write.
func (c *Conn) overlappedIO(dir session.Direction) error {
	return c.stray(dir, Overlap, cause.OwnershipOverlap)
}

// strayIO reports a Read or Write while no operation is under way.
func (c *Conn) strayIO(dir session.Direction) error {
	return c.stray(dir, NoConflict, cause.OwnershipOutside)
}

func (c *Conn) stray(dir session.Direction, conflict Conflict, o cause.Ownership) error {
	if c.closed.Load() {
		return nil // the inner connection says so better
	}
	kind := OpRead
	if dir == session.FromClient {
		kind = OpWrite
	}
	op := operation{kind: kind, ctx: context.Background(), goroutine: callers.Goroutine()}
	op.ncaller = runtime.Callers(3, op.callers[:])
	holder := c.owner.snapshot()
	r := c.conflict(op, &holder, conflict, o)
	if r == nil {
		return nil
	}
	c.deliver([]*Report{r})
	if c.opts.Mode == Observe {
		return nil
	}
	return &OwnershipError{Report: r.detached()}
}

// conflict makes the report of an intruder. It does not end the connection: the
// owner goes on. It returns nil if the guard has failed: the client decides then.
func (c *Conn) conflict(intruder operation, holder *operation, conflict Conflict, o cause.Ownership) (r *Report) {
	defer contain()
	stage("conflict")
	s := c.scene()
	now, e := s.now, s.evidence
	if intruder.started == 0 {
		intruder.started = now
	}
	e.Ownership = o
	e.NothingWritten = c.opts.Mode == Enforce
	in := c.export(&intruder, now)
	e.Intruder = in.party()
	var owner *Operation
	if holder.kind != OpNone {
		owner = c.export(holder, now)
		e.Owner = owner.party()
		e.Goroutines = goroutines(&intruder, holder)
	}
	made := c.newReport(&e, c.start.Add(now), s.connection)
	made.Conflict, made.Context, made.Intruder, made.Owner = conflict, intruder.ctx, in, owner
	made.OpaqueReason = s.opaque
	made.History, made.Forgotten = s.history.Packets()
	return made
}

// scene is what a report of a conflict needs of the conversation.
type scene struct {
	now        time.Duration
	evidence   cause.Evidence
	connection uint32
	opaque     string
	history    conversation.Excerpt
}

// scene holds the owner up, who has done nothing wrong, for no longer than it takes
// to copy: the report is made afterwards.
func (c *Conn) scene() scene {
	c.mu.Lock()
	defer c.unlock()
	return c.sceneLocked()
}

func (c *Conn) sceneLocked() (s scene) {
	s.now = c.now()
	s.evidence = c.talk.Evidence(s.now)
	c.evidence(&s.evidence)
	s.connection, s.opaque = c.talk.ConnectionID(), c.talk.State().OpaqueReason
	s.history = c.talk.Excerpt()
	return s
}
