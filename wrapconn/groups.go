package wrapconn

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// HolderGroup is a set of connections that the same line of the program took out
// of their pools and that are in the same state.
type HolderGroup struct {
	Pool  any // their Options.Pool
	Count int
	Use   Use
	// RowsLost: the rows were dropped without a Close, so nobody can give the
	// connection back.
	RowsLost bool
	// For is for how long the one has been at it that has been longest.
	For time.Duration
	// Held is for how long the one has been out that has been out longest; Last is
	// its operation under way or the last one, nil if none is known.
	Held time.Duration
	Last *Operation
}

// Site names where they were used last, "" if that is not known.
func (g *HolderGroup) Site() string {
	f, ok := g.Last.Site()
	if !ok {
		return ""
	}
	return shortFile(f.File) + ":" + strconv.Itoa(f.Line)
}

// State is their state, in words.
func (g *HolderGroup) State() string { return stateOf(g.Use, g.RowsLost) }

func stateOf(u Use, lost bool) string {
	if lost {
		return "rows never closed"
	}
	return u.String()
}

// HolderSites lists the holders of connections by call site in one line, most
// connections first: "17 by shop/list.go:10 (rows open)".
func HolderSites(groups []HolderGroup) string {
	s := ""
	for i := range groups {
		g := &groups[i]
		switch {
		case i == maxSites:
			return s + ", and others"
		case i > 0:
			s += ", "
		}
		s += strconv.Itoa(g.Count) + " by " + cmp.Or(g.Site(), "an unknown call site") + " (" + g.State() + ")"
	}
	return s
}

// maxSites bounds how many call sites a sentence has.
const maxSites = 5

// groups puts connections together. Those of the same call stack come first,
// because to name its lines takes microseconds.
type groups struct {
	same map[callKey]*sameStack
	// key is that of last, the one of the connection before, with n callers: most pools
	// are held by one line.
	key  callKey
	n    int
	last *sameStack
}

type callKey struct {
	pool any
	pcs  [maxCallers]uintptr
	use  Use
	lost bool
}

type sameStack struct {
	n       int
	conn    *Conn
	longest operation
	held    time.Duration
	since   time.Duration
}

func (gs *groups) add(g *glimpse) {
	o := &g.conn.owner
	if !gs.alike(g) || !o.calledBy(gs.key.pcs[:gs.n]) || g.taken > gs.last.held {
		_, op := o.last() // it is large, and in most cases needed by nobody
		gs.turn(g, &op)
	}
	c := gs.last
	c.n++
	c.since = max(c.since, g.since)
}

// alike reports whether the connection can belong to the last group.
func (gs *groups) alike(g *glimpse) bool {
	return gs.last != nil && g.use == gs.key.use && g.lost == gs.key.lost && g.conn.opts.Pool == gs.key.pool
}

// turn makes the group of the connection the last one.
func (gs *groups) turn(g *glimpse, op *operation) {
	k := callKey{pool: g.conn.opts.Pool, use: g.use, lost: g.lost}
	copy(k.pcs[:], op.callers[:op.ncaller])
	if gs.same == nil {
		gs.same = map[callKey]*sameStack{}
	}
	c := gs.same[k]
	if c == nil {
		c = new(sameStack)
		gs.same[k] = c
	}
	gs.key, gs.n, gs.last = k, op.ncaller, c
	if g.taken > c.held {
		c.conn, c.longest, c.held = g.conn, *op, g.taken
	}
}

// list is sorted, most first.
func (gs *groups) list() []HolderGroup {
	type siteKey struct {
		pool  any
		frame Frame
		use   Use
		lost  bool
	}
	at := map[siteKey]int{}
	out := []HolderGroup{}
	for k, c := range gs.same {
		var last *Operation
		switch c.longest.kind {
		case OpNone, OpReset, OpClose:
		default:
			last = c.conn.export(&c.longest, c.conn.now()).detached()
		}
		f, _ := last.Site()
		key := siteKey{k.pool, f, k.use, k.lost}
		i, known := at[key]
		if !known {
			i = len(out)
			at[key] = i
			out = append(out, HolderGroup{Pool: k.pool, Use: k.use, RowsLost: k.lost})
		}
		g := &out[i]
		g.Count += c.n
		g.For = max(g.For, c.since)
		if c.held > g.Held {
			g.Held, g.Last = c.held, last
		}
	}
	slices.SortFunc(out, func(a, b HolderGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.Held, a.Held))
	})
	return out
}
