package trace

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// losses counts reports that Report was not called with, by what the metrics tell
// apart, until it is called again. The zero value is usable.
type losses struct {
	mu sync.Mutex
	n  map[countKey]int64
}

type countKey struct{ cause, severity, server string }

// Lost counts a report that will not be emitted because there are too many. The
// next report adds it to the metrics, as a violation and as a dropped report. Lost
// emits nothing and never waits.
func (r *Recorder) Lost(rep *wrapconn.Report) {
	k := countKey{string(rep.Cause.Slug), rep.Cause.Severity.String(), rep.Server}
	l := &r.lost
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == nil {
		l.n = map[countKey]int64{}
	}
	if _, known := l.n[k]; !known && len(l.n) >= limitKeys {
		k.server = ""
	}
	l.n[k]++
}

func (l *losses) take() map[countKey]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.n
	l.n = nil
	return n
}

// countLost adds what Lost has counted to the metrics. It belongs to nobody's
// trace.
func (r *Recorder) countLost() {
	for k, n := range r.lost.take() {
		c := r.metrics.of(meterProvider(r.cfg.MeterProvider))
		set := metric.WithAttributes(r.countAttributes(k)...)
		c.violations.Add(context.Background(), n, set)
		c.dropped.Add(context.Background(), n, set)
	}
}

func (r *Recorder) countAttributes(k countKey) []attribute.KeyValue {
	a := make(attrs, 0, 4+len(r.cfg.Attributes))
	a.add(r.cfg.Attributes...)
	a.str(KeyCause, k.cause)
	a.str(KeySeverity, k.severity)
	a.server(k.server)
	return a
}
