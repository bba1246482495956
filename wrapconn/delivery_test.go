package wrapconn

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func numbered(n uint32) *Report { return &Report{Connection: n, Time: time.Now()} }

// inbox is a receiver that keeps what it gets.
type inbox struct {
	got  []uint32
	lost []uint64
	gone []uint32
	each func(ctx context.Context, r *Report)
}

func (b *inbox) receiver() Receiver {
	return Receiver{
		Report: func(ctx context.Context, r *Report) {
			if b.each != nil {
				b.each(ctx, r)
			}
			b.got, b.lost = append(b.got, r.Connection), append(b.lost, r.Lost)
		},
		Lost: func(r *Report) { b.gone = append(b.gone, r.Connection) },
	}
}

func TestDeliveryInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b inbox
		d := NewDelivery(a.receiver(), b.receiver())
		var want []uint32
		for i := range uint32(100) {
			d.Report(t.Context(), numbered(i))
			want = append(want, i)
		}
		if err := d.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.got, want) || !slices.Equal(b.got, want) {
			t.Errorf("a got %v, b %v", a.got, b.got)
		}
	})
}

// A receiver that blocks costs the other one nothing, and is told what it missed.
func TestDeliveryLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := Stats().Undelivered
		block := make(chan struct{})
		slow, quick := inbox{each: func(context.Context, *Report) { <-block }}, inbox{}
		d := NewDelivery(slow.receiver(), quick.receiver())
		const n = maxQueued + 11
		for i := range uint32(n) {
			d.Report(t.Context(), numbered(i))
			synctest.Wait()
		}
		if len(quick.got) != n {
			t.Errorf("%d of %d reports came past the one who blocks", len(quick.got), n)
		}
		// One is being delivered, the queue is full.
		if len(slow.gone) != 10 || slow.gone[0] != maxQueued+1 || len(quick.gone) != 0 {
			t.Errorf("lost %v, by the quick one %v", slow.gone, quick.gone)
		}
		if got := Stats().Undelivered - before; got != 10 {
			t.Errorf("%d undelivered, want 10", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Flush(ctx); err == nil {
			t.Error("Flush succeeds while a receiver blocks")
		}
		close(block)
		if err := d.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(slow.got) != n-10 || slow.lost[0] != 0 || slow.lost[1] != 10 || slow.lost[2] != 0 {
			t.Errorf("%d told, losses %v…", len(slow.got), slow.lost[:3])
		}
	})
}

// What a receiver causes is counted and does not come back to it, whether it is
// seen by the goroutine or by the context.
func TestDeliveryNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := Stats().Nested
		var d *Delivery
		nested := func(ctx context.Context, goroutine string) {
			r := numbered(99)
			r.Goroutine = goroutine
			d.Report(ctx, r)
		}
		box := inbox{each: func(ctx context.Context, r *Report) {
			nested(context.Background(), goroutineID())
			derived, cancel := context.WithCancel(ctx)
			defer cancel()
			done := make(chan struct{})
			go func() {
				defer close(done)
				nested(derived, goroutineID())
			}()
			<-done
		}}
		d = NewDelivery(box.receiver())
		d.Report(t.Context(), numbered(1))
		synctest.Wait()
		if !slices.Equal(box.got, []uint32{1}) {
			t.Errorf("told of %v", box.got)
		}
		if n := Stats().Nested - before; n != 2 {
			t.Errorf("%d nested, want 2", n)
		}
	})
}

// The context of a delivery has the values of the operation's, and does not end.
func TestDeliveryContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var err error
		var value any
		box := inbox{each: func(ctx context.Context, r *Report) {
			time.Sleep(time.Second)
			err, value = ctx.Err(), ctx.Value(key{})
		}}
		d := NewDelivery(box.receiver())
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, 7), time.Millisecond)
		d.Report(ctx, numbered(1))
		cancel()
		if e := d.Flush(t.Context()); e != nil {
			t.Fatal(e)
		}
		if err != nil || value != 7 {
			t.Errorf("error %v, value %v", err, value)
		}
	})
}

func TestDeliveryPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := Stats().Panics
		PanicsMeant(2)
		bad, good := inbox{each: func(context.Context, *Report) { panic("a bug of the application") }}, inbox{}
		d := NewDelivery(bad.receiver(), good.receiver())
		d.Report(t.Context(), numbered(1))
		//lint:ignore SA1012 a careless caller's
		d.Report(nil, numbered(2))
		if err := Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(good.got, []uint32{1, 2}) || Stats().Panics-before != 2 {
			t.Errorf("told of %v, %d panics", good.got, Stats().Panics-before)
		}
	})
}

func TestDeliveryIsFlushedOutsideOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var one, all error
		var d *Delivery
		box := inbox{each: func(ctx context.Context, r *Report) { one, all = d.Flush(ctx), Flush(ctx) }}
		d = NewDelivery(box.receiver())
		d.Report(t.Context(), numbered(1))
		if err := d.Flush(t.Context()); err != nil || one == nil || all == nil {
			t.Errorf("outside %v, inside %v, %v", err, one, all)
		}
	})
}

// A report that waits for its verdict holds up those behind it, and no longer
// than that; a clock of another machine changes nothing.
func TestDue(t *testing.T) {
	now := time.Now()
	if at := dueAfter(now, now, 0); !at.IsZero() {
		t.Errorf("no hold: %v", at)
	}
	for name, c := range map[string]struct {
		of   time.Time
		want time.Duration
	}{
		"met now":       {now, 300 * time.Millisecond},
		"met before":    {now.Add(-200 * time.Millisecond), 100 * time.Millisecond},
		"from a file":   {now.Add(-time.Hour), 300*time.Millisecond - time.Hour},
		"of the future": {now.Add(time.Hour), 300 * time.Millisecond},
	} {
		if got := dueAfter(c.of, now, 300*time.Millisecond).Sub(now); got != c.want {
			t.Errorf("%s: due in %v, want %v", name, got, c.want)
		}
	}
}
