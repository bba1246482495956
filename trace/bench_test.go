package trace_test

import (
	"context"
	"testing"
	"time"

	lognoop "go.opentelemetry.io/otel/log/noop"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/seqguard/mysql-seqguard/trace"
)

// discard keeps no log record.
type discard struct{}

func (discard) OnEmit(context.Context, *sdklog.Record) error           { return nil }
func (discard) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (discard) Shutdown(context.Context) error                         { return nil }
func (discard) ForceFlush(context.Context) error                       { return nil }

// The cost of one violation. Healthy traffic does not come here.
func BenchmarkReport(b *testing.B) {
	noop := trace.Config{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider(), LoggerProvider: lognoop.NewLoggerProvider()}
	sdk := trace.Config{
		TracerProvider: sdktrace.NewTracerProvider(), // samples and records; no exporter
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
		LoggerProvider: sdklog.NewLoggerProvider(sdklog.WithProcessor(discard{})),
	}
	for _, tt := range []struct {
		name string
		cfg  trace.Config
		step time.Duration
	}{
		{"noop", noop, time.Second},
		{"sdk", sdk, time.Second},
		{"sdk/storm", sdk, 0}, // all but the first ten are only counted
	} {
		b.Run(tt.name, func(b *testing.B) {
			now := epoch
			rec := trace.New(tt.cfg)
			rec.SetClock(func() time.Time { now = now.Add(tt.step); return now })
			r := stalled(context.Background())
			b.ReportAllocs()
			for b.Loop() {
				rec.Report(r.Context, r)
			}
		})
	}
}
