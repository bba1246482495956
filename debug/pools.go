package debug

import (
	"database/sql"
	"sync"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// watched is a pool that somebody wants to see.
type watched struct {
	name string
	db   *sql.DB

	mu    sync.Mutex
	at    time.Time // of the last look
	waits int64     // then
}

// pool is what a pool says of itself. database/sql does not tell how many callers
// wait at this moment: a wait is counted when it begins.
type pool struct {
	Name     string `json:"name"`
	Open     int    `json:"open"`
	InUse    int    `json:"in_use"`
	Idle     int    `json:"idle"`
	Limit    int    `json:"limit"` // SetMaxOpenConns; 0: none
	Waits    int64  `json:"waits"` // ever begun, by callers that found all connections in use
	Waited   ms     `json:"waited_ms"`
	NewWaits int64  `json:"waits_since_last_look"`
	LastLook ms     `json:"last_look_ms,omitempty"` // ago; left out the first time
	Held     string `json:"held"`                   // in a sentence: how many, by which call sites
}

// Full: whoever comes has to wait.
func (p *pool) Full() bool { return p.Limit > 0 && p.InUse >= p.Limit }

// poolsOf looks at the pools. Their connections are told apart by their driver, which
// is each pool's own; below another wrapper of the driver that does not show.
func (h *handler) poolsOf(now time.Time, groups []wrapconn.HolderGroup) []pool {
	out := make([]pool, len(h.pools))
	for i, w := range h.pools {
		out[i] = w.look(now, groups)
	}
	return out
}

func (w *watched) look(now time.Time, groups []wrapconn.HolderGroup) pool {
	s := w.db.Stats()
	p := pool{
		Name: w.name, Open: s.OpenConnections, InUse: s.InUse, Idle: s.Idle, Limit: s.MaxOpenConnections,
		Waits: s.WaitCount, Waited: ms(s.WaitDuration),
	}
	w.mu.Lock()
	if !w.at.IsZero() {
		p.NewWaits, p.LastLook = s.WaitCount-w.waits, ms(now.Sub(w.at))
	}
	w.at, w.waits = now, s.WaitCount
	w.mu.Unlock()
	var own []wrapconn.HolderGroup
	e := cause.Evidence{PoolInUse: s.InUse, PoolLimit: s.MaxOpenConnections}
	for _, g := range groups {
		if g.Pool != nil && g.Pool == w.key() {
			own = append(own, g)
			e.Held = max(e.Held, g.Held)
		}
	}
	e.HeldAs = wrapconn.HolderSites(own)
	p.Held = e.Holders()
	return p
}

// key is what the pool's connections have in common.
func (w *watched) key() any { return w.db.Driver() }

// poolName is the name of the pool that a group belongs to, "" if it is none of those.
func (h *handler) poolName(g *wrapconn.HolderGroup) string {
	for _, w := range h.pools {
		if g.Pool != nil && g.Pool == w.key() {
			return w.name
		}
	}
	return ""
}
