package seqguard

import (
	"context"
	"sync"

	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// telemetry is what a connector does with reports.
type telemetry struct {
	recorder *trace.Recorder
	onReport func(context.Context, *wrapconn.Report)
	start    sync.Once
}

func newTelemetry(o *config) *telemetry {
	return &telemetry{
		recorder: trace.New(trace.Config{
			TracerProvider: o.tracers, MeterProvider: o.meters, LoggerProvider: o.loggers,
			Logger: o.logger, Attributes: o.attributes,
		}),
		onReport: o.onReport,
	}
}

func (t *telemetry) report(ctx context.Context, r *wrapconn.Report) {
	// The user's function first: an exporter that panics must not keep it from
	// the report.
	if t.onReport != nil {
		t.onReport(ctx, r)
	}
	t.recorder.Report(ctx, r)
}

// begin registers the totals of the process with the first connection. An error
// is one of the metrics SDK and no reason not to connect.
func (t *telemetry) begin() { t.start.Do(func() { _ = t.recorder.Start() }) }
