package delivery

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var wide = Limit{Items: 1000, Weight: 1000}

// now is a due time that has come.
var now time.Time

func unexpected(t *testing.T) func(any) {
	return func(p any) { t.Errorf("panic: %v", p) }
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		q := New(wide, func(n int, lost uint64) {
			if lost != 0 {
				t.Errorf("%d lost", lost)
			}
			got = append(got, n)
		}, unexpected(t))
		var want []int
		for i := range 500 {
			if !q.Put(i, 1, now) {
				t.Fatalf("%d: no room", i)
			}
			want = append(want, i)
		}
		if err := q.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
	})
}

// The goroutine is there only while there is something to do.
func TestGoroutineEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := func() bool {
			b := make([]byte, 1<<16)
			return strings.Contains(string(b[:runtime.Stack(b, true)]), "Queue[...]).work")
		}
		block := make(chan struct{})
		q := New(wide, func(int, uint64) { <-block }, unexpected(t))
		for range 3 {
			if running() {
				t.Fatal("a goroutine without an item")
			}
			q.Put(1, 1, now)
			synctest.Wait()
			if !running() {
				t.Fatal("no goroutine with an item")
			}
			block <- struct{}{}
			synctest.Wait()
		}
		if running() {
			t.Error("the goroutine outlives its items")
		}
	})
}

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		var got, losses []int
		q := New(Limit{Items: 3, Weight: 100}, func(n int, lost uint64) {
			<-block
			got, losses = append(got, n), append(losses, int(lost))
		}, unexpected(t))
		q.Put(0, 1, now)
		synctest.Wait() // it is being delivered
		for i := 1; i <= 8; i++ {
			if room := q.Put(i, 1, now); room != (i <= 3) {
				t.Errorf("%d: room %v", i, room)
			}
		}
		q.Lose()
		close(block)
		if err := q.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		q.Put(9, 1, now)
		if err := q.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []int{0, 1, 2, 3, 9}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		// Told once, with the next that is delivered.
		if want := []int{0, 6, 0, 0, 0}; !slices.Equal(losses, want) {
			t.Errorf("losses %v, want %v", losses, want)
		}
	})
}

func TestWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		q := New(Limit{Items: 100, Weight: 10}, func(int, uint64) { <-block }, unexpected(t))
		q.Put(0, 1, now)
		synctest.Wait()
		for i, c := range []struct {
			weight int
			room   bool
		}{{50, true}, {1, false}, {0, false}} { // one alone may be heavy; then the queue is full
			if room := q.Put(i, c.weight, now); room != c.room {
				t.Errorf("weight %d: room %v", c.weight, room)
			}
		}
		block <- struct{}{}
		synctest.Wait() // the heavy one is being delivered
		for i, room := range []bool{true, true, false} {
			if got := q.Put(i, 5, now); got != room {
				t.Errorf("item %d of weight 5: room %v", i, got)
			}
		}
		close(block)
	})
}

// An item waits for its time; those behind it wait with it.
func TestDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		q := New(wide, func(int, uint64) { at = append(at, time.Since(start)) }, unexpected(t))
		q.Put(0, 1, start.Add(300*time.Millisecond))
		q.Put(1, 1, now)
		q.Put(2, 1, start.Add(500*time.Millisecond))
		if err := q.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{300 * time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond}; !slices.Equal(at, want) {
			t.Errorf("delivered at %v, want %v", at, want)
		}
		if d := time.Since(start); d != 500*time.Millisecond {
			t.Errorf("Flush took %v", d)
		}
	})
}

// An item that is due may be told to wait on, for a while and in turn.
func TestReconsider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		at := map[int]time.Duration{}
		panics := 0
		q := New(wide, func(n int, _ uint64) { at[n] = time.Since(start) }, func(any) { panics++ })
		q.Reconsider(func(n, behind int) time.Time {
			switch {
			case n == 3:
				panic("of the one who is asked")
			case n == 1 && time.Since(start) < time.Second:
				return time.Now().Add(400 * time.Millisecond)
			}
			if behind != 3-n {
				t.Errorf("%d wait behind %d", behind, n)
			}
			return start
		})
		for n := range 4 {
			q.Put(n, 1, start.Add(300*time.Millisecond))
		}
		if err := q.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n, want := range []time.Duration{300, 1100, 1100, 1100} {
			if at[n] != want*time.Millisecond {
				t.Errorf("%d delivered after %v, want %v ms", n, at[n], int(want))
			}
		}
		if panics != 1 {
			t.Errorf("%d panics", panics)
		}
	})
}

func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got, panics []any
		q := New(wide, func(n int, _ uint64) {
			switch n {
			case 1:
				panic("one")
			case 2:
				runtime.Goexit()
			}
			got = append(got, n)
		}, func(p any) { panics = append(panics, p) })
		for i := range 4 {
			q.Put(i, 1, now)
		}
		if err := q.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, []any{0, 3}) || !slices.Equal(panics, []any{"one"}) {
			t.Errorf("got %v, panics %v", got, panics)
		}
	})
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		q := New(wide, func(int, uint64) { <-block }, unexpected(t))
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := q.Flush(over); err != nil {
			t.Errorf("nothing to do: %v", err)
		}
		q.Put(0, 1, now)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := q.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush of an item that blocks: %v", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("it took %v", d)
		}
		if len(q.waiters) != 0 {
			t.Errorf("%d waiters are left", len(q.waiters))
		}
		// It waits for what was there, not for what comes after.
		done := make(chan error)
		go func() { done <- q.Flush(t.Context()) }()
		synctest.Wait()
		q.Put(1, 1, now)
		block <- struct{}{}
		if err := <-done; err != nil {
			t.Error(err)
		}
		close(block)
	})
}

// Whoever is called about an item may use the queue.
func TestInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q *Queue[int]
		var errs []error
		var within []bool
		q = New(wide, func(n int, _ uint64) {
			within = append(within, Inside(Goroutine()))
			if n == 0 {
				q.Put(1, 1, now)
			}
			errs = append(errs, q.Flush(t.Context()))
		}, unexpected(t))
		q.Put(0, 1, now)
		synctest.Wait()
		if len(errs) != 2 || errs[0] != ErrInside || errs[1] != ErrInside {
			t.Errorf("Flush from inside: %v", errs)
		}
		if !slices.Equal(within, []bool{true, true}) || Inside(Goroutine()) {
			t.Errorf("inside %v, outside %v", within, Inside(Goroutine()))
		}
	})
}

// Puts, losses and deliveries of many goroutines add up.
func TestAddsUp(t *testing.T) {
	const workers, each = 8, 2000
	var delivered, told uint64
	q := New(Limit{Items: 16, Weight: 1 << 20}, func(_ int, lost uint64) {
		delivered++
		told += lost
	}, unexpected(t))
	room := make(chan uint64)
	for range workers {
		go func() {
			var n uint64
			for i := range each {
				if q.Put(i, 1, now) {
					n++
				}
			}
			room <- n
		}()
	}
	var taken uint64
	for range workers {
		taken += <-room
	}
	if err := q.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for !q.Put(0, 1, now) {
	}
	if err := q.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if delivered != taken+1 || told != workers*each-taken {
		t.Errorf("%d of %d taken, %d delivered, %d losses told", taken, workers*each, delivered, told)
	}
}

// A worker that was started outside a bubble of testing/synctest cannot touch a channel of it, nor the other way round: the runtime
// would end the process.
func TestFlushAcrossABubble(t *testing.T) {
	release, took := make(chan struct{}), make(chan struct{})
	q := New(Limit{Items: 4, Weight: 4}, func(int, uint64) { took <- struct{}{}; <-release }, func(p any) { panic(p) })
	q.Put(1, 1, time.Time{})
	<-took
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := q.Flush(ctx); err != context.DeadlineExceeded {
			t.Errorf("a Flush that nobody serves: %v", err)
		}
	})
	go func() {
		time.Sleep(20 * time.Millisecond)
		close(release)
	}()
	synctest.Test(t, func(t *testing.T) {
		if err := q.Flush(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
