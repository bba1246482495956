package trace

import (
	"context"
	"reflect"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seqguard/mysql-seqguard/internal/version"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Names of the instruments that count reports.
const (
	MetricViolations = "seqguard.violations"
	MetricDropped    = "seqguard.reports.dropped"
)

// counters are the instruments of one provider.
type counters struct {
	provider   metric.MeterProvider
	violations metric.Int64Counter
	dropped    metric.Int64Counter
}

// metrics keeps the counters of the provider of the last report. It is another
// one only when the global provider was set in between.
type metrics struct {
	mu   sync.Mutex
	last *counters
}

// of returns the counters of p, made at the first report. An error of the API
// still leaves an instrument that can be used, so there is nobody to tell.
func (m *metrics) of(p metric.MeterProvider) *counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last != nil && same(m.last.provider, p) {
		return m.last
	}
	meter := meterOf(p)
	c := &counters{provider: p}
	c.violations, _ = meter.Int64Counter(MetricViolations, metric.WithUnit("{violation}"),
		metric.WithDescription("Violations of the protocol and of a connection's ownership, by cause."))
	c.dropped, _ = meter.Int64Counter(MetricDropped, metric.WithUnit("{report}"),
		metric.WithDescription("Reports that were counted but not emitted, because there were too many."))
	m.last = c
	return c
}

// count adds the report to the metrics, whether it is emitted or not.
func (r *Recorder) count(ctx context.Context, rep *wrapconn.Report, passed bool) {
	c := r.metrics.of(meterProvider(r.cfg.MeterProvider))
	set := metric.WithAttributes(r.countAttributes(countKey{string(rep.Cause.Slug), rep.Cause.Severity.String(), rep.Server})...)
	c.violations.Add(ctx, 1, set)
	if !passed {
		c.dropped.Add(ctx, 1, set)
	}
}

func meterProvider(p metric.MeterProvider) metric.MeterProvider {
	if p == nil {
		return otel.GetMeterProvider()
	}
	return p
}

func meterOf(p metric.MeterProvider) metric.Meter {
	return p.Meter(ScopeName, metric.WithSchemaURL(semconv.SchemaURL), metric.WithInstrumentationVersion(version.Version))
}

// same compares providers, whose types are the users' and need not be
// comparable.
func same(a, b metric.MeterProvider) bool {
	return a != nil && b != nil && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}
