package wrapconn

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/internal/callers"
)

// owner says who may use a connection: one operation at a time.
//
// An operation takes the owner at its beginning and releases it at its end. A
// query whose result is not finished leaves a lease behind: until the rows are
// closed or read to their end, only the holder of the rows may use the
// connection. The rule is "no overlap", not "the same goroutine": database/sql
// lawfully moves a connection between goroutines.
//
// All its methods may be called from any goroutine at any time; those that conflict
// with the operation under way return a conflict, which changes nothing.
type owner struct {
	// state is also the lock of op: who finds it ownerLocked waits. A mutex
	// besides it would make up a fifth of the cost of an operation.
	state atomic.Uint32
	op    operation // of the holder; after a query, of the lease
}

const (
	ownerFree   uint32 = iota
	ownerHeld          // an operation is inside
	ownerLeased        // a result is out, nobody is inside
	ownerInside        // a result is out and its holder is inside
	ownerLocked        // op is being written or copied: for some nanoseconds
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
func (o *owner) begin(kind OpKind, ctx context.Context, now time.Duration, sites bool) (Conflict, *operation) {
	if !o.state.CompareAndSwap(ownerFree, ownerLocked) {
		if conflict, holder := o.lockFree(); conflict != NoConflict {
			return conflict, holder
		}
	}
	o.op.kind, o.op.ctx, o.op.started, o.op.ncaller = kind, ctx, now, 0
	o.op.goroutine = callers.Goroutine()
	if sites {
		o.op.ncaller = callers.Record(o.op.callers[:])
	}
	o.state.Store(ownerHeld)
	return NoConflict, nil
}

// lockFree locks an owner that nobody holds, or says who holds it. It is for the
// case that it was held a moment ago.
func (o *owner) lockFree() (Conflict, *operation) {
	for !o.state.CompareAndSwap(ownerFree, ownerLocked) {
		switch state, holder := o.copy(); state {
		case ownerFree: // by now
		case ownerLeased:
			return Interleaving, &holder
		default:
			return Overlap, &holder
		}
	}
	return NoConflict, nil
}

// end releases the owner, or turns the operation into a lease. The operation is
// not wiped: see forget.
func (o *owner) end(lease bool) {
	if lease {
		o.leave(ownerHeld, ownerLeased)
	} else {
		o.leave(ownerHeld, ownerFree)
	}
}

// beginInside lets the holder of a lease in.
func (o *owner) beginInside() (Conflict, *operation) {
	if o.state.CompareAndSwap(ownerLeased, ownerInside) { // all of the usual case: it is inlined
		return NoConflict, nil
	}
	return o.waitInside()
}

func (o *owner) waitInside() (Conflict, *operation) {
	for !o.state.CompareAndSwap(ownerLeased, ownerInside) {
		if state, holder := o.copy(); state != ownerLeased {
			return Overlap, &holder
		}
	}
	return NoConflict, nil
}

// endInside lets the holder of a lease out; done gives the lease up.
func (o *owner) endInside(done bool) {
	if done {
		o.leave(ownerInside, ownerFree)
	} else {
		o.leave(ownerInside, ownerLeased)
	}
}

// drop gives a lease up without entering: the rows are at their end. It does
// nothing while somebody is inside, who gives the lease up when he leaves.
func (o *owner) drop() { o.leave(ownerLeased, ownerFree) }

// leave changes the state from what it is to the caller, who alone may do so.
func (o *owner) leave(from, to uint32) {
	if !o.state.CompareAndSwap(from, to) { // hardly ever: the rest is inlined
		o.waitLeave(from, to)
	}
}

func (o *owner) waitLeave(from, to uint32) {
	for !o.state.CompareAndSwap(from, to) {
		// It may be from again by now: who locked it has had his look.
		if s := o.state.Load(); s != ownerLocked && s != from {
			return // begin was never called: nothing to leave
		}
		runtime.Gosched()
	}
}

// forget wipes the last operation of an owner that nobody holds: its context
// must not be kept alive by a connection that lies idle.
func (o *owner) forget() {
	if o.state.CompareAndSwap(ownerFree, ownerLocked) {
		o.op.kind, o.op.ctx = OpNone, nil
		o.state.Store(ownerFree)
	}
}

// active reports whether anybody may be reading or writing.
func (o *owner) active() bool { return o.state.Load() != ownerFree }

// copy returns the state and the operation of the holder or of the lease; its
// kind is OpNone if there is none.
func (o *owner) copy() (uint32, operation) {
	for {
		switch state := o.state.Load(); {
		case state == ownerFree:
			return state, operation{}
		case state != ownerLocked && o.state.CompareAndSwap(state, ownerLocked):
			op := o.op
			o.state.Store(state)
			return state, op
		}
		runtime.Gosched()
	}
}

// last is copy, and of an owner that nobody holds the operation that was the
// last one, unless that was forgotten.
func (o *owner) last() (uint32, operation) {
	for {
		switch state := o.state.Load(); {
		case state != ownerLocked && o.state.CompareAndSwap(state, ownerLocked):
			op := o.op
			o.state.Store(state)
			return state, op
		}
		runtime.Gosched()
	}
}

// calledBy reports whether the operation of last was called by those.
func (o *owner) calledBy(pcs []uintptr) bool {
	for {
		if state := o.state.Load(); state != ownerLocked && o.state.CompareAndSwap(state, ownerLocked) {
			same := slices.Equal(o.op.callers[:o.op.ncaller], pcs)
			o.state.Store(state)
			return same
		}
		runtime.Gosched()
	}
}

// brief is last without what takes longer to copy.
func (o *owner) brief() (state uint32, kind OpKind, started time.Duration) {
	for {
		switch state := o.state.Load(); {
		case state != ownerLocked && o.state.CompareAndSwap(state, ownerLocked):
			kind, started = o.op.kind, o.op.started
			o.state.Store(state)
			return state, kind, started
		}
		runtime.Gosched()
	}
}

// started returns when the operation of the holder began.
func (o *owner) started() time.Duration {
	_, op := o.copy()
	return op.started
}

// snapshot returns the operation of the holder or of the lease.
func (o *owner) snapshot() operation {
	_, op := o.copy()
	return op
}
