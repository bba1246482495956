package trace

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/seqguard/mysql-seqguard/internal/version"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

const (
	// SpanName is the beginning of the span's name; behind a space follows the
	// slug of the cause, so that a list of spans tells them apart. There are some
	// forty causes.
	SpanName = "seqguard.violation"
	// PacketEvent is the name of the span's events, one a packet.
	PacketEvent = "packet"
	// EndEvent is the name of the event for the end of the stream, or for the time
	// limit that ran out.
	EndEvent = "end"
)

// span emits the span and returns a context with it, for the log records.
//
// There is no RecordError: the facts are attributes, and the error reaches the
// caller, whose instrumentation may record it.
func (r *Recorder) span(ctx context.Context, rep *wrapconn.Report, kv []attribute.KeyValue) context.Context {
	p := r.cfg.TracerProvider
	if p == nil {
		p = otel.GetTracerProvider()
	}
	tracer := p.Tracer(ScopeName, trace.WithSchemaURL(semconv.SchemaURL), trace.WithInstrumentationVersion(version.Version))
	start, end := rep.Started(), rep.Time
	// A refusal takes no time, and a span without a duration is wrong to Jaeger: it warns of a negative one.
	if least := start.Add(time.Microsecond); end.Before(least) {
		end = least
	}
	// All that a sampler may want to see is there at the start.
	ctx, span := tracer.Start(ctx, SpanName+" "+string(rep.Cause.Slug),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(start),
		trace.WithAttributes(kv...), trace.WithLinks(links(ctx, rep)...))
	if span.IsRecording() {
		packets, _ := lastPackets(rep, maxPackets(rep))
		for i := range packets {
			e := &packets[i]
			span.AddEvent(PacketEvent, trace.WithTimestamp(e.Time), trace.WithAttributes(packetAttributes(rep, e)...))
		}
		if rep.Evidence.Stream != cause.StreamOpen {
			span.AddEvent(EndEvent, trace.WithTimestamp(rep.Time), trace.WithAttributes(endAttributes(rep)...))
		}
		if failed(rep) {
			span.SetStatus(codes.Error, text(rep.Cause.Explanation))
		}
	}
	span.End(trace.WithTimestamp(end))
	return ctx
}

// links lead to the spans of the owner and the intruder, where these are not
// the parent. Two operations of one span need one link.
func links(ctx context.Context, rep *wrapconn.Report) []trace.Link {
	known := []trace.SpanContext{trace.SpanContextFromContext(ctx)}
	var out []trace.Link
	for _, o := range []struct {
		role string
		op   *wrapconn.Operation
	}{{"owner", rep.Owner}, {"intruder", rep.Intruder}} {
		if o.op == nil || o.op.Context == nil {
			continue
		}
		sc := trace.SpanContextFromContext(o.op.Context)
		if !sc.IsValid() || contains(known, sc) {
			continue
		}
		known = append(known, sc)
		out = append(out, trace.Link{SpanContext: sc, Attributes: []attribute.KeyValue{KeyLinkRole.String(o.role)}})
	}
	return out
}

// contains compares what names a span: flags and state may differ on the way.
func contains(list []trace.SpanContext, sc trace.SpanContext) bool {
	for _, k := range list {
		if k.TraceID() == sc.TraceID() && k.SpanID() == sc.SpanID() {
			return true
		}
	}
	return false
}
