package wrapconn

import "context"

// Begin takes the connection for an operation. A conflict is returned as an
// *OwnershipError; in Observe mode it is reported only, and taken is false:
// End must not be called then.
func (c *Conn) Begin(ctx context.Context, kind OpKind) (taken bool, err error) {
	conflict, holder := c.owner.begin(kind, ctx, c.now(), c.opts.CallSites)
	if conflict == NoConflict {
		return true, nil
	}
	return false, c.refuse(ctx, kind, conflict, holder)
}

// TryBegin is Begin without a report of a conflict, and without a call site. It is
// for a Close, which is allowed at any time, and for short checks.
func (c *Conn) TryBegin(ctx context.Context, kind OpKind) (taken bool) {
	if kind == OpClose {
		c.leaving.Store(true)
	}
	conflict, _ := c.owner.begin(kind, ctx, c.now(), false)
	return conflict == NoConflict
}

// End releases the connection. With lease, the operation's result is still to
// be read: only BeginLeased gets in until EndLeased gives the lease up.
func (c *Conn) End(lease bool) { c.owner.end(lease) }

// BeginLeased lets the holder of a lease in.
func (c *Conn) BeginLeased(ctx context.Context, kind OpKind) (taken bool, err error) {
	if conflict, holder := c.owner.beginInside(); conflict != NoConflict {
		return false, c.refuse(ctx, kind, conflict, holder)
	}
	return true, nil
}

// EndLeased lets the holder of a lease out. done gives the lease up.
func (c *Conn) EndLeased(done bool) {
	c.forgetMore()
	c.owner.endInside(done)
}

// MoreResults says that the holder of the lease has read a result to its end
// and that the server has announced another one.
func (c *Conn) MoreResults() { c.more.Store(true) }

func (c *Conn) forgetMore() {
	if c.more.Load() { // hardly ever: a load costs less than a store
		c.more.Store(false)
	}
}

// Forget drops what is kept of the last operation, such as its context. It is
// for a connection that goes back to the pool, and does nothing while an operation
// is under way.
func (c *Conn) Forget() { c.owner.forget() }

// Disown says that from now on the connection may be used without Begin: a Read
// or Write outside any operation is no violation any more.
func (c *Conn) Disown() { c.disowned.Store(true) }

// Leased reports whether the result of a query is still to be read. An operation
// that would write is refused meanwhile.
func (c *Conn) Leased() bool {
	state, _ := c.owner.copy()
	return state == ownerLeased || state == ownerInside
}

// Drop gives the lease up: its result has been read to the end.
func (c *Conn) Drop() {
	c.forgetMore()
	c.owner.drop()
}

// Spoke reports whether a byte has passed, in either direction, since the last
// operation began. Without one, the server has no part in how the operation failed.
func (c *Conn) Spoke() bool {
	_, _, since := c.owner.brief()
	c.mu.Lock()
	defer c.unlock()
	return c.talk.LastByte() >= since
}
