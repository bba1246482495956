package seqguard

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"
	"weak"

	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// watchKey is under which a Ping tells a connection who wants to know its pool.
type watchKey struct{}

// WatchPool watches a pool for callers that wait. If all its connections are held
// (SetMaxOpenConns) and somebody has waited since the last look, it reports
// pool_exhausted, with the holders by call site. It looks once a second, asks only
// db.Stats, and reports at most once in ten seconds. With [WithPoolMetrics] it also
// observes the state of the pool; if a pool has several watches, one of them does.
//
// ctx is for one Ping, which finds out what db is made of. WatchPool returns an
// error if that fails or if db is not of this driver. stop ends the watch, which
// otherwise lasts for as long as db is in use.
func WatchPool(ctx context.Context, db *sql.DB) (stop func(), err error) {
	w := &poolWatch{db: weak.Make(db)}
	if err := db.PingContext(context.WithValue(ctx, watchKey{}, w)); err != nil {
		return nil, err
	}
	w.mu.Lock()
	pool := w.pool
	w.mu.Unlock()
	if pool == nil {
		return nil, errors.New("seqguard: WatchPool: the pool is not one of this driver")
	}
	w.observe(pool)
	s := db.Stats()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits, w.waited = s.WaitCount, s.WaitDuration
	w.timer = time.AfterFunc(poolLook, w.look)
	return w.stop, nil
}

// observe registers the state of the pool with the meter provider, unless another
// watch has: what two of them say would be added up. An error is one of the metrics
// SDK, and no reason to see less of the pool.
func (w *poolWatch) observe(pool *connector) {
	if pool.metrics == nil || pool.watched.Swap(true) {
		return
	}
	db := w.db
	reg, err := pool.metrics.Observe(func() (trace.PoolState, bool) {
		db := db.Value()
		if db == nil {
			return trace.PoolState{}, false
		}
		s := db.Stats()
		return trace.PoolState{Used: s.InUse, Idle: s.Idle, Max: s.MaxOpenConnections, Waits: s.WaitCount, Waited: s.WaitDuration}, true
	})
	if err != nil {
		pool.watched.Store(false)
		return
	}
	w.unobserve = sync.OnceFunc(func() {
		_ = reg.Unregister()
		pool.watched.Store(false)
	})
}

const (
	poolLook  = time.Second
	poolQuiet = 10 * time.Second
)

// poolWatch is one watch. Between two looks it has no goroutine.
type poolWatch struct {
	db        weak.Pointer[sql.DB]
	unobserve func() // nil if nothing is observed; set before anybody else has the watch

	mu     sync.Mutex
	pool   *connector
	timer  *time.Timer
	over   bool
	waits  int64
	waited time.Duration
	told   time.Time
}

// found is called by the connection that answers the Ping.
func (w *poolWatch) found(c *connector) {
	w.mu.Lock()
	w.pool = c
	w.mu.Unlock()
}

func (w *poolWatch) stop() {
	w.mu.Lock()
	w.over = true
	w.timer.Stop()
	w.mu.Unlock()
	w.end()
}

// end takes the registration back, with no lock held: the provider is the
// application's.
func (w *poolWatch) end() {
	if w.unobserve != nil {
		w.unobserve()
	}
}

func (w *poolWatch) look() {
	db := w.db.Value()
	if db == nil {
		w.end()
		return
	}
	s := db.Stats()
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return
	}
	pool := w.pool
	waits, waited := s.WaitCount-w.waits, s.WaitDuration-w.waited
	exhausted := s.MaxOpenConnections > 0 && s.InUse >= s.MaxOpenConnections
	tell := exhausted && waits > 0 && time.Since(w.told) >= poolQuiet
	if tell || !exhausted {
		w.waits, w.waited = s.WaitCount, s.WaitDuration
	}
	if tell {
		w.told = time.Now()
	}
	w.timer = time.AfterFunc(poolLook, w.look)
	w.mu.Unlock()
	if tell {
		wrapconn.PoolExhausted(pool.driver, s.MaxOpenConnections, s.InUse, waits, waited)
	}
}
