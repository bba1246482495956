package trace

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seqguard/mysql-seqguard/internal/version"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// EventName is the event name of the log record.
const EventName = "seqguard.violation"

// message is the one line for people.
func message(r *wrapconn.Report) string { return text(r.Summary()) }

// log emits one record through OpenTelemetry. Its trace context is that of the
// violation's span.
func (r *Recorder) log(ctx context.Context, rep *wrapconn.Report, kv []attribute.KeyValue) {
	p := r.cfg.LoggerProvider
	if p == nil {
		p = otel.GetLoggerProvider()
	}
	logger := p.Logger(ScopeName, log.WithSchemaURL(semconv.SchemaURL), log.WithInstrumentationVersion(version.Version))
	severity := logSeverity(rep.Cause.Severity)
	if !logger.Enabled(ctx, log.EnabledParameters{Severity: severity, EventName: EventName}) {
		return
	}
	var rec log.Record
	rec.SetEventName(EventName)
	rec.SetTimestamp(rep.Time)
	rec.SetSeverity(severity)
	rec.SetSeverityText(severity.String())
	rec.SetBody(attribute.StringValue(message(rep)))
	rec.AddAttributes(kv...)
	if lines := rep.PacketLines(maxLines); len(lines) > 0 {
		rec.AddAttributes(KeyHistoryPackets.StringSlice(lines))
	}
	logger.Emit(ctx, rec)
}

// logSeverity puts our severities on OpenTelemetry's scale. A failed operation
// is a warning, because its caller has the error and deals with it; what only a
// change of the program or the installation can cure is an error. FATAL is the
// end of a process, so nothing here is.
func logSeverity(s cause.Severity) log.Severity {
	switch s {
	case cause.Notice:
		return log.SeverityInfo
	case cause.Error:
		return log.SeverityWarn
	}
	return log.SeverityError
}
