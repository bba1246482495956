package seqguard

import (
	"context"

	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// newReporter returns what is done with a report.
func newReporter(o *config) func(context.Context, *wrapconn.Report) {
	rec := trace.New(trace.Config{
		TracerProvider: o.tracers, MeterProvider: o.meters, LoggerProvider: o.loggers,
		Logger: o.logger, Attributes: o.attributes,
	})
	fn := o.onReport
	if fn == nil {
		return rec.Report
	}
	return func(ctx context.Context, r *wrapconn.Report) {
		rec.Report(ctx, r)
		fn(ctx, r)
	}
}
