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
func (r *Recorder) Report(ctx context.Context, rep *wrapconn.Report) {
	if ctx == nil {
		ctx = context.Background()
	}
	dropped, pass := r.limit.allow(rep.Server, rep.Cause.Slug, r.now())
	r.count(ctx, rep, pass)
	if !pass {
		return
	}
	kv := attributes(rep, dropped, r.cfg.Attributes)
	ctx = r.span(ctx, rep, kv)
	r.log(ctx, rep, kv)
	r.slog(ctx, rep, kv)
}
