package seqguard

import (
	"context"
	"sync"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/delivery"
	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// telemetry is what a driver does with reports. Its connectors share one, so that
// there is one rate limit and one queue however connections are made.
type telemetry struct {
	recorder *trace.Recorder
	delivery *wrapconn.Delivery
	// inquiries are how often servers are asked about reports.
	inquiries inquiryLimits

	// errands starts and ends the registration of metrics: a meter provider is
	// the application's and may take its time.
	errands *delivery.Queue[func()]

	mu    sync.Mutex
	users int // open connections, and connectors that may make more
}

func newTelemetry(o *config) *telemetry {
	t := &telemetry{recorder: trace.New(trace.Config{
		TracerProvider: o.tracers, MeterProvider: o.meters, LoggerProvider: o.loggers,
		Logger: o.logger, Attributes: o.attributes,
	})}
	receivers := []wrapconn.Receiver{{Report: t.recorder.Report, Lost: t.recorder.Lost}}
	if o.onReport != nil {
		receivers = append(receivers, wrapconn.Receiver{Report: o.onReport})
	}
	t.delivery = wrapconn.NewDelivery(receivers...)
	// Nothing is lost when the queue is full: what is in it looks at users when
	// its turn comes.
	t.errands = delivery.New(delivery.Limit{Items: 4}, func(f func(), _ uint64) { f() }, wrapconn.Recovered)
	return t
}

// hold is called before c makes a connection, release when that is closed or was
// not made. The totals of the process are registered meanwhile, and after it
// until c is retired.
func (t *telemetry) hold(c *connector) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(1)
	if !c.single && !c.active {
		c.active = true
		t.add(1)
	}
}

func (t *telemetry) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(-1)
}

// retire says that a pool of c was closed, and delivers what is queued.
func (t *telemetry) retire(c *connector) {
	t.mu.Lock()
	if c.active {
		c.active = false
		t.add(-1)
	}
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	_ = t.delivery.Flush(ctx)
	_ = t.errands.Flush(ctx)
	if c.metrics != nil {
		_ = c.metrics.queue.Flush(ctx)
	}
}

// add changes users, with mu held.
func (t *telemetry) add(n int) {
	before := t.users > 0
	t.users += n
	if t.users > 0 != before {
		t.errands.Put(t.register, 0, time.Time{})
	}
}

// register makes the registration what users wants it to be. An error is one of the
// metrics SDK, and no reason for anything here.
func (t *telemetry) register() {
	t.mu.Lock()
	wanted := t.users > 0
	t.mu.Unlock()
	if wanted {
		_ = t.recorder.Start()
	} else {
		_ = t.recorder.Close()
	}
}

// closeWait is for how long the Close of a pool waits for what is to be told.
const closeWait = 2 * time.Second

// Flush waits until telemetry and callbacks have been told of all violations met
// before, or until ctx ends, whose error it returns then. Reports are delivered
// in the background, so a program that ends at once, or a test that looks at
// what was told, calls Flush first. sql.DB.Close does the same for its own
// reports, for two seconds at most. What an exporter or a span processor keeps
// for later is not flushed by this: shut the provider down after it.
//
// A callback of WithOnReport must not call Flush: it gets an error.
func Flush(ctx context.Context) error { return wrapconn.Flush(ctx) }
