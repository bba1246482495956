package wrapconn

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/clock"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Holder is a connection that is out of the pool, and what is known about who
// took it.
type Holder struct {
	Server     string // address as the user wrote it
	Connection uint32 // the server's id of the connection
	Held       time.Duration
	// Last is the operation under way, or the last one since the connection was
	// taken; nil if there was none.
	Last *Operation
	// Rows: a result is open. RowsLost: it was dropped without a Close, so nobody
	// can give the connection back.
	Rows, RowsLost bool
	// InTransaction by the server's last status; Idle if nobody is inside, and no
	// result is open.
	InTransaction, Idle bool
}

// Site names where the holder is, "" if that is not known.
func (h *Holder) Site() string {
	f, ok := h.Last.Site()
	if !ok {
		return ""
	}
	return shortFile(f.File) + ":" + strconv.Itoa(f.Line)
}

// State is what the holder is doing: "running", "rows open", "rows never closed",
// "idle in transaction", "idle".
func (h *Holder) State() string {
	switch {
	case h.Rows:
		return stateOf(UseRowsOpen, h.RowsLost)
	case !h.Idle:
		return UseRunning.String()
	case h.InTransaction:
		return UseIdleInTransaction.String()
	}
	return UseHeld.String()
}

// CheckOut does TryBegin of an OpReset, and Check, for a connection that leaves
// the pool. The connection counts as held until Returned. If another operation is
// using it, taken is false, and in Enforce mode nothing else is done.
func (c *Conn) CheckOut(ctx context.Context) (taken bool, err error) {
	now := c.now()
	conflict, _ := c.owner.begin(OpReset, ctx, now, false)
	taken = conflict == NoConflict
	if !taken && c.opts.Mode == Enforce {
		return false, nil
	}
	met, refuse := c.checkAt(now)
	c.deliver(met)
	c.taken.Store(int64(now))
	return taken, refuse
}

// Returned says that the connection goes back to the pool, or is closed. It
// returns the time since which it was out, or the zero Time if it was not.
func (c *Conn) Returned() (taken time.Time) {
	if at := c.taken.Swap(0); at > 0 {
		taken = c.start.Add(time.Duration(at))
	}
	c.PutBack()
	return taken
}

// PutBack is Returned for callers that do not ask how long it was out.
func (c *Conn) PutBack() {
	if c.taken.Load() != 0 {
		c.taken.Store(0)
	}
	if c.toldHeld.Load() {
		c.toldHeld.Store(false)
	}
}

// Holders returns the connections that are out of their pools, longest first:
// those whose Options.Pool is pool, or all if pool is nil. LookAt groups them by
// call site. It locks one connection at a time, for a moment.
func Holders(pool any) []Holder {
	var out []Holder
	for _, c := range registered() {
		if pool != nil && c.opts.Pool != pool {
			continue
		}
		if h, ok := c.holder(); ok {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(b.Held, a.Held), cmp.Compare(a.Connection, b.Connection))
	})
	return out
}

func (c *Conn) holder() (h Holder, ok bool) {
	taken := c.taken.Load()
	if taken == 0 || c.closed.Load() {
		return h, false
	}
	now := c.now()
	state, op := c.owner.last()
	h = Holder{Server: c.opts.Server, Held: now - time.Duration(taken), Rows: state == ownerLeased || state == ownerInside, RowsLost: c.rowsLost.Load(), Idle: state == ownerFree}
	switch op.kind {
	case OpNone, OpConnect:
		return h, false // database/sql may have made it in reserve: it is in the pool, or not used yet
	case OpReset, OpClose:
	default:
		h.Last = c.export(&op, now).detached()
	}
	c.mu.Lock()
	h.Connection, h.InTransaction = c.talk.ConnectionID(), c.talk.InTransaction()
	c.unlock()
	return h, true
}

// heldTooLong reports the connections that are held for longer than their
// options allow, each holder once. It is called once a second.
func heldTooLong() {
	for _, c := range registered() {
		limit := c.opts.HeldTooLong
		if limit <= 0 || c.toldHeld.Load() || c.elsewhere() {
			continue
		}
		if h, ok := c.holder(); ok && h.Held >= limit && !c.toldHeld.Swap(true) {
			c.tellHeld(&h)
		}
	}
}

// elsewhere reports whether the connection has another clock than the caller: one
// of the two is in a bubble of testing/synctest.
func (c *Conn) elsewhere() bool { return clock.Other(c.now()) }

func (c *Conn) tellHeld(h *Holder) {
	now, e, id := c.heldScene()
	e.Held, e.HeldAs, e.RowsLost = h.Held, h.State(), h.RowsLost
	if h.Last != nil {
		e.Owner = h.Last.party()
	}
	r := c.newReport(&e, c.start.Add(now), id)
	r.Owner, r.Goroutine = h.Last, ""
	c.tell(r)
}

// heldScene is what the conversation knows at this moment.
func (c *Conn) heldScene() (now time.Duration, e cause.Evidence, connection uint32) {
	c.mu.Lock()
	defer c.unlock()
	now = c.now()
	return now, c.talk.Evidence(now), c.talk.ConnectionID()
}

// RowsLost says that the rows of the lease are garbage: the program has dropped
// them without a Close. Nothing can close them any more, so the connection cannot
// go back to its pool. This is reported once.
func (c *Conn) RowsLost() {
	defer contain()
	if c.elsewhere() {
		return // the collector is in no bubble, and how long the rows were held there is not known here
	}
	h, ok := c.holder()
	if !ok || !h.Rows || c.rowsLost.Swap(true) {
		return
	}
	c.toldHeld.Store(true) // that it is held for long is no news then
	h.RowsLost = true
	c.tellHeld(&h)
}

// PoolExhausted makes and delivers the report of a pool whose callers wait because
// all its connections are held. waits is the number of callers that had to wait
// since the last report, and waited how long they waited in all. The connections
// are those whose Options.Pool is pool. PoolExhausted returns nil if none of them
// is held.
func PoolExhausted(pool any, limit, inUse int, waits int64, waited time.Duration) *Report {
	var all groups
	var one *Conn
	now := time.Now()
	for _, c := range registered() {
		if c.opts.Pool != pool {
			continue
		}
		if g := c.glimpse(now); g.taken > 0 {
			all.add(&g)
			one = c
		}
	}
	holders := all.list()
	if one == nil || len(holders) == 0 {
		return nil
	}
	longest := slices.MaxFunc(holders, func(a, b HolderGroup) int { return cmp.Compare(a.Held, b.Held) })
	e := cause.Evidence{PoolWaits: waits, PoolWaited: waited, PoolLimit: limit, PoolInUse: inUse, Held: longest.Held, HeldAs: HolderSites(holders)}
	r := &Report{
		Time: time.Now(), Cause: cause.Diagnose(&e), Evidence: e, Server: one.opts.Server, Network: one.opts.Network,
		Database: one.opts.Database, Context: context.Background(), Owner: longest.Last, traced: new(traced),
	}
	one.tell(r)
	return r
}
