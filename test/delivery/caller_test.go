package delivery_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// The tests are named after the rows of a list of faults: what happened when reports were delivered on the goroutine that met the
// violation.

// pool is a guarded pool on a server. The caller closes it before it looks at what was told, or flushes.
func pool(t *testing.T, dsn string, opts ...seqguard.Option) *sql.DB {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = &mysql.NopLogger{}
	connector, err := seqguard.NewConnector(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// timed runs f and returns how long it took. A hang ends the test, not the test binary.
func timed(t *testing.T, what string, f func()) time.Duration {
	t.Helper()
	start, done := time.Now(), make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s hangs", what)
	}
	return time.Since(start)
}

func flush(t *testing.T) {
	t.Helper()
	if err := seqguard.Flush(kit.Timeout(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
}

// deadStatement is a prepared statement of a connection that lies in the pool and that the server has ended, with its farewell in
// the socket.
func deadStatement(t *testing.T, server *mysqltest.Instance, db *sql.DB) *sql.Stmt {
	t.Helper()
	ctx := kit.Timeout(t, 20*time.Second)
	c, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.PrepareContext(ctx, "SELECT ?") // on a second connection
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil { // the second one is taken first from now on
		t.Fatal(err)
	}
	db.SetMaxIdleConns(1)
	kit.AwaitIdleEnd(t, server, db, "wait_timeout=1")
	return s
}

// database/sql closes the statements of a pooled connection under the pool's own lock: a callback that asks for db.Stats waited for it
// for ever.
func TestFault1_01CallbackUsesThePoolWhoseLockIsHeld(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		var db *sql.DB
		var told atomic.Int32
		free := make(chan struct{}) // when nobody can be waiting for the callback
		done := sync.OnceFunc(func() { close(free) })
		t.Cleanup(done)
		db = pool(t, server.DSN(""), seqguard.WithOnReport(func(ctx context.Context, r *seqguard.Report) {
			_ = db.Stats()
			<-free
			if err := db.PingContext(ctx); err != nil {
				t.Errorf("a ping from the callback: %v", err)
			}
			told.Add(1)
		}))
		s := deadStatement(t, server, db)
		timed(t, "stmt.Close", func() { _ = s.Close() })
		timed(t, "a query after it", func() { _ = db.Ping() })
		done()
		flush(t)
		// MariaDB says nothing when it ends an idle connection, and that is no violation.
		if want := int32(1); server.Kind == mysqltest.MySQL && told.Load() != want {
			t.Errorf("told %d times, want %d", told.Load(), want)
		}
	})
}

// slowExporter takes its time for each span.
type slowExporter struct {
	takes time.Duration
	until <-chan struct{} // and for as long as this is open; may be nil
	spans atomic.Int32
}

func (e *slowExporter) ExportSpans(_ context.Context, s []sdktrace.ReadOnlySpan) error {
	time.Sleep(e.takes) // the fault
	if e.until != nil {
		<-e.until
	}
	e.spans.Add(int32(len(s)))
	return nil
}
func (e *slowExporter) Shutdown(context.Context) error { return nil }

func (e *slowExporter) provider() seqguard.Option {
	return seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(e)))
}

// An exporter that a span processor waits for held up an unrelated query.
func TestFault1_02SlowExporter(t *testing.T) {
	server := mysqltest.Shared(t, "mysql9")
	answered := make(chan struct{})
	done := sync.OnceFunc(func() { close(answered) })
	t.Cleanup(done)
	e := &slowExporter{until: answered}
	db := pool(t, server.DSN(""), e.provider())
	s := deadStatement(t, server, db)
	closed := make(chan struct{})
	go func() { defer close(closed); _ = s.Close() }()
	timed(t, "a query", func() { // if it waits for the exporter, which waits for it
		if _, err := db.Exec("DO 1"); err != nil {
			t.Error(err)
		}
	})
	timed(t, "stmt.Close", func() { <-closed })
	done()
	flush(t)
	if n := e.spans.Load(); n != 1 {
		t.Errorf("%d spans, want 1", n)
	}
}

// A callback that took 5 s made a call of 0.3 s end after 5.3 s, and with another error.
func TestFault1_03SlowCallback(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		var told atomic.Int32
		release := make(chan struct{})
		db := pool(t, server.DSN(""), seqguard.WithOnReport(func(context.Context, *seqguard.Report) {
			<-release
			told.Add(1)
		}))
		// Whoever waits for the callback waits until this context ends, and returns its error.
		err := kit.KillRunning(kit.Timeout(t, 15*time.Second), t, server, db)
		if !errors.Is(err, mysql.ErrInvalidConn) {
			t.Errorf("%v; want ErrInvalidConn", err)
		}
		if told.Load() != 0 {
			t.Error("the callback was waited for")
		}
		close(release)
		flush(t)
		if told.Load() != 1 {
			t.Errorf("told %d times, want 1", told.Load())
		}
	})
}

// A callback that uses the pool whose failure it is told of went on without end.
func TestFault1_04CallbackOfARefusedConnectUsesThePool(t *testing.T) {
	server := mysqltest.ServeEvery(t, mysqltest.SendERR(0, 1040, "08004", "Too many connections"), mysqltest.Close())
	for name, use := range map[string]func(context.Context, *sql.DB) error{
		"its context":    func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) },
		"no context":     func(_ context.Context, db *sql.DB) error { return db.Ping() },
		"on a goroutine": elsewhere,
	} {
		t.Run(name, func(t *testing.T) {
			before := seqguard.Stats()
			var db *sql.DB
			var told atomic.Int32
			db = pool(t, server.DSN(""), seqguard.WithOnReport(func(ctx context.Context, r *seqguard.Report) {
				told.Add(1)
				if err := use(ctx, db); err == nil {
					t.Error("a ping succeeded")
				}
			}))
			const failures = 20
			for range failures {
				if err := db.Ping(); err == nil {
					t.Error("a ping succeeded")
				}
			}
			flush(t)
			after := seqguard.Stats()
			if n := told.Load(); n != failures {
				t.Errorf("told %d times, want %d", n, failures)
			}
			if n := after.Nested - before.Nested; n != failures {
				t.Errorf("%d reports that the callback caused were counted, want %d", n, failures)
			}
			if n := after.Reports - before.Reports; n != 2*failures {
				t.Errorf("%d violations, want %d", n, 2*failures)
			}
		})
	}
}

func elsewhere(ctx context.Context, db *sql.DB) error {
	done := make(chan error)
	go func() { done <- db.PingContext(ctx) }()
	return <-done
}
