package main

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// tracer is the global provider's of this moment.
func tracer() trace.Tracer { return otel.Tracer("github.com/seqguard/mysql-seqguard/example") }

// startRequest starts the span that a service would have around a request: what
// the guard has to say hangs under it. The span's end returns the trace's id, or
// nothing if nobody records it.
func startRequest(ctx context.Context, name string) (context.Context, func(error) string) {
	ctx, span := tracer().Start(ctx, "demo "+name, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(err error) string {
		if err != nil {
			span.SetStatus(codes.Error, short(err))
			span.SetAttributes(semconv.ErrorType(err))
		}
		span.End()
		if !span.IsRecording() && !span.SpanContext().IsSampled() {
			return ""
		}
		return span.SpanContext().TraceID().String()
	}
}

// startStep starts the span of a part of a request.
func startStep(ctx context.Context, name string) (context.Context, func()) {
	ctx, span := tracer().Start(ctx, name)
	return ctx, func() { span.End() }
}
