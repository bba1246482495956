package main

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// startRequest starts the span that a service would have around a request: what
// the guard has to say hangs under it. The span's end returns the trace's id, or
// nothing if nobody records it.
func startRequest(ctx context.Context, name string) (context.Context, func(error) string) {
	ctx, span := otel.Tracer("github.com/seqguard/mysql-seqguard/example").
		Start(ctx, "demo "+name, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(err error) string {
		if err != nil {
			span.SetStatus(codes.Error, short(err))
		}
		span.End()
		if !span.IsRecording() && !span.SpanContext().IsSampled() {
			return ""
		}
		return span.SpanContext().TraceID().String()
	}
}
