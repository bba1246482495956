package trace

import (
	"context"
	"log/slog"
	"math"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// slogGroup holds what is our own; it is the namespace of our keys.
const slogGroup = "seqguard"

// slog writes one record to the logger of the user's, if there is one: the keys
// of the conventions as they are, ours in their group, and the span's name as
// OpenTelemetry wants it in logs of other formats.
func (r *Recorder) slog(ctx context.Context, rep *wrapconn.Report, kv []attribute.KeyValue) {
	l, level := r.cfg.Logger, slogLevel(rep.Cause.Severity)
	if l == nil || !l.Enabled(ctx, level) {
		return
	}
	out := make([]slog.Attr, 0, len(kv)/2)
	own := make([]slog.Attr, 0, len(kv))
	for _, a := range kv {
		v := slogValue(a.Value)
		if name, ok := strings.CutPrefix(string(a.Key), slogGroup+"."); ok {
			own = append(own, slog.Attr{Key: name, Value: v})
			continue
		}
		out = append(out, slog.Attr{Key: string(a.Key), Value: v})
	}
	if lines := packetLines(rep); len(lines) > 0 {
		own = append(own, slog.Any(strings.TrimPrefix(string(KeyHistoryPackets), slogGroup+"."), lines))
	}
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		out = append(out, slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	out = append(out, slog.Attr{Key: slogGroup, Value: slog.GroupValue(own...)})
	l.LogAttrs(ctx, level, message(rep), out...)
}

// slogValue writes a whole number as one: slog's text has 3.6e+06 for a float.
func slogValue(v attribute.Value) slog.Value {
	if v.Type() == attribute.FLOAT64 {
		if f := v.AsFloat64(); f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return slog.Int64Value(int64(f))
		}
	}
	return slog.AnyValue(v.AsInterface())
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
