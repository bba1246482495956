package wrapconn

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Use is what a connection is doing, as far as it matters to callers that wait
// for one.
type Use uint8

const (
	// UseFree: in its pool, or nobody has used it yet.
	UseFree Use = iota
	// UseConnecting: its login is not over.
	UseConnecting
	// UseHeld: somebody has taken it out of the pool, and nothing is under way.
	UseHeld
	// UseIdleInTransaction: a transaction is open, and nothing is under way.
	UseIdleInTransaction
	// UseRowsOpen: the result of a query is open.
	UseRowsOpen
	// UseRunning: an operation is under way.
	UseRunning

	// NumUses is how many there are.
	NumUses
)

var useNames = [NumUses]string{"free", "connecting", "idle", "idle in transaction", "rows open", "running"}

func (u Use) String() string {
	if u < NumUses {
		return useNames[u]
	}
	return "invalid use " + strconv.Itoa(int(u))
}

// Overview counts the guarded connections of this process by what they are doing,
// and has some of them in detail.
type Overview struct {
	Time          time.Time
	Servers       map[string]int // open connections of each server, whatever was asked for
	Total         int            // connections of those asked for, as what follows
	Uses          [NumUses]int
	InTransaction int
	Holders       []HolderGroup // most first
	Connections   []Snapshot    // a part of them
}

// OverviewOptions select what is in an Overview. The zero value selects only
// counts.
type OverviewOptions struct {
	Server string // "" for all
	// Skip and Limit choose the part of the connections that is returned in detail.
	Skip, Limit int
	// Packets is how many packets of each of those are returned, the last ones; 0 for
	// all that are kept.
	Packets int
	// ByID sorts them by server and by the server's id of them, so that one page
	// follows upon another. Otherwise those that somebody wants to see come first:
	// broken ones, those in use, longest first, then those that are held and idle,
	// and those that are free.
	ByID bool
}

// LookAt takes an Overview. It locks one connection at a time, for a moment; those
// that it returns for as long as it takes to copy their history.
func LookAt(o OverviewOptions) Overview {
	out := Overview{Time: time.Now(), Servers: map[string]int{}}
	conns := registered()
	list := newSelection(&o, len(conns))
	var holders groups
	last, n := "", 0 // most come from the same server as the one before
	for _, c := range conns {
		s := c.opts.Server
		if s != last {
			out.Servers[last] += n
			last, n = s, 0
		}
		n++
		if o.Server != "" && o.Server != s {
			continue
		}
		g := c.glimpse(out.Time)
		list.add(&g)
		out.Total++
		out.Uses[g.use]++
		if g.tx {
			out.InTransaction++
		}
		if g.taken > 0 {
			holders.add(&g)
		}
	}
	out.Servers[last] += n
	if out.Servers[""] == 0 {
		delete(out.Servers, "")
	}
	out.Holders = holders.list()
	if o.Packets <= 0 {
		o.Packets = math.MaxInt
	}
	listed := list.sorted()
	out.Connections = slices.Grow(out.Connections, len(listed))
	for i := range listed {
		out.Connections = append(out.Connections, listed[i].conn.snapshot(o.Packets))
	}
	return out
}

// selection is the part of the connections that is asked for. Of many few are, so not all
// are kept and sorted: those that come first so far are in a heap, the last of them at
// its top.
type selection struct {
	heap []glimpse
	most int // entries of the heap
	skip int
	byID bool
}

// newSelection is for at most n connections.
func newSelection(o *OverviewOptions, n int) selection {
	p := selection{skip: max(o.Skip, 0), byID: o.ByID}
	if o.Limit > 0 && p.skip < n {
		p.most = p.skip + min(n-p.skip, o.Limit) // a Limit may be the largest int there is
		p.heap = make([]glimpse, 0, p.most)
	}
	return p
}

func (p *selection) add(g *glimpse) {
	switch {
	case len(p.heap) < p.most:
		p.heap = append(p.heap, *g)
		if len(p.heap) == p.most {
			for at := p.most/2 - 1; at >= 0; at-- {
				p.sink(at)
			}
		}
	case p.most > 0 && g.compare(&p.heap[0], p.byID) < 0:
		p.heap[0] = *g
		p.sink(0)
	}
}

// sorted returns it in its order. Nothing can be added after.
func (p *selection) sorted() []glimpse {
	slices.SortFunc(p.heap, func(a, b glimpse) int { return a.compare(&b, p.byID) })
	return p.heap[min(p.skip, len(p.heap)):]
}

// sink restores the heap below at.
func (p *selection) sink(at int) {
	heap := p.heap
	for {
		next := 2*at + 1
		if next >= len(heap) {
			return
		}
		if r := next + 1; r < len(heap) && heap[r].compare(&heap[next], p.byID) > 0 {
			next = r
		}
		if heap[at].compare(&heap[next], p.byID) >= 0 {
			return
		}
		heap[at], heap[next] = heap[next], heap[at]
		at = next
	}
}

// glimpse is what can be said of a connection at little cost.
type glimpse struct {
	conn   *Conn
	server string // copied: a sort that goes back to ten thousand connections waits for memory most of the time
	id     uint32
	use    Use
	bad    bool // broken, a Read waits for what is not due, or the rows are garbage
	tx     bool
	lost   bool          // its rows are garbage
	since  time.Duration // for how long it has been at this
	taken  time.Duration // for how long it has been out of its pool; 0 if it is there
}

// glimpse is taken at that moment, or a little later: of many connections, the clock
// is not read for each.
func (c *Conn) glimpse(at time.Time) (g glimpse) {
	state, kind, started := c.owner.brief()
	taken := time.Duration(c.taken.Load())
	c.mu.Lock()
	g.id, g.tx = c.talk.ConnectionID(), c.talk.InTransaction() || c.tx.Load()
	phase, quiet := c.talk.Phase(), c.talk.LastByte()
	c.fine = true
	c.unlock()
	now := at.Sub(c.start)
	g.conn, g.server = c, c.opts.Server
	g.lost = c.rowsLost.Load()
	g.bad = c.broken.Load() || c.unowed.Load() != 0 || g.lost
	if taken > 0 && kind != OpNone && kind != OpConnect { // database/sql may have made it in reserve
		g.taken = max(now-taken, 1)
	}
	switch {
	case phase.Connecting():
		g.use, g.since = UseConnecting, now
	case state == ownerLeased || state == ownerInside:
		g.use, g.since = UseRowsOpen, now-started
	case state != ownerFree:
		g.use, g.since = UseRunning, now-started
	case !c.opts.Operations && phase.Answering():
		g.use, g.since = UseRunning, now-quiet
	case g.tx:
		g.use, g.since = UseIdleInTransaction, now-quiet
	case g.taken > 0:
		g.use, g.since = UseHeld, now-quiet
	}
	g.since = max(g.since, 0) // it may have begun since then
	return g
}

// rank is how much somebody wants to see it who looks for trouble.
func (g *glimpse) rank() int {
	switch {
	case g.bad:
		return 3
	case g.use == UseFree:
		return 0
	case g.use == UseHeld:
		return 1
	}
	return 2
}

// compare is negative if g comes before o.
func (g *glimpse) compare(o *glimpse, byID bool) int {
	if !byID {
		if c := cmp.Compare(o.rank(), g.rank()); c != 0 {
			return c
		}
		if c := cmp.Compare(o.since, g.since); c != 0 {
			return c
		}
	}
	if c := strings.Compare(g.server, o.server); c != 0 {
		return c
	}
	if c := cmp.Compare(g.id, o.id); c != 0 {
		return c
	}
	return g.conn.start.Compare(o.conn.start)
}
