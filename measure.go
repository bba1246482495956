package seqguard

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/seqguard/mysql-seqguard/internal/delivery"
	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// poolMeter hands what is measured of a pool to the meter provider. That is the application's, and may have code of the application's in it (a view's
// filter, an exemplar's): nobody who takes or returns a connection waits for it, and a panic of it ends here.
type poolMeter struct {
	*trace.Pool
	queue *delivery.Queue[measurement]
}

// measurement is of a connection that was made, or (without a context) of one that was given back.
type measurement struct {
	ctx  context.Context
	took time.Duration
}

// maxMeasurements is what waits for an instrument that blocks. More is not measured.
const maxMeasurements = 4096

func newPoolMeter(p metric.MeterProvider, name string) *poolMeter {
	m := &poolMeter{Pool: trace.NewPool(p, name)}
	m.queue = delivery.New(delivery.Limit{Items: maxMeasurements}, m.record, wrapconn.Recovered)
	return m
}

func (m *poolMeter) record(x measurement, _ uint64) {
	if x.ctx != nil {
		m.Created(x.ctx, x.took)
	} else {
		m.Used(context.Background(), x.took)
	}
}

func (m *poolMeter) created(ctx context.Context, d time.Duration) {
	m.queue.Put(measurement{context.WithoutCancel(ctx), d}, 0, time.Time{})
}

func (m *poolMeter) used(d time.Duration) { m.queue.Put(measurement{took: d}, 0, time.Time{}) }
