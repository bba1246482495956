package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
)

// scenario is one failure. It is run twice, through each driver, and each run
// has a relay and a connection pool of its own.
type scenario struct {
	name  string
	title string // what goes wrong, in one or two lines
	fault func(*target) fault
	// tune changes the driver's configuration; may be nil.
	tune func(*target, *mysql.Config)
	// lacks says what the server lacks for the scenario; nil if it needs nothing.
	lacks func(context.Context, *sql.DB) string
	// run does what an application would do and returns the error that it gets.
	run func(context.Context, *use) error
}

// scenarios in the order of the demo.
var scenarios = []scenario{
	loginStalled, loginHeld,
	refused, notMySQL,
	idlePool, idlePinned,
	rowsOpen, ghostUpdate, stale,
	misnumbered, cutMidAnswer, loadData,
}

// target is the server of the demo.
type target struct {
	cfg      *mysql.Config
	embedded bool
	// patience is the server's connect_timeout if that is short enough to wait
	// for; 0 if the relay has to play it.
	patience time.Duration
}

// use is one run of a scenario: a pool that leads through a relay.
type use struct {
	driver string // "mysql" or "mysql-seqguard"
	db     *sql.DB
	relay  *relay
	target *target

	mu      sync.Mutex
	log     []string
	reports []*seqguard.Report
	notes   []note
}

// note is something that the application saw besides its error.
type note struct{ what, result string }

const (
	plain   = "mysql"
	guarded = "mysql-seqguard"
)

// open prepares a run. Nothing is connected yet.
func (s *scenario) open(t *target, driver string) (*use, error) {
	var f fault
	if s.fault != nil {
		f = s.fault(t)
	}
	network, addr := t.cfg.Net, t.cfg.Addr
	r, err := newRelay(func() (net.Conn, error) { return net.DialTimeout(network, addr, 5*time.Second) }, f)
	if err != nil {
		return nil, err
	}
	u := &use{driver: driver, relay: r, target: t}
	cfg := t.cfg.Clone()
	cfg.Net, cfg.Addr, cfg.Logger, cfg.ReadTimeout = "tcp", r.addr, u, limit
	if s.tune != nil {
		s.tune(t, cfg)
	}
	if driver == plain {
		c, err := mysql.NewConnector(cfg)
		if err != nil {
			r.close()
			return nil, err
		}
		u.db = sql.OpenDB(c)
	} else {
		c, err := seqguard.NewConnector(cfg, seqguard.WithOnReport(u.report))
		if err != nil {
			r.close()
			return nil, err
		}
		u.db = sql.OpenDB(c)
	}
	u.db.SetMaxOpenConns(1)
	return u, nil
}

func (u *use) close() {
	_ = u.db.Close()
	u.relay.close()
}

// link is the newest connection.
func (u *use) link() *link { return u.relay.last.Load() }

// note keeps what the application saw: a value, or an error.
func (u *use) note(what string, result any) {
	text := "ok"
	switch v := result.(type) {
	case nil:
	case error:
		text = short(v)
	default:
		text = fmt.Sprint(v)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.notes = append(u.notes, note{what, text})
}

// Print implements mysql.Logger: what the driver would have written to stderr.
func (u *use) Print(v ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.log = append(u.log, strings.TrimSpace(fmt.Sprint(v...)))
}

func (u *use) report(_ context.Context, r *seqguard.Report) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reports = append(u.reports, r)
}

// outcome is what came of a run.
type outcome struct {
	err      error
	panicked any // what the driver panicked with
	notes    []note
	log      []string
	reports  []*seqguard.Report
}

// limit ends a run that hangs.
const limit = 20 * time.Second

// through runs the scenario through one driver. err is about the demo itself.
func (s *scenario) through(ctx context.Context, t *target, driver string) (out outcome, err error) {
	u, err := s.open(t, driver)
	if err != nil {
		return outcome{}, err
	}
	defer u.close()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	func() {
		defer func() { out.panicked = recover() }()
		out.err = s.run(ctx, u)
	}()
	if err := seqguard.Flush(ctx); err != nil { // reports are delivered in the background
		return outcome{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	out.notes, out.log, out.reports = u.notes, u.log, u.reports
	return out, nil
}

// comparison is a scenario through both drivers.
type comparison struct {
	scenario       *scenario
	plain, guarded outcome
	skipped        string // why it was not run
	trace          string // id of the trace of the guarded run
	err            error  // of the demo itself
}

// compare runs the scenario through both drivers at once: most of its time is
// spent waiting.
func (s *scenario) compare(ctx context.Context, t *target) comparison {
	c := comparison{scenario: s}
	if s.lacks != nil {
		if c.skipped, c.err = s.ask(ctx, t); c.skipped != "" || c.err != nil {
			return c
		}
	}
	var both sync.WaitGroup
	var plainErr, guardedErr error
	both.Go(func() { c.plain, plainErr = s.through(ctx, t, plain) })
	both.Go(func() {
		ctx, end := startRequest(ctx, s.name)
		c.guarded, guardedErr = s.through(ctx, t, guarded)
		c.trace = end(c.guarded.err)
	})
	both.Wait()
	if c.err = plainErr; c.err == nil {
		c.err = guardedErr
	}
	return c
}

func (s *scenario) ask(ctx context.Context, t *target) (string, error) {
	c, err := mysql.NewConnector(t.cfg)
	if err != nil {
		return "", err
	}
	db := sql.OpenDB(c)
	defer db.Close()
	return s.lacks(ctx, db), nil
}
