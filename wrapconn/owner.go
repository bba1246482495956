package wrapconn

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Owner says who may use a connection: one operation at a time.
//
// An operation takes the owner at its beginning and releases it at its end. A
// query whose result is not finished leaves a lease behind: until the rows are
// closed or read to their end, only the holder of the rows may use the
// connection. The rule is "no overlap", not "the same goroutine": database/sql
// lawfully moves a connection between goroutines.
//
// All methods may be called from any goroutine at any time; those that conflict
// with the operation under way return a conflict, which changes nothing.
type Owner struct {
	state atomic.Uint32

	// mu guards op. Begin writes it between the swap of state and its release,
	// under mu, so that an intruder who lost the swap reads the winner's.
	mu sync.Mutex
	op operation // of the holder; after a query, of the lease
	in OpKind    // of an operation inside the lease
}

const (
	ownerFree   uint32 = iota
	ownerHeld          // an operation is inside
	ownerLeased        // a result is out, nobody is inside
	ownerInside        // a result is out and its holder is inside
)

// Conflict is why an operation may not begin.
type Conflict uint8

const (
	NoConflict Conflict = iota
	// Overlap: another operation is inside.
	Overlap
	// Interleaving: the result of an earlier query is still open.
	Interleaving
)

func (c Conflict) String() string {
	switch c {
	case NoConflict:
		return "none"
	case Overlap:
		return "overlap"
	case Interleaving:
		return "interleaving"
	}
	return "invalid conflict"
}

// begin takes the owner for an operation. Of a conflict it returns the
// operation that was there first too: a moment later it may be gone.
func (o *Owner) begin(kind OpKind, ctx context.Context, now int64, sites bool) (Conflict, *operation) {
	o.mu.Lock()
	if !o.state.CompareAndSwap(ownerFree, ownerHeld) {
		c := Overlap
		if o.state.Load() == ownerLeased {
			c = Interleaving
		}
		holder := o.holder()
		o.mu.Unlock()
		return c, holder
	}
	o.op.kind, o.op.ctx, o.op.started, o.op.ncaller = kind, ctx, now, 0
	if sites {
		// Skip Callers, begin, Conn.Begin and the interceptor's method.
		o.op.ncaller = runtime.Callers(4, o.op.callers[:])
	}
	o.mu.Unlock()
	return NoConflict, nil
}

// holder copies the operation of the holder or of the lease, with mu held.
func (o *Owner) holder() *operation {
	op := o.op
	return &op
}

// end releases the owner, or turns the operation into a lease.
func (o *Owner) end(lease bool) {
	if lease {
		o.state.Store(ownerLeased)
		return
	}
	o.mu.Lock()
	o.op.kind, o.op.ctx = OpNone, nil // the context must not outlive the operation here
	o.state.Store(ownerFree)
	o.mu.Unlock()
}

// beginInside lets the holder of a lease in.
func (o *Owner) beginInside(kind OpKind) (Conflict, *operation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.state.CompareAndSwap(ownerLeased, ownerInside) {
		return Overlap, o.holder()
	}
	o.in = kind
	return NoConflict, nil
}

// endInside lets the holder of a lease out; done gives the lease up.
func (o *Owner) endInside(done bool) {
	o.mu.Lock()
	o.in = OpNone
	o.mu.Unlock()
	o.end(!done)
}

// drop gives a lease up without entering: the rows are at their end. It does
// nothing while somebody is inside, who gives the lease up when he leaves.
func (o *Owner) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state.CompareAndSwap(ownerLeased, ownerFree) {
		o.op.kind, o.op.ctx = OpNone, nil
	}
}

// active reports whether anybody may be reading or writing.
func (o *Owner) active() bool { return o.state.Load() != ownerFree }

// started returns when the operation of the holder began.
func (o *Owner) started() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.op.started
}

// snapshot copies the operation of the holder or of the lease; its kind is
// OpNone if there is none.
func (o *Owner) snapshot() operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	op := o.op
	return op
}
