package testimony

import (
	"sync"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Beat is how often a Watch looks at the clock and at the counters of this
// process, while somebody waits.
const Beat = time.Second

// kept is how many samples a Watch remembers: the longest pause that it can
// speak about is as many seconds.
const kept = 90

// freshEnough: failures in a storm share a sample.
const freshEnough = 50 * time.Millisecond

// Watch remembers the counters of this process over the last seconds in which
// somebody waited. Its zero value is ready. Its methods may be called from any
// goroutine; only Look and Since read files, and neither waits for long: for
// some hundred microseconds.
type Watch struct {
	mu    sync.Mutex
	ring  [kept]sample
	n     int       // samples ever kept
	beat  time.Time // when the next look is due; zero while nothing is open
	late  [kept]lateness
	lates int
	asked time.Time // when Start had the counters read
	timer *time.Timer
	waits func() (open, waits bool)
}

type lateness struct {
	at time.Time
	by time.Duration
}

// Start is to be called when somebody begins to wait. It begins to look at the
// clock once a second for as long as waits says that there is anything open,
// unless it does so already; the counters are read with it while somebody waits.
// Start reads them itself if they were not read within the last second: what
// holds the process up may do so from the next instruction on.
func (w *Watch) Start(waits func() (open, waits bool)) {
	w.mu.Lock()
	now := time.Now()
	w.waits = waits
	last := w.last()
	read := now.Sub(w.asked) >= Beat && (last == nil || now.Sub(last.at) >= Beat)
	if read {
		w.asked = now
	}
	// A timer of a bubble of testing/synctest may have been lost with it.
	if w.timer == nil || now.Sub(w.beat) > 10*Beat {
		w.beat = now.Add(Beat)
		w.timer = time.AfterFunc(Beat, w.look)
	}
	w.mu.Unlock()
	if read {
		w.keep(take())
	}
}

// look is one beat: it runs on a goroutine of its own, and there is none between
// two of them.
func (w *Watch) look() {
	w.mu.Lock()
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
	if !open {
		w.timer, w.beat = nil, time.Time{}
		return
	}
	w.beat = now.Add(Beat)
	w.timer = time.AfterFunc(time.Until(w.beat), w.look)
}

func (w *Watch) keep(s sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ring[w.n%kept] = s
	w.n++
}

// Since says what happened to this process over the last d, or a little more:
// from the last look before it until now.
func (w *Watch) Since(d time.Duration) cause.Stall {
	now := time.Now()
	w.mu.Lock()
	last := w.last()
	w.mu.Unlock()
	if last == nil {
		return cause.Stall{}
	}
	b := *last
	if now.Sub(b.at) > freshEnough {
		b = take()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	from := now.Add(-d)
	var a *sample
	for i := w.n - 1; i >= max(0, w.n-kept); i-- {
		a = &w.ring[i%kept]
		if !a.at.After(from) {
			break
		}
	}
	if a == nil || !b.at.After(a.at) {
		return cause.Stall{}
	}
	s := between(a, &b)
	for i := w.lates - 1; i >= max(0, w.lates-kept); i-- {
		if l := w.late[i%kept]; l.at.After(a.at) {
			s.Beats++
			s.Late = max(s.Late, l.by)
		}
	}
	if !w.beat.IsZero() {
		// A look that is overdue now: the failure was noticed first.
		s.Late = max(s.Late, now.Sub(w.beat))
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
