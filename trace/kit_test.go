package trace_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/seqguard/mysql-seqguard/trace"
)

// logs keeps the records that reach an SDK.
type logs struct {
	mu      sync.Mutex
	records []sdklog.Record
}

func (l *logs) OnEmit(_ context.Context, r *sdklog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r.Clone())
	return nil
}
func (l *logs) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (l *logs) Shutdown(context.Context) error                         { return nil }
func (l *logs) ForceFlush(context.Context) error                       { return nil }

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// kit is a Recorder with an SDK behind it that keeps everything.
type kit struct {
	spans  *tracetest.SpanRecorder
	tracer oteltrace.Tracer
	reader *sdkmetric.ManualReader
	meters *sdkmetric.MeterProvider
	logs   *logs
	text   *bytes.Buffer
	clock  *clock
	rec    *trace.Recorder
}

func newKit(extra ...attribute.KeyValue) *kit {
	k := &kit{
		spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader(), logs: &logs{}, text: &bytes.Buffer{},
		clock: &clock{now: epoch},
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(k.spans))
	k.tracer = tp.Tracer("test")
	k.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(k.reader))
	k.rec = trace.New(trace.Config{
		TracerProvider: tp, MeterProvider: k.meters,
		LoggerProvider: sdklog.NewLoggerProvider(sdklog.WithProcessor(k.logs)),
		Logger:         slog.New(slog.NewJSONHandler(k.text, nil)),
		Attributes:     extra,
	})
	k.rec.SetClock(k.clock.Now)
	return k
}

// violations are the spans of that name.
func (k *kit) violations() (out []sdktrace.ReadOnlySpan) {
	for _, s := range k.spans.Ended() {
		if strings.HasPrefix(s.Name(), trace.SpanName+" ") {
			out = append(out, s)
		}
	}
	return out
}

// violation is the one span of that name.
func (k *kit) violation(t *testing.T) sdktrace.ReadOnlySpan {
	t.Helper()
	s := k.violations()
	if len(s) != 1 {
		t.Fatalf("%d spans, want 1", len(s))
	}
	return s[0]
}

// collect reads the metrics.
func collect(t *testing.T, r *sdkmetric.ManualReader) map[string]metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	out := map[string]metricdata.Metrics{}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			out[m.Name] = m
		}
	}
	return out
}

// sums adds up the points of each counter.
func sums(t *testing.T, r *sdkmetric.ManualReader) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for name, m := range collect(t, r) {
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			out[name] += p.Value
		}
	}
	return out
}

// get returns the value of a key.
func get(kv []attribute.KeyValue, key attribute.Key) (attribute.Value, bool) {
	i := slices.IndexFunc(kv, func(a attribute.KeyValue) bool { return a.Key == key })
	if i < 0 {
		return attribute.Value{}, false
	}
	return kv[i].Value, true
}
