package trace

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Names of the instruments.
const (
	MetricViolations  = "seqguard.violations"
	MetricDropped     = "seqguard.reports.dropped"
	MetricConnections = "seqguard.connections"
	MetricUntracked   = "seqguard.untracked"
	MetricOpaque      = "seqguard.opaque"
)

// metrics are the instruments, made at the first report. Those of the global
// provider pass on to the one that is set later.
type metrics struct {
	once       sync.Once
	violations metric.Int64Counter
	dropped    metric.Int64Counter
}

func (m *metrics) count(ctx context.Context, p metric.MeterProvider, rep *wrapconn.Report, passed bool, extra []attribute.KeyValue) {
	if p == nil {
		p = otel.GetMeterProvider()
	}
	m.once.Do(func() { m.init(p) })
	a := make(attrs, 0, 4+len(extra))
	a.add(extra...)
	a.str(KeyCause, string(rep.Cause.Slug))
	a.str(KeySeverity, rep.Cause.Severity.String())
	if host, port, ok := hostPort(rep.Server); ok {
		a.add(semconv.ServerAddress(host), semconv.ServerPort(port))
	} else if rep.Server != "" {
		a.add(semconv.ServerAddress(rep.Server))
	}
	set := metric.WithAttributes(a...)
	m.violations.Add(ctx, 1, set)
	if !passed {
		m.dropped.Add(ctx, 1, set)
	}
}

// init makes the counters. An error of the API still leaves a usable instrument.
func (m *metrics) init(p metric.MeterProvider) {
	meter := meterOf(p)
	m.violations, _ = meter.Int64Counter(MetricViolations, metric.WithUnit("{violation}"),
		metric.WithDescription("Violations of the protocol and of a connection's ownership, by cause."))
	m.dropped, _ = meter.Int64Counter(MetricDropped, metric.WithUnit("{report}"),
		metric.WithDescription("Reports that were counted but not emitted, because there were too many."))
}

func meterOf(p metric.MeterProvider) metric.Meter {
	return p.Meter(ScopeName, metric.WithSchemaURL(semconv.SchemaURL), metric.WithInstrumentationVersion(Version))
}

// RegisterTotals registers the totals of this process as observable counters
// with p, nil for the global provider. Unregister the result to end it; call it
// once for a process, or each of the registrations is observed.
func RegisterTotals(p metric.MeterProvider) (metric.Registration, error) {
	if p == nil {
		p = otel.GetMeterProvider()
	}
	meter := meterOf(p)
	connections, err := meter.Int64ObservableCounter(MetricConnections, metric.WithUnit("{connection}"),
		metric.WithDescription("Guarded connections made."))
	if err != nil {
		return nil, err
	}
	untracked, err := meter.Int64ObservableCounter(MetricUntracked, metric.WithUnit("{conversation}"),
		metric.WithDescription("Times that a conversation could not be followed for a while."))
	if err != nil {
		return nil, err
	}
	opaque, err := meter.Int64ObservableCounter(MetricOpaque, metric.WithUnit("{connection}"),
		metric.WithDescription("Connections whose packets could not be seen."))
	if err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := wrapconn.Stats()
		o.ObserveInt64(connections, int64(s.Connections))
		o.ObserveInt64(untracked, int64(s.Untracked))
		o.ObserveInt64(opaque, int64(s.Opaque))
		return nil
	}, connections, untracked, opaque)
}
