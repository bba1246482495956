package delivery_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/go-sql-driver/mysql"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/trace"
)

// answering is a server that says OK to everything.
func answering(t *testing.T) *mysqltest.Server {
	return mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(mysqltest.AnswerOK))
}

// payload stands for what a request has in its context.
type payload struct{ _ [1 << 20]byte }

// requestContext is a context with a payload, and a way to see whether it is still there.
func requestContext() (context.Context, weak.Pointer[payload]) {
	p := new(payload)
	return context.WithValue(context.Background(), payload{}, p), weak.Make(p)
}

// gone reports whether all payloads are collected.
func gone(t *testing.T, all []weak.Pointer[payload]) {
	t.Helper()
	kit.Eventually(t, func() bool {
		runtime.GC()
		return !slices.ContainsFunc(all, func(w weak.Pointer[payload]) bool { return w.Value() != nil })
	}, "of %d requests some are still in memory", len(all))
}

// The contexts with which connections were opened lived as long as the connections.
func TestFault2_03ContextsOfConnects(t *testing.T) {
	server := answering(t)
	connector, err := seqguard.NewConnector(parse(t, server.DSN("")))
	if err != nil {
		t.Fatal(err)
	}
	var kept []weak.Pointer[payload]
	var conns []driver.Conn
	for range 5 {
		ctx, w := requestContext()
		c, err := connector.Connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		kept, conns = append(kept, w), append(conns, c)
	}
	gone(t, kept)
	for _, c := range conns {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An error that is kept, and the list of the last reports, kept the request's context.
func TestFault2_03ContextsOfErrors(t *testing.T) {
	server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}),
		mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
			if string(body) == "SELECT 1" {
				return s.WriteResultSet(mysqltest.Next, []mysqltest.Column{{Name: "a"}}, []any{"1"}, []any{"2"})
			}
			return s.Conn.Close()
		}))
	var told atomic.Int32
	db := pool(t, server.DSN(""), seqguard.WithOnReport(func(ctx context.Context, r *seqguard.Report) {
		if ctx.Value(payload{}) == nil || r.Operation().Context.Value(payload{}) == nil {
			t.Error("the callback does not get the values of the operation's context")
		}
		told.Add(1)
	}))
	var kept []weak.Pointer[payload]
	var errs []error
	keep := func(what func(ctx context.Context, c *sql.Conn) error) {
		ctx, w := requestContext()
		c, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		err = what(ctx, c)
		if err == nil {
			t.Error("an operation succeeded")
		}
		kept, errs = append(kept, w), append(errs, err)
	}
	for range 3 {
		keep(func(ctx context.Context, c *sql.Conn) error { // the connection is lost
			_, err := c.ExecContext(ctx, "DO 1")
			return err
		})
		keep(func(ctx context.Context, c *sql.Conn) error { // a call while rows are open
			rows, err := c.QueryContext(ctx, "SELECT 1")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			_, err = c.ExecContext(ctx, "DO 1")
			return err
		})
	}
	flush(t)
	if n := int(told.Load()); n != len(errs) {
		t.Errorf("told %d times, want %d", n, len(errs))
	}
	gone(t, kept)
	for _, err := range errs {
		var pe *seqguard.ProtocolError
		var oe *seqguard.OwnershipError
		if !errors.As(err, &pe) && !errors.As(err, &oe) {
			t.Errorf("no report in %v", err)
		}
	}
}

func parse(t *testing.T, dsn string) *mysql.Config {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = &mysql.NopLogger{}
	return cfg
}

// The Close of one pool ended the metrics of another one on the same connector.
func TestFault2_04TwoPoolsOnOneConnector(t *testing.T) {
	server := answering(t)
	reader := sdkmetric.NewManualReader()
	connector, err := seqguard.NewConnector(parse(t, server.DSN("")),
		seqguard.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	if err != nil {
		t.Fatal(err)
	}
	seen := func(when string, want bool) {
		t.Helper()
		kit.Eventually(t, func() bool { _, found := total(t, reader, trace.MetricOpened); return found == want }, "%s: metrics seen: want %v", when, want)
	}
	a, b := sql.OpenDB(connector), sql.OpenDB(connector)
	seen("before the first connection", false)
	ping(t, a)
	ping(t, b)
	seen("two pools", true)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	seen("one is closed", true)
	b.SetMaxIdleConns(0) // its last connection goes
	b.SetMaxIdleConns(1)
	ping(t, b)
	seen("the other one has a new connection", true)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	seen("both are closed", false)
}

func ping(t *testing.T, db *sql.DB) {
	t.Helper()
	if err := db.PingContext(kit.Timeout(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
}

// plainDriver hides what the driver has besides Open, as an old wrapper does.
type plainDriver struct{ driver.Driver }

// A wrapper that knows no DriverContext made a recorder and a rate limit for each connection.
func TestFault2_05DriverOpen(t *testing.T) {
	spans, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	var told atomic.Int32
	name := fmt.Sprintf("mysql-fault-2.05-%d", time.Now().UnixNano()) // with -count=2 it is registered twice
	seqguard.Register(name,
		seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))),
		seqguard.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
		seqguard.WithOnReport(func(context.Context, *seqguard.Report) { told.Add(1) }))
	db, err := sql.Open(name, "/")
	if err != nil {
		t.Fatal(err)
	}
	inner := db.Driver()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	sql.Register(name+"-wrapped", plainDriver{inner})

	full, err := sql.Open(name+"-wrapped", refusing(t).DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	start := time.Now()
	const failures = 300
	fail(t, full, failures)
	flush(t)
	if most := 11 + int(time.Since(start)/time.Second); len(spans.GetSpans()) < 10 || len(spans.GetSpans()) > most {
		t.Errorf("%d spans, want 10 to %d: one rate limit for all", len(spans.GetSpans()), most)
	}
	if n := told.Load(); n != failures {
		t.Errorf("told %d times, want %d", n, failures)
	}

	works, err := sql.Open(name+"-wrapped", answering(t).DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	ping(t, works)
	kit.Eventually(t, func() bool { _, found := total(t, reader, trace.MetricOpened); return found }, "no metrics while there is a connection")
	if err := works.Close(); err != nil {
		t.Fatal(err)
	}
	kit.Eventually(t, func() bool { _, found := total(t, reader, trace.MetricOpened); return !found }, "the registration is not released")
}

// No goroutine is left when there is nothing to tell.
func TestNoGoroutineStays(t *testing.T) {
	db := pool(t, refusing(t).DSN(""), seqguard.WithOnReport(func(context.Context, *seqguard.Report) {}))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { fail(t, db, 10) })
	}
	all.Wait()
	flush(t)
	var stacks string
	kit.Eventually(t, func() bool {
		b := make([]byte, 1<<20)
		stacks = string(b[:runtime.Stack(b, true)])
		return !strings.Contains(stacks, "internal/delivery")
	}, "a goroutine of the delivery is left")
	if t.Failed() {
		t.Log(stacks)
	}
}
