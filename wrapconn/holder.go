package wrapconn

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Holder is a connection that somebody has taken out of the pool, and what is
// known of who that is.
type Holder struct {
	Server     string // address as the user wrote it
	Connection uint32 // the server's id of the connection
	Held       time.Duration
	// Last is the operation under way, or the last one since the connection was
	// taken; nil if there was none.
	Last *Operation
	// Rows: a result is open.
	Rows bool
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

// State is what the holder is at: "running", "rows open", "idle in transaction",
// "idle".
func (h *Holder) State() string {
	switch {
	case h.Rows:
		return "rows open"
	case !h.Idle:
		return "running"
	case h.InTransaction:
		return "idle in transaction"
	}
	return "idle"
}

// CheckOut is Check for a connection that leaves the pool: from now on somebody
// holds it, until Returned.
func (c *Conn) CheckOut() error {
	met, now, refuse := c.checkNow()
	c.deliver(met)
	c.taken.Store(int64(now))
	return refuse
}

// Returned says that the connection goes back to the pool.
func (c *Conn) Returned() {
	c.taken.Store(0)
	c.toldHeld.Store(false)
}

// Holders returns who has taken connections out of their pools, longest first:
// of the connections whose Options.Pool is pool, or for nil of all. It holds
// nobody up for longer than a look takes.
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
	h = Holder{Server: c.opts.Server, Held: now - time.Duration(taken), Rows: state == ownerLeased || state == ownerInside, Idle: state == ownerFree}
	switch op.kind {
	case OpConnect:
		return h, false // database/sql may have made it in reserve: it is in the pool, or not used yet
	case OpNone, OpReset, OpClose:
	default:
		h.Last = c.export(&op, now).detached()
	}
	c.mu.Lock()
	h.Connection, h.InTransaction = c.talk.ConnectionID(), c.talk.InTransaction()
	c.unlock()
	return h, true
}

// sites says who the holders are, by call site and state, most first, in one
// line: "17 by shop/list.go:10 (rows open)".
func sites(holders []Holder) string {
	type group struct {
		name string
		n    int
	}
	var groups []group
	for i := range holders {
		h := &holders[i]
		name := cmp.Or(h.Site(), "an unknown call site") + " (" + h.State() + ")"
		at := slices.IndexFunc(groups, func(g group) bool { return g.name == name })
		if at < 0 {
			groups = append(groups, group{name: name})
			at = len(groups) - 1
		}
		groups[at].n++
	}
	slices.SortStableFunc(groups, func(a, b group) int { return b.n - a.n })
	s := ""
	for i, g := range groups {
		switch {
		case i == maxSites:
			return s + ", and others"
		case i > 0:
			s += ", "
		}
		s += strconv.Itoa(g.n) + " by " + g.name
	}
	return s
}

// maxSites bounds how many call sites a sentence has.
const maxSites = 5

// heldTooLong reports the connections that are held for longer than their
// options allow, each holder once. It is called once a second.
func heldTooLong() {
	for _, c := range registered() {
		limit := c.opts.HeldTooLong
		if limit <= 0 || c.toldHeld.Load() {
			continue
		}
		if h, ok := c.holder(); ok && h.Held >= limit && !c.toldHeld.Swap(true) {
			c.tellHeld(&h)
		}
	}
}

func (c *Conn) tellHeld(h *Holder) {
	c.mu.Lock()
	now := c.now()
	e := c.talk.Evidence(now)
	id := c.talk.ConnectionID()
	c.unlock()
	e.Held, e.HeldAs = h.Held, h.State()
	if h.Last != nil {
		e.Owner = h.Last.party()
	}
	r := c.newReport(&e, c.start.Add(now), id)
	r.Owner, r.Goroutine = h.Last, ""
	c.tell(r)
}

// PoolExhausted makes and tells the report of a pool whose callers wait because
// all its connections are held: waits of them since the last time, for waited
// together. The connections are those whose Options.Pool is pool. It returns nil
// if none of them is held.
func PoolExhausted(pool any, limit, inUse int, waits int64, waited time.Duration) *Report {
	holders := Holders(pool)
	if len(holders) == 0 {
		return nil
	}
	for _, c := range registered() {
		if c.opts.Pool != pool {
			continue
		}
		e := cause.Evidence{PoolWaits: waits, PoolWaited: waited, PoolLimit: limit, PoolInUse: inUse, Held: holders[0].Held, HeldAs: sites(holders)}
		r := &Report{
			Time: time.Now(), Cause: cause.Diagnose(&e), Evidence: e, Server: c.opts.Server, Network: c.opts.Network,
			Database: c.opts.Database, Context: context.Background(), Owner: holders[0].Last,
		}
		c.tell(r)
		return r
	}
	return nil
}
