package trace

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

const (
	// ScopeName is the instrumentation scope of all that is emitted.
	ScopeName = "github.com/seqguard/mysql-seqguard/trace"
	// SpanName is the name of the span, EventName that of the log record.
	SpanName  = "seqguard.violation"
	EventName = "seqguard.violation"
	// PacketEvent is the name of the span's events.
	PacketEvent = "packet"
)

// Config says where a Recorder emits. The zero value uses the global providers,
// which are asked at each report: one that is set later is found.
type Config struct {
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	LoggerProvider log.LoggerProvider
	Logger         *slog.Logger         // nil: none
	Attributes     []attribute.KeyValue // added to everything
}

// Recorder emits reports.
type Recorder struct {
	cfg     Config
	limit   limiter
	metrics metrics
}

// New returns a Recorder.
func New(cfg Config) *Recorder { return &Recorder{cfg: cfg} }

// Report emits r: as a span under the one in ctx, as a log record, and as a
// count. Beyond a rate for each server and cause only the count is emitted, and
// the next span says how many were left out.
func (r *Recorder) Report(ctx context.Context, rep *wrapconn.Report) {
	dropped, pass := r.limit.allow(rep.Server, rep.Cause.Slug, rep.Time)
	r.metrics.count(ctx, r.cfg.MeterProvider, rep, pass, r.cfg.Attributes)
	if !pass {
		return
	}
	kv := attributes(rep, dropped, r.cfg.Attributes)
	ctx = r.span(ctx, rep, kv)
	r.log(ctx, rep, kv)
	r.slog(ctx, rep, kv)
}

// span emits the span and returns a context with it, for the log record.
func (r *Recorder) span(ctx context.Context, rep *wrapconn.Report, kv []attribute.KeyValue) context.Context {
	p := r.cfg.TracerProvider
	if p == nil {
		p = otel.GetTracerProvider()
	}
	tracer := p.Tracer(ScopeName, trace.WithSchemaURL(semconv.SchemaURL), trace.WithInstrumentationVersion(Version))
	start := rep.Started()
	ctx, span := tracer.Start(ctx, SpanName,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(start),
		trace.WithAttributes(kv...), trace.WithLinks(links(ctx, rep)...))
	if span.IsRecording() {
		for i := range rep.History {
			e := &rep.History[i]
			span.AddEvent(PacketEvent, trace.WithTimestamp(e.Time), trace.WithAttributes(packetAttributes(e)...))
		}
		if rep.Cause.Severity != cause.Notice {
			span.SetStatus(codes.Error, rep.Cause.Explanation)
		}
	}
	end := rep.Time
	if end.Before(start) {
		end = start
	}
	span.End(trace.WithTimestamp(end))
	return ctx
}

// links lead to the spans of the owner and the intruder, where these are not
// the parent.
func links(ctx context.Context, rep *wrapconn.Report) []trace.Link {
	parent := trace.SpanContextFromContext(ctx)
	var out []trace.Link
	for _, o := range []struct {
		role string
		op   *wrapconn.Operation
	}{{"owner", rep.Owner}, {"intruder", rep.Intruder}} {
		if o.op == nil || o.op.Context == nil {
			continue
		}
		if sc := trace.SpanContextFromContext(o.op.Context); sc.IsValid() && !sc.Equal(parent) {
			out = append(out, trace.Link{SpanContext: sc, Attributes: []attribute.KeyValue{KeyLinkRole.String(o.role)}})
		}
	}
	return out
}

// KeyLinkRole says on a link whose span it leads to.
const KeyLinkRole = attribute.Key("seqguard.link.role")
