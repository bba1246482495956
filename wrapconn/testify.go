package wrapconn

import (
	"sync/atomic"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/testimony"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// process is watched while there are guarded connections: what kept it from
// running when a server was kept waiting.
var process testimony.Watch

// testify adds to the evidence of a finding what kernel and runtime know. It
// must come before the socket is closed. It waits for nobody; if this process is
// accused of a pause, it reads a few files of /proc, once for all that fail
// within the same moment.
func (c *Conn) testify(e *cause.Evidence) {
	t := testimony.Transport(c.raw)
	if last := c.atClose.Load(); last != nil {
		t = *last
	}
	if t.Known && c.leastRTT > 0 && (t.LeastRTT == 0 || c.leastRTT < t.LeastRTT) {
		// The kernel forgets what is older than five minutes, and a sample of
		// later may have the time of a statement in it.
		t.LeastRTT = c.leastRTT
	}
	e.Transport = t
	began, ended := e.Accused()
	if began == 0 {
		return
	}
	e.Stall = process.Between(began, ended)
	if e.Pause() == 0 { // what was in doubt is not proved
		e.Stall = cause.Stall{}
		return
	}
	e.Stall.Stack = c.whereabouts()
}

// beforeClose asks the kernel for the last time if somebody is in the middle of
// an operation: go-sql-driver closes the socket when a context is over, and what
// happened is told only after that.
func (c *Conn) beforeClose() {
	defer contain()
	stage("before close")
	if c.leaving.Load() || !c.owner.active() {
		return
	}
	if t := testimony.Transport(c.raw); t.Known {
		c.atClose.Store(&t)
	}
}

// greet asks for the round-trip time of the handshake of TCP and for what has
// come already, and has this process watched.
func (c *Conn) greet() {
	defer contain()
	stage("new")
	a := testimony.Arrived(c.raw)
	c.leastRTT, c.arrival = a.LeastRTT, c.arrivalOf(&a)
	if c.opts.HeldTooLong > 0 {
		holdersWatched.Store(true)
	}
	process.Start(anybodyWaits)
}

// justUsed is for how long behind its last operation a connection counts as one on which
// somebody waits: the next one may be about to begin, and what is counted
// of a pause in it is to begin with it.
const justUsed = 10 * time.Second

// anybodyWaits reports whether there are connections, and whether an operation
// is under way, or was a moment ago, or a result out, on any of them; and it looks after those whose
// server waits. It costs some nanoseconds a connection, once a second.
func anybodyWaits() (open, waits bool) {
	if holdersWatched.Load() {
		heldTooLong()
	}
	open, waits, outside := whoWaits()
	lookForLate(outside)
	return open, waits
}

// whoWaits also returns connections on which an operation is under way while nobody
// is in a Read or Write, some of them if there are many.
func whoWaits() (open, waits bool, outside []*Conn) {
	now := time.Now()
	registry.mu.Lock()
	defer registry.mu.Unlock()
	for w := range registry.conns {
		c := w.Value()
		if c == nil {
			continue
		}
		active := c.owner.active()
		waits = waits || active || c.reading.Load() || c.justUsed(now)
		if active && len(outside) < mostLate && !c.inIO() {
			outside = append(outside, c)
		}
	}
	return len(registry.conns) > 0, waits, outside
}

func (c *Conn) justUsed(now time.Time) bool {
	_, _, began := c.owner.brief()
	return now.Sub(c.start)-began < justUsed
}

// holdersWatched: there is, or was, a connection with Options.HeldTooLong.
var holdersWatched atomic.Bool
