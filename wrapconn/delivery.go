package wrapconn

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
	"unsafe"
	"weak"

	"github.com/seqguard/mysql-seqguard/internal/delivery"
)

// Delivery passes reports to code outside the guard: exporters, loggers,
// callbacks. Its method Report is meant for Options.OnReport and never waits, so
// no user of a connection waits for that code, and no lock is held while it runs.
// The code may use the same connections and pools, block, and panic. All methods
// may be called from any goroutine.
//
// Each receiver gets the reports in order and one at a time, on a goroutine of
// its own, which exists only while there is something to deliver. A receiver that
// blocks holds up only itself. Reports that it is too slow for are counted
// (Counters.Undelivered, Receiver.Lost, and Report.Lost of the next one). One
// exception to the order: other reports overtake one that Options.Inquire asks
// about.
//
// Reports that a receiver causes while it runs are counted (Counters.Nested) and
// not delivered, because that might go on without end. They are recognised by the
// goroutine, and by the context that the receiver was given. If a receiver starts
// another goroutine with another context, its reports are delivered like any
// others, one at a time.
type Delivery struct {
	// A report waits here for the evidence that may still come.
	verdicts *delivery.Queue[pending]
	// A report waits here for answers about it, and no other does.
	inquiries *delivery.Queue[pending]
	lanes     []lane
}

// Receiver gets reports from a Delivery.
type Receiver struct {
	// Report is called with each report. The values of ctx are those of the
	// context of the operation that met the violation; it does not end with it.
	Report func(ctx context.Context, r *Report)
	// Lost is called, if it is not nil, for a report that Report will not be
	// called with, because there are too many. It is called on the goroutine
	// that met the violation and must return at once.
	Lost func(r *Report)
}

// pending is a report on its way.
type pending struct {
	ctx    context.Context
	report *Report
	ask    func(context.Context) Answers // nil: nothing
}

type lane struct {
	queue *delivery.Queue[pending]
	lost  func(*Report)
}

// What a Delivery holds for each receiver, and as much again while verdicts
// wait. A report of 64 packets weighs about 8 KiB.
const (
	maxQueued      = 1024
	maxQueuedBytes = 8 << 20
	maxInquiries   = 16
)

// NewDelivery returns a Delivery to the receivers.
func NewDelivery(receivers ...Receiver) *Delivery {
	d := &Delivery{}
	limit := delivery.Limit{Items: maxQueued, Weight: maxQueuedBytes}
	d.verdicts = delivery.New(limit, d.settle, Recovered)
	d.verdicts.Reconsider(func(p pending, behind int) time.Time {
		if behind > maxQueued/2 {
			return time.Time{} // better said less well than lost
		}
		return p.report.underWay(time.Now())
	})
	d.inquiries = delivery.New(delivery.Limit{Items: maxInquiries, Weight: maxQueuedBytes}, d.inquire, Recovered)
	for _, r := range receivers {
		d.lanes = append(d.lanes, lane{
			queue: delivery.New(limit, func(p pending, lost uint64) {
				told := *p.report
				told.Lost, told.inquire = lost, nil
				r.Report(context.WithValue(p.ctx, insideKey{}, d), &told) // d: it lives as long as it has something to do
			}, Recovered),
			lost: r.Lost,
		})
	}
	deliveries.add(d)
	return d
}

var errInside = errors.New("seqguard: Flush: " + delivery.ErrInside.Error())

// insideKey marks the contexts that receivers are called with.
type insideKey struct{}

// Report queues a report, or counts it as lost.
func (d *Delivery) Report(ctx context.Context, r *Report) {
	if delivery.Inside(r.Goroutine) {
		counters.nested.Add(1)
		return
	}
	if ctx == nil {
		ctx = context.Background()
	}
	// Who waits for the operation is gone by the time of the delivery, and
	// exporters do nothing for a context that has ended.
	p := pending{ctx: context.WithoutCancel(ctx), report: r}
	if d.verdicts.Put(p, weight(r), dueAfter(r.Time, time.Now(), holdFor(r))) {
		return
	}
	for _, l := range d.lanes {
		l.queue.Lose()
		l.lose(r)
	}
}

func (l *lane) lose(r *Report) {
	counters.undelivered.Add(1)
	if l.lost != nil {
		l.lost(r)
	}
}

// dueAfter is when the verdict over a report of that time stands. Its clock may
// not be ours.
func dueAfter(met, now time.Time, hold time.Duration) time.Time {
	if hold <= 0 {
		return time.Time{}
	}
	at := met.Add(hold)
	if latest := now.Add(hold); at.After(latest) {
		return latest
	}
	return at
}

// settle passes a report on to the receivers. A loss on the way here has been
// counted for each of them.
func (d *Delivery) settle(p pending, _ uint64) {
	if fromReceiver(p.ctx) {
		counters.nested.Add(1)
		return
	}
	p.report = reconsidered(p.report)
	if p.ask = p.report.question(); p.ask != nil && d.inquiries.Put(p, weight(p.report), time.Time{}) {
		return
	}
	d.hand(p)
}

// hand passes a report on to the receivers.
func (d *Delivery) hand(p pending) {
	for _, l := range d.lanes {
		if !l.queue.Put(p, weight(p.report), time.Time{}) {
			l.lose(p.report)
		}
	}
}

// reconsidered is the settled report, or r itself if a fault of the guard's own
// gets in the way.
func reconsidered(r *Report) (out *Report) {
	out = r
	defer func() {
		if p := recover(); p != nil {
			Recovered(p)
		}
	}()
	return settled(r)
}

// fromReceiver reports whether ctx comes from a context that a receiver got.
func fromReceiver(ctx context.Context) (is bool) {
	defer func() {
		if p := recover(); p != nil { // of a context that is the application's own
			Recovered(p)
		}
	}()
	return ctx.Value(insideKey{}) != nil
}

// weight is about how much memory a report keeps.
func weight(r *Report) int {
	n := 2<<10 + len(r.History)*int(unsafe.Sizeof(HistoryEntry{}))
	for _, o := range [...]*Operation{r.Owner, r.Intruder} {
		if o != nil {
			n += len(o.Stack) * int(unsafe.Sizeof(Frame{}))
		}
	}
	return n
}

// Flush waits until the receivers have got all reports that were queued before
// the call, or until ctx ends; then it returns the error of ctx. Inside a receiver
// it returns an error at once, because it would wait for itself.
func (d *Delivery) Flush(ctx context.Context) error {
	if delivery.Inside(delivery.Goroutine()) {
		return errInside
	}
	err := cmp.Or(d.verdicts.Flush(ctx), d.inquiries.Flush(ctx))
	for _, l := range d.lanes {
		err = cmp.Or(err, l.queue.Flush(ctx))
	}
	// What the receivers have caused meanwhile is counted there.
	return cmp.Or(err, d.verdicts.Flush(ctx))
}

// deliveries are those of this process. It holds nobody: one that has nothing to
// do is collected when nobody else holds it.
var deliveries = deliverySet{all: map[weak.Pointer[Delivery]]struct{}{}}

type deliverySet struct {
	mu  sync.Mutex
	all map[weak.Pointer[Delivery]]struct{}
}

func (s *deliverySet) add(d *Delivery) {
	w := weak.Make(d)
	s.mu.Lock()
	s.all[w] = struct{}{}
	s.mu.Unlock()
	runtime.AddCleanup(d, s.remove, w)
}

func (s *deliverySet) remove(w weak.Pointer[Delivery]) {
	s.mu.Lock()
	delete(s.all, w)
	s.mu.Unlock()
}

func (s *deliverySet) alive() (out []*Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.all {
		if d := w.Value(); d != nil {
			out = append(out, d)
		}
	}
	return out
}

// Flush calls Delivery.Flush for all deliveries of this process.
func Flush(ctx context.Context) error {
	var err error
	for _, d := range deliveries.alive() {
		err = cmp.Or(err, d.Flush(ctx))
	}
	return err
}
