package delivery_test

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/trace"
)

// refusing is a server that is full.
func refusing(t *testing.T) *mysqltest.Server {
	return mysqltest.ServeEvery(t, mysqltest.SendERR(0, 1040, "08004", "Too many connections"), mysqltest.Close())
}

// fail lets n pings fail.
func fail(t *testing.T, db *sql.DB, n int) {
	t.Helper()
	for range n {
		if err := db.PingContext(kit.Timeout(t, 10*time.Second)); err == nil {
			t.Fatal("a ping succeeded")
		}
	}
}

// total adds the points of a metric; there is none without one.
func total(t *testing.T, reader *sdkmetric.ManualReader, name string) (n int64, found bool) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if s, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == name {
				found = true
				for _, p := range s.DataPoints {
					n += p.Value
				}
			}
		}
	}
	return n, found
}

// breaking are processors that panic.
type breaking struct{ sdktrace.SpanProcessor }

func (breaking) OnStart(context.Context, sdktrace.ReadWriteSpan) { panic("a bug in a processor") }

type breakingLog struct{ slog.Handler }

func (breakingLog) Handle(context.Context, slog.Record) error { panic("a bug in a handler") }

// A callback that panicked took the span, the log record and the count along.
func TestFault1_05Panics(t *testing.T) {
	server := refusing(t)
	callback := seqguard.WithOnReport(func(context.Context, *seqguard.Report) { panic("a bug in a callback") })
	exit := seqguard.WithOnReport(func(context.Context, *seqguard.Report) { runtime.Goexit() })
	for name, c := range map[string]struct {
		who    seqguard.Option
		panics uint64
	}{
		"callback":       {callback, 3},
		"Goexit":         {exit, 0},
		"span processor": {seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(breaking{tracetest.NewSpanRecorder()}))), 3},
		"slog handler":   {seqguard.WithLogger(slog.New(breakingLog{slog.NewTextHandler(&bytes.Buffer{}, nil)})), 3},
	} {
		t.Run(name, func(t *testing.T) {
			spans, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
			var text bytes.Buffer
			var told atomic.Int32
			before := seqguard.Stats().Panics
			kit.PanicsMeant(c.panics)
			db := pool(t, server.DSN(""),
				seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))),
				seqguard.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
				seqguard.WithLogger(slog.New(slog.NewTextHandler(&text, nil))),
				seqguard.WithOnReport(func(context.Context, *seqguard.Report) { told.Add(1) }),
				c.who) // in place of one of these
			fail(t, db, 3)
			flush(t)
			got := map[string]int{"callback": int(told.Load()), "span processor": len(spans.GetSpans()), "slog handler": strings.Count(text.String(), "\n")}
			for receiver, n := range got {
				broken := receiver == name || receiver == "callback" && name == "Goexit"
				if want := 3; !broken && n != want {
					t.Errorf("%s: %d, want %d", receiver, n, want)
				}
			}
			if n, _ := total(t, reader, trace.MetricViolations); n != 3 {
				t.Errorf("%d counted, want 3", n)
			}
			if n := seqguard.Stats().Panics - before; n != c.panics {
				t.Errorf("%d panics counted, want %d", n, c.panics)
			}
		})
	}
}

// What is too much for a callback that does not return is counted and told; the rest goes on.
func TestCallbackThatBlocks(t *testing.T) {
	server := refusing(t)
	block := make(chan struct{})
	var mu sync.Mutex
	var told, lost uint64
	spans, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	db := pool(t, server.DSN(""),
		seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))),
		seqguard.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
		seqguard.WithOnReport(func(_ context.Context, r *seqguard.Report) {
			<-block
			mu.Lock()
			defer mu.Unlock()
			told++
			lost += r.Lost
		}))
	before := seqguard.Stats().Undelivered
	const failures = 1200
	fail(t, db, failures)
	if err := seqguard.Flush(kit.Timeout(t, time.Second)); err == nil {
		t.Error("Flush returns although the callback blocks")
	}
	if d := timed(t, "Close", func() { _ = db.Close() }); d > 4*time.Second {
		t.Errorf("Close waited for %v", d)
	}
	undelivered := seqguard.Stats().Undelivered - before
	if undelivered < failures-1025 || undelivered > failures {
		t.Errorf("%d counted as undelivered, want about %d", undelivered, failures-1025)
	}
	if n, _ := total(t, reader, trace.MetricViolations); n != failures {
		t.Errorf("%d violations counted, want %d", n, failures)
	}
	if n := len(spans.GetSpans()); n < 10 {
		t.Errorf("%d spans, want the 10 of a burst", n)
	}
	close(block)
	flush(t)
	mu.Lock()
	defer mu.Unlock()
	if told+undelivered != failures || lost != undelivered {
		t.Errorf("%d told and %d undelivered of %d; the callback was told of %d", told, undelivered, failures, lost)
	}
}

// Close delivers what is queued.
func TestCloseDelivers(t *testing.T) {
	var told atomic.Int32
	db := pool(t, refusing(t).DSN(""), seqguard.WithOnReport(func(context.Context, *seqguard.Report) {
		time.Sleep(20 * time.Millisecond) // Close has something to wait for
		told.Add(1)
	}))
	fail(t, db, 10)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := told.Load(); n != 10 {
		t.Errorf("told %d times before Close returned, want 10", n)
	}
}

// A callback may close the pool.
func TestCallbackClosesThePool(t *testing.T) {
	var db *sql.DB
	took := make(chan time.Duration, 1)
	db = pool(t, refusing(t).DSN(""), seqguard.WithOnReport(func(context.Context, *seqguard.Report) {
		start := time.Now()
		_ = db.Close()
		took <- time.Since(start)
	}))
	fail(t, db, 1)
	if d := <-took; d >= 2*time.Second { // for which Close waits for a callback that does not return
		t.Errorf("Close waited for itself, %v", d)
	}
}

// The span has the parent and the times of the violation, however late it is delivered.
func TestSpanOfLateDelivery(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	slow := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSyncer(&slowExporter{takes: 300 * time.Millisecond}))
	db := pool(t, refusing(t).DSN(""), seqguard.WithTracerProvider(slow))
	type request struct {
		parent       string
		start, after time.Time
	}
	var requests []request
	for range 3 {
		ctx, span := provider.Tracer("test").Start(t.Context(), "request")
		r := request{parent: span.SpanContext().SpanID().String(), start: time.Now()}
		ctx, cancel := context.WithCancel(ctx)
		if err := db.PingContext(ctx); err == nil {
			t.Fatal("a ping succeeded")
		}
		r.after = time.Now()
		cancel()
		span.End()
		requests = append(requests, r)
	}
	flush(t)
	var n int
	for _, s := range spans.Ended() {
		if !strings.HasPrefix(s.Name(), trace.SpanName) {
			continue
		}
		r := requests[n]
		n++
		if s.Parent().SpanID().String() != r.parent {
			t.Errorf("span %d: its parent is %s, want %s", n, s.Parent().SpanID(), r.parent)
		}
		if s.StartTime().Before(r.start) || s.EndTime().After(r.after) {
			t.Errorf("span %d: %v to %v, the call %v to %v", n, s.StartTime(), s.EndTime(), r.start, r.after)
		}
	}
	if n != len(requests) {
		t.Errorf("%d spans, want %d", n, len(requests))
	}
}
