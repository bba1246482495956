package trace

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// ScopeName is the instrumentation scope of all that is emitted.
const ScopeName = "github.com/seqguard/mysql-seqguard/trace"

// Config says where a Recorder emits. The zero value uses the global providers,
// which are asked at each report: one that is set later is found.
type Config struct {
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	LoggerProvider log.LoggerProvider
	Logger         *slog.Logger         // nil: none
	Attributes     []attribute.KeyValue // added to all that tells of a report, metrics included: keep their values few
}

// Recorder emits reports.
type Recorder struct {
	cfg     Config
	now     func() time.Time // the clock of the rate limit
	limit   limiter
	lost    losses
	metrics metrics
	totals  totals
}

// New returns a Recorder. It emits nothing until there is a report, or until
// Start.
func New(cfg Config) *Recorder {
	return &Recorder{cfg: cfg, now: time.Now}
}

// Report emits rep: as a span under the one in ctx, as a log record, and as a
// count. Beyond a rate for each server and cause only the count is emitted, and
// the next report says how many were left out. It keeps nothing of rep.
//
// It takes as long as the providers' processors and the logger do, so do not call
// it on the goroutine that uses the connection: see [wrapconn.Delivery]. If one of
// them panics, the others still get the report, and then the panic goes on.
func (r *Recorder) Report(ctx context.Context, rep *wrapconn.Report) {
	if ctx == nil {
		ctx = context.Background()
	}
	var all steps
	defer all.end()
	all.do(r.countLost)
	dropped, pass := r.limit.allow(rep.Server, rep.Cause.Slug, r.now())
	all.do(func() { r.count(ctx, rep, pass) })
	note(ctx, rep)
	if !pass {
		return
	}
	kv := attributes(rep, dropped, r.cfg.Attributes)
	all.do(func() { ctx = r.span(ctx, rep, kv); note(ctx, rep) })
	all.do(func() { r.log(ctx, rep, kv) })
	all.do(func() { r.slog(ctx, rep) })
}

// note lets the live page lead to the trace: to the operation's, until there is a
// span of our own.
func note(ctx context.Context, rep *wrapconn.Report) {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		rep.SetTrace(wrapconn.TraceRef{TraceID: sc.TraceID().String(), SpanID: sc.SpanID().String(), Sampled: sc.IsSampled()})
	}
}

// steps are calls of which none keeps the others from being made.
type steps struct{ panicked any }

func (s *steps) do(f func()) {
	defer func() {
		if p := recover(); p != nil && s.panicked == nil {
			s.panicked = p
		}
	}()
	f()
}

// end lets the first panic go on.
func (s *steps) end() {
	if s.panicked != nil {
		panic(s.panicked)
	}
}
