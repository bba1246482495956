// Package delivery hands items on in order, on a goroutine that nobody waits
// for.
//
// What is called about an item belongs to somebody else: it may block, panic,
// end its goroutine, or put further items. None of that reaches the caller of
// Put.
package delivery

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/clock"
)

// ErrInside is returned by a Flush that was called while an item is being
// delivered, on the goroutine that delivers it: it would wait for itself.
var ErrInside = errors.New("called while a report is being delivered, which it would wait for")

// Limit bounds what a Queue holds. The item that is being delivered does not
// count.
type Limit struct {
	Items  int
	Weight int // sum of what Put was told
}

// Queue is a bounded queue and the goroutine that empties it. The goroutine
// starts with an item and ends when there is none left. All methods may be
// called from any goroutine.
type Queue[T any] struct {
	limit    Limit
	deliver  func(item T, lost uint64)
	panicked func(any)
	later    func(item T, behind int) time.Time // nil: an item that is due is delivered

	mu        sync.Mutex
	items     []entry[T]
	weight    int
	working   bool
	put, done uint64 // items taken in and delivered since ever
	lost      uint64 // since the last delivery
	waiters   []waiter
	worked    time.Time // when the goroutine was started, or came to an item
}

type entry[T any] struct {
	item   T
	weight int
	due    time.Time
}

// waiter waits until done has come to n.
type waiter struct {
	n    uint64
	over chan struct{}
}

// New returns a Queue that calls deliver for each item, one after the other.
// lost is how many items had no room since the call before. panicked is told
// what deliver panics with.
func New[T any](limit Limit, deliver func(item T, lost uint64), panicked func(any)) *Queue[T] {
	return &Queue[T]{limit: limit, deliver: deliver, panicked: panicked}
}

// Reconsider has later asked when an item is due, with how many wait behind it.
// A time that has not come yet makes it, and them, wait on until then. It is to
// be called before the first Put.
func (q *Queue[T]) Reconsider(later func(item T, behind int) time.Time) { q.later = later }

// Put queues an item, which is not delivered before due. It never waits. It
// reports whether there was room; if not, the loss is told with the next item.
func (q *Queue[T]) Put(item T, weight int, due time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	// A single item may be as heavy as it likes, or it could never be told.
	if len(q.items) >= q.limit.Items || len(q.items) > 0 && q.weight+weight > q.limit.Weight {
		q.lost++
		return false
	}
	q.items = append(q.items, entry[T]{item, weight, due})
	q.weight += weight
	q.put++
	if !q.working {
		q.working, q.worked = true, time.Now()
		go q.work()
	}
	return true
}

// Lose counts an item that got lost on its way to this queue.
func (q *Queue[T]) Lose() {
	q.mu.Lock()
	q.lost++
	q.mu.Unlock()
}

// Flush waits until what was put before has been delivered, or until ctx ends.
func (q *Queue[T]) Flush(ctx context.Context) error {
	if Inside(Goroutine()) {
		return ErrInside
	}
	q.mu.Lock()
	if q.done == q.put {
		q.mu.Unlock()
		return nil
	}
	if clock.Other(time.Since(q.worked)) {
		n := q.put
		q.mu.Unlock()
		return q.poll(ctx, n)
	}
	w := waiter{q.put, make(chan struct{})}
	q.waiters = append(q.waiters, w)
	q.mu.Unlock()
	select {
	case <-w.over:
		return nil
	case <-ctx.Done():
		q.forget(w)
		return ctx.Err()
	}
}

// poll is Flush across the border of a bubble of testing/synctest: a channel that is
// made on one side must not be touched on the other, or the runtime ends the
// process.
func (q *Queue[T]) poll(ctx context.Context, n uint64) error {
	for {
		q.mu.Lock()
		done := q.done >= n
		q.mu.Unlock()
		if done {
			return nil
		}
		timer := time.NewTimer(time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func (q *Queue[T]) forget(w waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.waiters {
		if q.waiters[i].over == w.over {
			q.waiters = append(q.waiters[:i], q.waiters[i+1:]...)
			return
		}
	}
}

// work is the goroutine.
func (q *Queue[T]) work() {
	id := Goroutine()
	inside.Store(id, struct{}{})
	over := false
	defer func() {
		inside.Delete(id)
		if !over { // deliver has ended the goroutine (runtime.Goexit)
			go q.work()
		}
	}()
	for {
		due, any := q.first()
		if !any {
			over = true
			return
		}
		time.Sleep(time.Until(due)) // a report may have to wait for its verdict
		if !q.postponed() {
			q.one()
		}
	}
}

// first returns when the next item is due. Without one, the goroutine is over
// from here on.
func (q *Queue[T]) first() (due time.Time, any bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		q.working, q.items = false, nil
		return time.Time{}, false
	}
	return q.items[0].due, true
}

// postponed reports whether the next item, which is due, is to wait on. Only the
// goroutine takes items out, so it stays the next one.
func (q *Queue[T]) postponed() bool {
	if q.later == nil {
		return false
	}
	q.mu.Lock()
	item, behind := q.items[0].item, len(q.items)-1
	q.mu.Unlock()
	due := q.ask(item, behind)
	if !due.After(time.Now()) {
		return false
	}
	q.mu.Lock()
	q.items[0].due = due
	q.mu.Unlock()
	return true
}

func (q *Queue[T]) ask(item T, behind int) (due time.Time) {
	defer func() {
		if p := recover(); p != nil {
			q.panicked(p)
			due = time.Time{}
		}
	}()
	return q.later(item, behind)
}

// one delivers the next item.
func (q *Queue[T]) one() {
	q.mu.Lock()
	q.worked = time.Now()
	e := q.items[0]
	q.items[0] = entry[T]{} // the array lives on, what is in it must not
	q.items = q.items[1:]
	q.weight -= e.weight
	lost := q.lost
	q.lost = 0
	q.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			q.panicked(p)
		}
		q.delivered()
	}()
	q.deliver(e.item, lost)
}

func (q *Queue[T]) delivered() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.done++
	kept := q.waiters[:0]
	for _, w := range q.waiters {
		if w.n <= q.done {
			close(w.over)
		} else {
			kept = append(kept, w)
		}
	}
	clear(q.waiters[len(kept):])
	q.waiters = kept
}
