package trace

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Names of the instruments of a pool. Those that begin with "db.client." are of the
// semantic conventions.
const (
	MetricConnectionCount      = "db.client.connection.count"
	MetricConnectionMax        = "db.client.connection.max"
	MetricConnectionCreateTime = "db.client.connection.create_time"
	MetricConnectionUseTime    = "db.client.connection.use_time"
	MetricPoolWaits            = "seqguard.pool.waits"
	MetricPoolWaitDuration     = "seqguard.pool.wait_duration"
)

// poolSeconds are the bounds that are proposed to an SDK for its histograms of
// seconds: those that the semantic conventions have for database operations, and a
// minute, as a connection may be kept for long.
var poolSeconds = metric.WithExplicitBucketBoundaries(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60)

// Pool measures the connections of one pool under the names of OpenTelemetry's
// semantic conventions. Its methods may be called from any goroutine.
type Pool struct {
	meter       metric.Meter
	name        attribute.KeyValue
	create, use metric.Float64Histogram
	set         metric.MeasurementOption
}

// NewPool makes the instruments of a pool. If p is nil, the global provider is used.
func NewPool(p metric.MeterProvider, name string) *Pool {
	m := meterOf(meterProvider(p))
	out := &Pool{meter: m, name: semconv.DBClientConnectionPoolName(text(name))}
	// An error of the API still leaves an instrument that can be used.
	out.create, _ = m.Float64Histogram(MetricConnectionCreateTime, metric.WithUnit("s"), poolSeconds,
		metric.WithDescription("The time it took to create a new connection."))
	out.use, _ = m.Float64Histogram(MetricConnectionUseTime, metric.WithUnit("s"), poolSeconds,
		metric.WithDescription("The time between borrowing a connection and returning it to the pool."))
	out.set = metric.WithAttributeSet(attribute.NewSet(out.name))
	return out
}

// Created records that a connection was made, login included, in d.
func (p *Pool) Created(ctx context.Context, d time.Duration) {
	p.create.Record(ctx, d.Seconds(), p.set)
}

// Used records that a connection goes back to the pool, or is closed, after d.
func (p *Pool) Used(ctx context.Context, d time.Duration) { p.use.Record(ctx, d.Seconds(), p.set) }

// PoolState is the state of a pool, as in sql.DBStats.
type PoolState struct {
	Used, Idle int           // connections
	Max        int           // that may be open; 0: no limit
	Waits      int64         // requests for a connection that had to wait, ever
	Waited     time.Duration // all of them together
}

// Observe lets the meter provider ask for the state of the pool, until the
// registration is taken back. state returns false if the pool is gone.
func (p *Pool) Observe(state func() (PoolState, bool)) (metric.Registration, error) {
	count, err := p.meter.Int64ObservableUpDownCounter(MetricConnectionCount, metric.WithUnit("{connection}"),
		metric.WithDescription("The number of connections that are currently in state described by the state attribute."))
	if err != nil {
		return nil, err
	}
	limit, err := p.meter.Int64ObservableUpDownCounter(MetricConnectionMax, metric.WithUnit("{connection}"),
		metric.WithDescription("The maximum number of open connections allowed."))
	if err != nil {
		return nil, err
	}
	waits, err := p.meter.Int64ObservableCounter(MetricPoolWaits, metric.WithUnit("{request}"),
		metric.WithDescription("Requests for a connection that had to wait because all were in use."))
	if err != nil {
		return nil, err
	}
	waited, err := p.meter.Float64ObservableCounter(MetricPoolWaitDuration, metric.WithUnit("s"),
		metric.WithDescription("For how long those requests have waited, all together."))
	if err != nil {
		return nil, err
	}
	used := metric.WithAttributeSet(attribute.NewSet(p.name, semconv.DBClientConnectionStateUsed))
	idle := metric.WithAttributeSet(attribute.NewSet(p.name, semconv.DBClientConnectionStateIdle))
	return p.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s, ok := state()
		if !ok {
			return nil
		}
		o.ObserveInt64(count, int64(s.Used), used)
		o.ObserveInt64(count, int64(s.Idle), idle)
		if s.Max > 0 { // no limit is no number
			o.ObserveInt64(limit, int64(s.Max), p.set)
		}
		o.ObserveInt64(waits, s.Waits, p.set)
		o.ObserveFloat64(waited, s.Waited.Seconds(), p.set)
		return nil
	}, count, limit, waits, waited)
}
