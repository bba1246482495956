package testimony

import (
	"sync"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/clock"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Beat is how often a Watch looks at the clock and at the counters of this
// process, while somebody waits.
const Beat = time.Second

// kept is how many samples a Watch remembers: the longest pause that it can
// speak about is as many seconds.
const kept = 90

// freshEnough: failures in a storm share a sample, and a sample that was taken so soon behind
// the beginning of a time speaks for all of it. The kernel's clock, by which
// some pauses are measured, ticks every 1 to 10 ms.
const freshEnough = 50 * time.Millisecond

// Watch remembers the counters of this process over the last seconds in which
// somebody waited. Its zero value is ready. Its methods may be called from any
// goroutine; only Start and Between read files, and neither waits for long: for
// some hundred microseconds.
type Watch struct {
	mu    sync.Mutex
	ring  [kept]sample
	n     int       // samples ever kept
	fresh sample    // the last one that Between took, for others that fail within the same moment
	beat  time.Time // when the next look is due; zero while nothing is open
	late  [kept]lateness
	lates int
	asked time.Time // when Start had the counters read
	timer *time.Timer
	waits func() (open, waits bool)
	seen  time.Time // the latest moment met
	round int       // changes when what was begun before must end
}

type lateness struct {
	at time.Time
	by time.Duration
}

// Start is to be called when somebody begins to wait. It begins to look at the
// clock once a second for as long as waits says that there is anything open,
// unless it does so already; the counters are read with it while somebody waits.
// Start reads them itself if they were not read within the last second: what
// holds the process up may do so from the next instruction on. It returns the time
// at which it had been done.
func (w *Watch) Start(waits func() (open, waits bool)) (now time.Time) {
	w.mu.Lock()
	now = w.now()
	w.waits = waits
	last := w.last()
	read := now.Sub(w.asked) >= Beat && (last == nil || now.Sub(last.at) >= Beat)
	if read {
		w.asked = now
	}
	// A timer of a bubble of testing/synctest may have been lost with it. If this
	// one was only late, its round is over.
	if w.timer == nil || now.Sub(w.beat) > 10*Beat {
		w.beat = now.Add(Beat)
		w.round++
		w.wait(Beat)
	}
	w.mu.Unlock()
	if read {
		w.keep(take())
		now = time.Now()
	}
	return now
}

// now is the time, with mu held. A process has one clock, except in tests: each
// bubble of testing/synctest has one of its own, and all of them begin in the
// same moment of the year 2000. What was noted by another clock is forgotten
// then, and a timer of it, which may be lost with its bubble, is not waited for.
func (w *Watch) now() time.Time {
	now := time.Now()
	if d := now.Sub(w.seen); !w.seen.IsZero() && (d < -Beat || clock.Other(d)) {
		w.n, w.lates, w.round = 0, 0, w.round+1
		w.timer, w.beat, w.asked, w.seen, w.fresh = nil, time.Time{}, time.Time{}, time.Time{}, sample{}
	}
	if now.After(w.seen) {
		w.seen = now
	}
	return now
}

// wait has the next look made in d, with mu held.
func (w *Watch) wait(d time.Duration) {
	round := w.round
	w.timer = time.AfterFunc(d, func() { w.look(round) })
}

// look is one beat: it runs on a goroutine of its own, and there is none between
// two of them.
func (w *Watch) look(round int) {
	w.mu.Lock()
	if round != w.round {
		w.mu.Unlock()
		return
	}
	now := time.Now()
	w.late[w.lates%kept] = lateness{now, max(0, now.Sub(w.beat))}
	w.lates++
	waits := w.waits
	w.mu.Unlock()
	open, waiting := waits()
	if waiting {
		w.keep(take())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if round != w.round {
		return
	}
	if !open {
		w.timer, w.beat = nil, time.Time{}
		return
	}
	w.beat = now.Add(Beat)
	w.wait(time.Until(w.beat))
}

func (w *Watch) keep(s sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ring[w.n%kept] = s
	w.n++
}

// Between says what happened to this process from began to ended, which are times
// before now, or for a little longer: from the last look before it, or one right behind its
// beginning, to the first behind it.
func (w *Watch) Between(began, ended time.Duration) cause.Stall {
	w.mu.Lock()
	now := w.now()
	from, to := now.Add(-began), now.Add(-ended)
	last := w.last()
	if last == nil {
		w.mu.Unlock()
		return cause.Stall{}
	}
	b := *last // its place is another sample's before long
	if w.fresh.at.After(b.at) {
		b = w.fresh
	}
	w.mu.Unlock()
	taken := now.Sub(b.at) > freshEnough && b.at.Before(to)
	if taken {
		b = take()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if taken {
		w.fresh = b // not in the ring, which a storm of failures would fill
	}
	var a, next *sample // from, and the first behind it
	for i := w.n - 1; i >= max(0, w.n-kept); i-- {
		a, next = &w.ring[i%kept], a
		if !a.at.After(from) || a.at.Sub(from) < freshEnough && a.at.Before(to) {
			break
		}
		if !a.at.Before(to) {
			b = *a
		}
	}
	if a == nil || !b.at.After(a.at) {
		return cause.Stall{}
	}
	// Nobody had waited for a while before: what is counted from the first look on is about most of
	// that time, and about nothing else.
	if next != nil && from.Sub(a.at) > 2*Beat && b.at.Sub(next.at) >= to.Sub(from)/2 {
		a = next
	}
	s := between(a, &b)
	s.Before = max(0, from.Sub(a.at))
	start := a.at.Add(s.Before)
	for i := w.lates - 1; i >= max(0, w.lates-kept); i-- {
		// The look that was late is the first behind the time in which it was due. What of
		// that time lay before, or behind, says nothing.
		if l := w.late[i%kept]; l.at.After(a.at) && !l.at.Add(-l.by).After(b.at) {
			s.Beats++
			s.Late = max(s.Late, min(l.by, l.at.Sub(start), b.at.Sub(l.at.Add(-l.by))))
		}
	}
	if !w.beat.IsZero() && !w.beat.After(b.at) {
		// A look that is overdue now: the failure was noticed first.
		s.Late = max(s.Late, b.at.Sub(w.beat))
	}
	s.Late = min(s.Late, s.Window)
	return s
}

func (w *Watch) last() *sample {
	if w.n == 0 {
		return nil
	}
	return &w.ring[(w.n-1)%kept]
}
