package trace

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Names of the instruments that observe the process.
const (
	MetricConnections = "seqguard.connections"
	MetricOpened      = "seqguard.opened"
	MetricClosedIdle  = "seqguard.closed_idle"
	MetricUntracked   = "seqguard.untracked"
	MetricOpaque      = "seqguard.opaque"
	MetricAbandoned   = "seqguard.abandoned"
	MetricPanics      = "seqguard.panics"
	MetricUndelivered = "seqguard.reports.undelivered"
	MetricNested      = "seqguard.reports.nested"
)

// observed are the totals of the process as instruments.
var observed = []struct {
	name, unit, description string
	value                   func(*wrapconn.Counters) uint64
}{
	{MetricOpened, "{connection}", "Guarded connections made.", func(c *wrapconn.Counters) uint64 { return c.Connections }},
	{MetricClosedIdle, "{connection}", "Idle connections that the peer closed without a word, which the pool replaces.", func(c *wrapconn.Counters) uint64 { return c.Closed }},
	{MetricUntracked, "{conversation}", "Times that a conversation could not be followed for a while.", func(c *wrapconn.Counters) uint64 { return c.Untracked }},
	{MetricOpaque, "{connection}", "Connections whose packets could not be seen.", func(c *wrapconn.Counters) uint64 { return c.Opaque }},
	{MetricAbandoned, "{operation}", "Operations whose context ended while their command was unanswered; the statement may go on running on the server.", func(c *wrapconn.Counters) uint64 { return c.Abandoned }},
	{MetricPanics, "{panic}", "Faults of the guard's own view, which went on without it, and of what it called with a report.", func(c *wrapconn.Counters) uint64 { return c.Panics }},
	{MetricUndelivered, "{report}", "Times that telemetry or a callback did not get a report, because it was too slow for them.", func(c *wrapconn.Counters) uint64 { return c.Undelivered }},
	{MetricNested, "{report}", "Reports that were caused by delivering another one, and only counted.", func(c *wrapconn.Counters) uint64 { return c.Nested }},
}

// totals is a Recorder's share of an observation.
type totals struct {
	mu sync.Mutex
	of *observation // nil unless started
}

// observation is the registration of the totals with one provider. They belong
// to the process, and a second registration would make a provider see them
// twice, so all Recorders of a provider share one.
type observation struct {
	provider metric.MeterProvider // nil: the global one, whichever it will be
	users    int
	reg      metric.Registration
}

var observations struct {
	mu   sync.Mutex
	list []*observation
}

// Start lets the meter provider observe the open connections and the totals of
// the process (seqguard.connections, seqguard.untracked and others) until Close. All
// Recorders of a provider share one registration, so each of them may be
// started; one that is not started needs no Close.
//
// If the global provider is set later, it is found the first time that it is set.
// A further one does not get the totals. A provider that is given to one Recorder
// and later set as the global one of another gets them twice.
func (r *Recorder) Start() error {
	r.totals.mu.Lock()
	defer r.totals.mu.Unlock()
	if r.totals.of != nil {
		return nil
	}
	o, err := observe(r.cfg.MeterProvider)
	if err != nil {
		return err
	}
	r.totals.of = o
	return nil
}

// Close ends what Start began. Reports are still emitted.
func (r *Recorder) Close() error {
	r.totals.mu.Lock()
	defer r.totals.mu.Unlock()
	o := r.totals.of
	r.totals.of = nil
	if o == nil {
		return nil
	}
	return o.release()
}

func observe(p metric.MeterProvider) (*observation, error) {
	observations.mu.Lock()
	defer observations.mu.Unlock()
	if same(p, otel.GetMeterProvider()) {
		p = nil
	}
	for _, o := range observations.list {
		if p == nil && o.provider == nil || same(o.provider, p) {
			o.users++
			return o, nil
		}
	}
	reg, err := register(meterOf(meterProvider(p)))
	if err != nil {
		return nil, err
	}
	o := &observation{provider: p, users: 1, reg: reg}
	observations.list = append(observations.list, o)
	return o, nil
}

func (o *observation) release() error {
	observations.mu.Lock()
	defer observations.mu.Unlock()
	if o.users--; o.users > 0 {
		return nil
	}
	for i, other := range observations.list {
		if other == o {
			observations.list = append(observations.list[:i], observations.list[i+1:]...)
			break
		}
	}
	return o.reg.Unregister()
}

func register(meter metric.Meter) (metric.Registration, error) {
	connections, err := meter.Int64ObservableUpDownCounter(MetricConnections, metric.WithUnit("{connection}"),
		metric.WithDescription("Guarded connections that are open, by what lies under their packets."))
	if err != nil {
		return nil, err
	}
	instruments := make([]metric.Int64ObservableCounter, len(observed))
	all := []metric.Observable{connections}
	for i, t := range observed {
		c, err := meter.Int64ObservableCounter(t.name, metric.WithUnit(t.unit), metric.WithDescription(t.description))
		if err != nil {
			return nil, err
		}
		instruments[i] = c
		all = append(all, c)
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := wrapconn.Stats()
		for i, t := range observed {
			o.ObserveInt64(instruments[i], int64(t.value(&s)))
		}
		ready, loggingIn := wrapconn.CountOpen()
		for l, n := range ready {
			var a attrs
			a.layers(l.TLS, l.Compressed)
			o.ObserveInt64(connections, int64(n), metric.WithAttributes(a...))
		}
		if loggingIn > 0 {
			o.ObserveInt64(connections, int64(loggingIn))
		}
		return nil
	}, all...)
}
