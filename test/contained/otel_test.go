package contained_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/debug"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// breakage is what a part of telemetry does in place of its work.
type breakage struct {
	how     string // panics, blocks, fails
	release chan struct{}
	hits    atomic.Int32
}

func (b *breakage) strike() error {
	b.hits.Add(1)
	switch b.how {
	case "panics":
		panic("a bug in telemetry")
	case "blocks":
		<-b.release
		return nil
	}
	return errors.New("telemetry fails")
}

// Parts of the API and of the SDK that are an application's own, or configured by it.
type (
	brokenTracers struct {
		tracenoop.TracerProvider
		b *breakage
	}
	brokenTracer struct {
		tracenoop.Tracer
		b *breakage
	}
	brokenSpans  struct{ b *breakage } // an exporter
	brokenStart  struct{ brokenSpans } // processors
	brokenEnd    struct{ brokenSpans }
	brokenMeters struct {
		metricnoop.MeterProvider
		b *breakage
	}
	brokenMeter struct {
		metricnoop.Meter
		b  *breakage
		on string
	}
	brokenCounter struct {
		metricnoop.Int64Counter
		b *breakage
	}
	brokenHistogram struct {
		metricnoop.Float64Histogram
		b *breakage
	}
	brokenLoggers struct {
		lognoop.LoggerProvider
		b *breakage
	}
	brokenRecords struct{ b *breakage } // an exporter, and a processor
	brokenHandler struct {
		slog.Handler
		b *breakage
	}
)

func (p brokenTracers) Tracer(string, ...trace.TracerOption) trace.Tracer {
	_ = p.b.strike()
	return tracenoop.Tracer{}
}

// startsBroken has a provider whose tracer breaks when it starts a span.
type startsBroken struct {
	tracenoop.TracerProvider
	b *breakage
}

func (p startsBroken) Tracer(string, ...trace.TracerOption) trace.Tracer { return brokenTracer{b: p.b} }

func (t brokenTracer) Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	_ = t.b.strike()
	return t.Tracer.Start(ctx, name, o...)
}

func (e brokenSpans) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return e.b.strike() }
func (brokenSpans) Shutdown(context.Context) error                               { return nil }
func (brokenSpans) ForceFlush(context.Context) error                             { return nil }
func (brokenSpans) OnStart(context.Context, sdktrace.ReadWriteSpan)              {}
func (brokenSpans) OnEnd(sdktrace.ReadOnlySpan)                                  {}
func (e brokenStart) OnStart(context.Context, sdktrace.ReadWriteSpan)            { _ = e.b.strike() }
func (e brokenEnd) OnEnd(sdktrace.ReadOnlySpan)                                  { _ = e.b.strike() }

func (p brokenMeters) Meter(string, ...metric.MeterOption) metric.Meter {
	_ = p.b.strike()
	return metricnoop.Meter{}
}

// metersBroken has a provider whose meter breaks in one of its ways.
type metersBroken struct {
	metricnoop.MeterProvider
	b  *breakage
	on string
}

func (p metersBroken) Meter(string, ...metric.MeterOption) metric.Meter {
	return brokenMeter{b: p.b, on: p.on}
}

func (m brokenMeter) Int64Counter(name string, o ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	switch m.on {
	case "creates":
		return metricnoop.Int64Counter{}, m.b.strike()
	case "counts":
		return brokenCounter{b: m.b}, nil
	}
	return m.Meter.Int64Counter(name, o...)
}

func (m brokenMeter) Float64Histogram(name string, o ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	if m.on == "records" {
		return brokenHistogram{b: m.b}, nil
	}
	return m.Meter.Float64Histogram(name, o...)
}

func (m brokenMeter) RegisterCallback(f metric.Callback, o ...metric.Observable) (metric.Registration, error) {
	if m.on == "registers" {
		return metricnoop.Registration{}, m.b.strike()
	}
	return m.Meter.RegisterCallback(f, o...)
}

func (c brokenCounter) Add(context.Context, int64, ...metric.AddOption)           { _ = c.b.strike() }
func (h brokenHistogram) Record(context.Context, float64, ...metric.RecordOption) { _ = h.b.strike() }
func (p brokenLoggers) Logger(string, ...log.LoggerOption) log.Logger {
	_ = p.b.strike()
	return lognoop.Logger{}
}
func (e brokenRecords) Export(context.Context, []sdklog.Record) error        { return e.b.strike() }
func (e brokenRecords) OnEmit(context.Context, *sdklog.Record) error         { return e.b.strike() }
func (brokenRecords) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (brokenRecords) Shutdown(context.Context) error                         { return nil }
func (brokenRecords) ForceFlush(context.Context) error                       { return nil }
func (h brokenHandler) Handle(context.Context, slog.Record) error            { return h.b.strike() }

func (brokenHandler) Enabled(context.Context, slog.Level) bool { return true }

// asked is a handler that breaks when it is asked whether it wants a record.
type asked struct{ brokenHandler }

func (h asked) Enabled(context.Context, slog.Level) bool { _ = h.b.strike(); return true }

// telemetryParts are where telemetry can break, and in which ways. A batch processor calls its exporter on a goroutine of its own, where a panic is
// the end of the process, whoever made the span.
var telemetryParts = map[string]struct {
	how string // a letter each
	opt func(b *breakage) seqguard.Option
}{
	"TracerProvider": {"pb", func(b *breakage) seqguard.Option { return seqguard.WithTracerProvider(brokenTracers{b: b}) }},
	"Tracer":         {"pb", func(b *breakage) seqguard.Option { return seqguard.WithTracerProvider(startsBroken{b: b}) }},
	"SpanProcessor.OnStart": {"pb", func(b *breakage) seqguard.Option {
		return seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(brokenStart{brokenSpans{b}})))
	}},
	"SpanProcessor.OnEnd": {"pb", func(b *breakage) seqguard.Option {
		return seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(brokenEnd{brokenSpans{b}})))
	}},
	"SpanExporter, at once": {"pbf", func(b *breakage) seqguard.Option {
		return seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(brokenSpans{b})))
	}},
	"SpanExporter, in batches whose queue is full": {"bf", func(b *breakage) seqguard.Option {
		return seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithBatcher(brokenSpans{b},
			sdktrace.WithBlocking(), sdktrace.WithMaxQueueSize(1), sdktrace.WithMaxExportBatchSize(1), sdktrace.WithBatchTimeout(time.Millisecond))))
	}},
	"MeterProvider": {"pb", func(b *breakage) seqguard.Option { return seqguard.WithMeterProvider(brokenMeters{b: b}) }},
	"Meter.Int64Counter": {"pbf", func(b *breakage) seqguard.Option {
		return seqguard.WithMeterProvider(metersBroken{b: b, on: "creates"})
	}},
	"Counter.Add": {"pb", func(b *breakage) seqguard.Option { return seqguard.WithMeterProvider(metersBroken{b: b, on: "counts"}) }},
	"Histogram.Record": {"pb", func(b *breakage) seqguard.Option {
		return seqguard.WithMeterProvider(metersBroken{b: b, on: "records"})
	}},
	"Meter.RegisterCallback": {"pbf", func(b *breakage) seqguard.Option {
		return seqguard.WithMeterProvider(metersBroken{b: b, on: "registers"})
	}},
	"LoggerProvider": {"pb", func(b *breakage) seqguard.Option { return seqguard.WithLoggerProvider(brokenLoggers{b: b}) }},
	"log.Processor": {"pbf", func(b *breakage) seqguard.Option {
		return seqguard.WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(brokenRecords{b})))
	}},
	"log.Exporter": {"pbf", func(b *breakage) seqguard.Option {
		return seqguard.WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(brokenRecords{b}))))
	}},
	"slog.Handler": {"pbf", func(b *breakage) seqguard.Option {
		return seqguard.WithLogger(slog.New(brokenHandler{slog.DiscardHandler, b}))
	}},
	"slog.Handler.Enabled": {"pb", func(b *breakage) seqguard.Option {
		return seqguard.WithLogger(slog.New(asked{brokenHandler{slog.DiscardHandler, b}}))
	}},
}

// obedient is a server that does as it is told.
func obedient(s *mysqltest.Session, cmd byte, body []byte) error {
	switch string(body) {
	case "SELECT 1":
		return s.WriteResultSet(mysqltest.Next, []mysqltest.Column{{Name: "a"}}, []any{1})
	case "fail":
		return s.WritePacket(mysqltest.Next, mysqltest.ERRPayload(1064, "42000", "You have an error in your SQL syntax"))
	case "hang up":
		return s.Conn.Close()
	}
	return mysqltest.AnswerOK(s, cmd, body)
}

// operate runs good and bad operations, and returns what came of them.
func operate(t *testing.T, db *sql.DB) (out []string) {
	t.Helper()
	for range 3 {
		for _, q := range []string{"SELECT 1", "DO 1", "fail", "hang up", "SELECT 1"} {
			within(t, q, func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				var err error
				if q == "SELECT 1" {
					err = db.QueryRowContext(ctx, q).Scan(new(int))
				} else {
					_, err = db.ExecContext(ctx, q)
				}
				var me *mysql.MySQLError
				switch {
				case errors.As(err, &me):
					out = append(out, fmt.Sprint("ERR ", me.Number))
				case errors.Is(err, mysql.ErrInvalidConn):
					out = append(out, "invalid connection")
				default:
					out = append(out, fmt.Sprint(err))
				}
			})
		}
	}
	return out
}

// within fails the test when f does not return.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not return", what)
	}
}

// Kind 2 of the faults, in telemetry: whatever breaks there, in whichever way, operations end as with the plain driver, other receivers are told of
// every report, and the metrics and the live page answer, while it lasts.
func TestFault2_Telemetry(t *testing.T) {
	former := otel.GetErrorHandler()
	defer otel.SetErrorHandler(former)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(obedient))
	plain := kit.PlainPool(t, server.DSN(""))
	defer plain.Close()
	want := operate(t, plain)
	for part, p := range telemetryParts {
		for _, letter := range p.how {
			how := map[rune]string{'p': "panics", 'b': "blocks", 'f': "fails"}[letter]
			t.Run(part+" "+how, func(t *testing.T) {
				before := seqguard.Stats().Panics
				defer func() { kit.PanicsMeant(seqguard.Stats().Panics - before) }()
				b := &breakage{how: how, release: make(chan struct{})}
				released := false
				defer func() {
					if !released {
						close(b.release)
					}
				}()
				reader := sdkmetric.NewManualReader()
				opts := []seqguard.Option{seqguard.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))}
				if part == "Histogram.Record" {
					opts = append(opts, seqguard.WithPoolMetrics("broken"))
				}
				db, c := kit.Open(t, server.DSN(""), nil, append(opts, p.opt(b))...)
				if got := operate(t, db); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%v\nthe plain driver: %v", got, want)
				}
				kit.Eventually(t, func() bool { return b.hits.Load() > 0 }, "it was never called")
				within(t, "the metrics", func() {
					if err := reader.Collect(t.Context(), new(metricdata.ResourceMetrics)); err != nil {
						t.Error(err)
					}
					wrapconn.CountOpen()
					seqguard.Stats()
				})
				within(t, "the live page", func() {
					w := httptest.NewRecorder()
					debug.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
					if w.Code != http.StatusOK {
						t.Errorf("it answers %d", w.Code)
					}
				})
				close(b.release)
				released = true
				within(t, "the close", func() { _ = db.Close() })
				if all := c.All(); len(all) != 3 {
					t.Errorf("the callback is told of %d of 3 reports", len(all))
				}
				if n := seqguard.Stats().Panics - before; (how == "panics") != (n > 0) {
					t.Errorf("%d panics are counted", n)
				}
			})
		}
	}
}
