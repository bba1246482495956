package soak_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// TestSoak uses pools lawfully, at random and at full speed, checks every answer and expects not one report besides those of the
// restarts that it makes itself, and of the logins that it gives up itself (givenup_test.go). SEQGUARD_SOAK=30m makes it longer; 30 s
// is the default, 5 s with -short.
func TestSoak(t *testing.T) {
	length := mysqltest.Length(t, "SEQGUARD_SOAK", 30*time.Second, 5*time.Second)
	before := seqguard.Stats()
	t.Run("servers", func(t *testing.T) {
		for _, name := range []string{"mysql9", "mariadb1011"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				newSoak(t, name).run(length)
			})
		}
	})
	after := seqguard.Stats()
	for _, c := range []struct {
		what          string
		before, after uint64
	}{
		{"conversations that could not be followed", before.Untracked, after.Untracked},
		{"connections that could not be seen", before.Opaque, after.Opaque},
		{"panics of the guard's view", before.Panics, after.Panics},
	} {
		if c.after != c.before {
			t.Errorf("%s: %d", c.what, c.after-c.before)
		}
	}
}

const soakWorkers = 8

// soak is one server and those who use it.
type soak struct {
	t      *testing.T
	server *mysqltest.Instance
	pools  []*sql.DB
	stop   atomic.Bool

	mu       sync.Mutex
	reports  []*seqguard.Report
	windows  []soakWindow // in which the server was not all there
	done     map[string]int
	failed   map[string]int     // with the context's end, or in a window
	givenUp  []*seqguard.Report // of logins that a worker's own context ended, from its errors
	failures int
}

type soakWindow struct{ from, to time.Time } // to is zero while it is open

func newSoak(t *testing.T, name string) *soak {
	s := &soak{t: t, server: mysqltest.Start(t, name), done: map[string]int{}, failed: map[string]int{}}
	for _, params := range []string{
		"",
		"tls=skip-verify&interpolateParams=true",
		"compress=true",
		"tls=skip-verify&compress=true&interpolateParams=true&readTimeout=20s&writeTimeout=20s",
	} {
		cfg, err := mysql.ParseDSN(s.server.DSN("multiStatements=true&parseTime=true&" + params))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Logger = &mysql.NopLogger{}
		c, err := seqguard.NewConnector(cfg, seqguard.WithOnReport(s.report))
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(c)
		db.SetMaxOpenConns(5)
		db.SetMaxIdleConns(3)
		db.SetConnMaxIdleTime(30 * time.Millisecond) // keep the cleaner busy
		db.SetConnMaxLifetime(700 * time.Millisecond)
		t.Cleanup(func() { _ = db.Close() })
		s.pools = append(s.pools, db)
	}
	return s
}

func (s *soak) report(_ context.Context, r *seqguard.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, r)
}

func (s *soak) run(length time.Duration) {
	workers := make([]*soakWorker, soakWorkers)
	var all sync.WaitGroup
	for i := range workers {
		w := &soakWorker{soak: s, table: fmt.Sprintf("soak%d", i), rng: rand.New(rand.NewPCG(uint64(i), uint64(time.Now().UnixNano())))}
		workers[i] = w
		if err := w.prepare(); err != nil {
			s.t.Fatal(err)
		}
		all.Go(w.loop)
	}
	// Both ways in which a server goes away, with quiet time around them.
	var events []func()
	if length >= 15*time.Second {
		events = append(events, s.server.Stop, s.server.Kill)
	}
	for more := length; more > time.Minute; more -= 20 * time.Second {
		events = append(events, s.server.Stop, s.server.Kill)
	}
	end := time.Now().Add(length)
	for i, event := range events {
		s.sleep(workers, time.Until(end)/time.Duration(len(events)-i+1))
		s.restart(event)
	}
	s.sleep(workers, time.Until(end))
	s.stop.Store(true)
	finished := make(chan struct{})
	go func() { all.Wait(); close(finished) }()
	for over := false; !over; {
		select {
		case <-finished:
			over = true
		case <-time.After(time.Second):
			s.watch(workers)
		}
	}
	for _, db := range s.pools {
		_ = db.Close()
	}
	s.conclude()
}

func (s *soak) restart(end func()) {
	s.mu.Lock()
	s.windows = append(s.windows, soakWindow{from: time.Now()})
	s.mu.Unlock()
	end()
	s.server.Restart(s.t)
	s.mu.Lock()
	s.windows[len(s.windows)-1].to = time.Now()
	s.mu.Unlock()
}

// sleep waits, with an eye on the workers.
func (s *soak) sleep(workers []*soakWorker, d time.Duration) {
	for until := time.Now().Add(d); time.Now().Before(until); {
		time.Sleep(min(time.Second, time.Until(until))) // the soak takes its time
		s.watch(workers)
	}
}

// soakHang is longer than any operation can take. Contexts end after 20 s, but nobody asks them while a blob of 17 MB is
// compressed: under the race detector, with both processors busy, that took more than 60 s.
const soakHang = 5 * time.Minute

func (s *soak) watch(workers []*soakWorker) {
	for _, w := range workers {
		if since := w.since.Load(); since != 0 && time.Since(time.Unix(0, since)) > soakHang {
			b := make([]byte, 1<<20)
			panic(fmt.Sprintf("a worker hangs in %q\n%s", w.name.Load(), b[:runtime.Stack(b, true)]))
		}
	}
}

// disturbed reports whether the server was away at some time between from and now.
func (s *soak) disturbed(from time.Time) bool {
	for _, w := range s.windows {
		if w.to.IsZero() || w.to.After(from) {
			return true
		}
	}
	return false
}

// ofRestart reports whether a report tells of a connection that a restart ended.
func (s *soak) ofRestart(r *seqguard.Report) bool {
	if r.Cause.Severity == cause.Misuse || r.Cause.Severity == cause.DataIntegrity {
		return false
	}
	for _, w := range s.windows {
		if r.Connected.Before(w.to) && r.Time.After(w.from) {
			return true
		}
	}
	return false
}

// note takes what came of an operation that began with a context which ends at deadline; ended: it had.
func (s *soak) note(name string, began, deadline time.Time, ended bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var wrong *wrongAnswer
	var misuse *seqguard.OwnershipError
	var protocol *seqguard.ProtocolError
	disturbed := s.disturbed(began)
	gaveUp := ended && errors.As(err, &protocol) && loginGivenUp(protocol.Report, began, deadline)
	if gaveUp {
		s.givenUp = append(s.givenUp, protocol.Report)
	}
	switch {
	case err == nil:
		s.done[name]++
		return
	case errors.As(err, &wrong), errors.As(err, &misuse):
	case disturbed, gaveUp:
		s.failed[name]++
		return
	case errors.As(err, &protocol):
	case ended:
		s.failed[name]++
		return
	}
	if s.failures++; s.failures <= 20 {
		s.t.Errorf("%s, context ended %t: %v", name, ended, err)
	}
}

func (s *soak) conclude() {
	if err := seqguard.Flush(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	restarts, givenUp := map[string]int{}, map[string]int{}
	ended, others := 0, 0
	for _, r := range s.reports {
		if s.ofRestart(r) {
			restarts[string(r.Cause.Slug)]++
			continue
		}
		if s.ofGivenUp(r) {
			ended++
			givenUp[string(r.Cause.Slug)]++
			continue
		}
		if others++; others <= 10 {
			s.t.Errorf("false report: %s\n%s", r, r.Timeline())
		}
	}
	var names []string
	total := 0
	for name, n := range s.done {
		names = append(names, fmt.Sprintf("%s %d+%d", name, n, s.failed[name]))
		total += n
	}
	sort.Strings(names)
	s.t.Logf("%d operations with the right answer, %d failures, %d restarts with reports %v, %d logins older than 1 s given up by the worker's own short context %v, %d other reports; answered+ended by context or restart: %s",
		total, s.failures, len(s.windows), restarts, ended, givenUp, others, strings.Join(names, ", "))
	for _, op := range soakOps {
		if s.done[op.name] == 0 {
			s.t.Errorf("%s never succeeded", op.name)
		}
	}
}
