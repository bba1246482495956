package trace

import (
	"context"
	"log/slog"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// slog writes one record to the logger of the user's, if there is one. It is for
// people and fits a screen: the report's own choice (Report.LogValue), the attributes that
// the user added, and the names by which the span is found.
func (r *Recorder) slog(ctx context.Context, rep *wrapconn.Report) {
	l, level := r.cfg.Logger, slogLevel(rep.Cause.Severity)
	if l == nil || !l.Enabled(ctx, level) {
		return
	}
	out := make([]slog.Attr, 0, len(r.cfg.Attributes)+4)
	if failed(rep) {
		out = append(out, slog.String(string(semconv.ErrorTypeKey), string(rep.Cause.Slug)))
	}
	for _, a := range r.cfg.Attributes {
		out = append(out, slog.Any(string(a.Key), a.Value.AsInterface()))
	}
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		out = append(out, slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	out = append(out, slog.Any("seqguard", rep))
	l.LogAttrs(ctx, level, message(rep), out...)
}

// slogLevel is logSeverity on slog's scale.
func slogLevel(s cause.Severity) slog.Level {
	switch s {
	case cause.Notice:
		return slog.LevelInfo
	case cause.Error:
		return slog.LevelWarn
	}
	return slog.LevelError
}
