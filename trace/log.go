package trace

import (
	"context"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/global"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// message is the one line for people.
func message(r *wrapconn.Report) string {
	return r.Cause.Title + ": " + r.Cause.Explanation
}

// log emits one record through OpenTelemetry. Its trace context is that of the
// violation's span.
func (r *Recorder) log(ctx context.Context, rep *wrapconn.Report, kv []attribute.KeyValue) {
	p := r.cfg.LoggerProvider
	if p == nil {
		p = global.GetLoggerProvider()
	}
	logger := p.Logger(ScopeName, log.WithSchemaURL(semconv.SchemaURL), log.WithInstrumentationVersion(Version))
	severity := logSeverity(rep.Cause.Severity)
	if !logger.Enabled(ctx, log.EnabledParameters{Severity: severity, EventName: EventName}) {
		return
	}
	var rec log.Record
	rec.SetEventName(EventName)
	rec.SetTimestamp(rep.Time)
	rec.SetSeverity(severity)
	rec.SetSeverityText(strings.ToUpper(slogLevel(rep.Cause.Severity).String()))
	rec.SetBody(attribute.StringValue(message(rep)))
	rec.AddAttributes(kv...)
	logger.Emit(ctx, rec)
}

// slog writes one record to the logger of the user's, if there is one.
func (r *Recorder) slog(ctx context.Context, rep *wrapconn.Report, kv []attribute.KeyValue) {
	l, level := r.cfg.Logger, slogLevel(rep.Cause.Severity)
	if l == nil || !l.Enabled(ctx, level) {
		return
	}
	out := make([]slog.Attr, 0, len(kv))
	for _, a := range kv {
		out = append(out, slog.Any(string(a.Key), a.Value.AsInterface()))
	}
	l.LogAttrs(ctx, level, message(rep), out...)
}

func logSeverity(s cause.Severity) log.Severity {
	switch s {
	case cause.Notice:
		return log.SeverityInfo
	case cause.Error:
		return log.SeverityWarn // the operation failed and its caller has the error
	}
	return log.SeverityError
}

func slogLevel(s cause.Severity) slog.Level {
	switch s {
	case cause.Notice:
		return slog.LevelInfo
	case cause.Error:
		return slog.LevelWarn
	}
	return slog.LevelError
}
