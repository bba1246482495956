package testimony

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

const s = time.Second

func at(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }

func TestBetween(t *testing.T) {
	before := sample{at: at(0), ran: 10 * s, quotas: []quota{{known: true, throttled: 5 * s, periods: 50, limit: 0.5}},
		tasks: map[int]time.Duration{1: s, 2: 2 * s, 3: 9 * s}, pressure: 7 * s,
		runtime: runtimeSample{gc: &histogram{[]uint64{5, 0, 0}, []float64{0, 0.1, 1, 10}}, latency: &histogram{[]uint64{5, 0, 0}, []float64{0, 0.1, 1, 10}}}}
	after := sample{at: at(3 * s), ran: 10*s + 300*time.Millisecond, quotas: []quota{{known: true, throttled: 5*s + 2700*time.Millisecond, periods: 77, limit: 0.5}},
		// Thread 3 ended, and its number is another's now; 4 is new.
		tasks: map[int]time.Duration{1: s + 2*s, 2: 2 * s, 3: 0, 4: 500 * time.Millisecond}, pressure: 9 * s,
		runtime: runtimeSample{gc: &histogram{[]uint64{9, 0, 1}, []float64{0, 0.1, 1, 10}}, latency: &histogram{[]uint64{9, 3, 0}, []float64{0, 0.1, 1, 10}}}}
	want := cause.Stall{Known: true, Window: 3 * s, ThrottleKnown: true, Throttled: 2700 * time.Millisecond, Periods: 27, CPULimit: 0.5,
		WaitKnown: true, Waited: 2500 * time.Millisecond, Pressure: 2 * s, Ran: 300 * time.Millisecond, LongestGC: s, SchedLatency: 100 * time.Millisecond}
	if got := between(&before, &after); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := between(&after, &before); got.Known {
		t.Errorf("time runs backwards: %+v", got)
	}
	if got := between(&sample{}, &after); got.Known {
		t.Errorf("since no moment: %+v", got)
	}
	if got := between(&sample{at: at(0)}, &sample{at: at(s)}); got != (cause.Stall{Known: true, Window: s}) {
		t.Errorf("a system that says nothing: %+v", got)
	}
}

// Of more threads than are looked at, one that was not among them before may have waited
// since long ago.
func TestThreadsThatWereNotLookedAt(t *testing.T) {
	before := sample{at: at(0), tasks: map[int]time.Duration{1: s}, some: true}
	after := sample{at: at(3 * s), tasks: map[int]time.Duration{1: s + s/2, 900: 700 * s}, some: true}
	if got := between(&before, &after); got.Waited != s/2 {
		t.Errorf("waited for %v, want %v", got.Waited, s/2)
	}
}

// Two CPUs that were throttled for 90 of 100 ms each were so at the same time;
// sixty-four that lost 3 ms each, while they ran for 97, were held up for 3.
func TestWall(t *testing.T) {
	for _, c := range []struct{ window, ran, lost, want time.Duration }{
		{3 * s, 150 * time.Millisecond, 2850 * time.Millisecond, 2850 * time.Millisecond},
		{3 * s, 300 * time.Millisecond, 5700 * time.Millisecond, 2850 * time.Millisecond},
		{100 * time.Millisecond, 64 * 97 * time.Millisecond, 64 * 3 * time.Millisecond, 3 * time.Millisecond},
		{3 * s, 0, 0, 0},
		{3 * s, s, -s, 0},
	} {
		if got := wall(c.window, c.ran, c.lost); got.Round(time.Microsecond) != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestTake: the counters of this process are read, and do not fall.
func TestTake(t *testing.T) {
	a := take()
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
	}
	runtime.GC()
	b := take()
	got := between(&a, &b)
	if !got.Known || got.Window < 50*time.Millisecond {
		t.Errorf("%+v", got)
	}
	if runtime.GOOS == "linux" && (!got.WaitKnown || got.Ran <= 0) {
		t.Errorf("on Linux: %+v", got)
	}
	if a.runtime.gc == nil || a.runtime.latency == nil {
		t.Error("the runtime does not count pauses any more: has a metric got another name?")
	}
}

func TestWatch(t *testing.T) {
	var w Watch
	if got := w.Between(s, 0); got.Known {
		t.Errorf("before it has looked: %+v", got)
	}
	var waits atomic.Bool
	waits.Store(true)
	w.Start(func() (bool, bool) { return waits.Load(), waits.Load() })
	w.Start(func() (bool, bool) { return waits.Load(), waits.Load() })
	start := time.Now()
	var got cause.Stall
	for time.Since(start) < 20*s && (got.Beats == 0 || got.Window < s) {
		time.Sleep(50 * time.Millisecond)
		got = w.Between(s, 0)
	}
	if !got.Known || got.Beats == 0 || got.Window < s {
		t.Errorf("%+v", got)
	}
	if c := got.Cause(s); c != cause.StallOwn && c != cause.StallUnknown && runtime.GOOS == "linux" {
		t.Logf("busy here: %s, %s", c, got.String()) // the machine's, if so
	}
	waits.Store(false)
	for end := time.Now().Add(20 * s); ; time.Sleep(50 * time.Millisecond) {
		w.mu.Lock()
		over, n := w.timer == nil, w.n
		w.mu.Unlock()
		if over {
			if took := time.Since(start); n > 1+int(took/Beat) { // the first was taken at once
				t.Errorf("%d samples in %v", n, took)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatal("it goes on although nobody waits")
		}
	}
}

func BenchmarkTake(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		take()
	}
}

// Each bubble of testing/synctest has a clock of its own, and they all begin in the same moment: what was noted in one must not be
// evidence in the next, and a timer that ended with its bubble must not be waited for.
func TestWatchMeetsOtherClocks(t *testing.T) {
	var w Watch
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			var beats atomic.Int64
			w.Start(func() (bool, bool) { beats.Add(1); return true, true })
			time.Sleep(20*Beat + Beat/2)
			if n := beats.Load(); n != 20 {
				t.Errorf("%d looks in 20 seconds", n)
			}
			if s := w.Between(5*time.Second, 0); !s.Known || s.Window > 7*time.Second {
				t.Errorf("of the last five seconds: %v", s)
			}
			time.Sleep(time.Minute) // what is open at the end of the bubble takes the timer along
		})
	}
	w.Start(func() (bool, bool) { return false, false })
	if s := w.Between(time.Minute, 0); s.Known && s.Window > time.Minute {
		t.Errorf("outside: %v", s)
	}
}

// What is asked about a pause that has been over for long is not what happened since, nor what happened before.
func TestBetweenIsAboutThatTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Watch
		now := time.Now()
		for i := range 60 { // the CPU was missing from the 20th to the 30th second alone
			waited := time.Duration(min(max(0, i-20), 10)) * s
			w.keep(sample{at: now.Add(time.Duration(i-60) * s), tasks: map[int]time.Duration{1: waited}})
		}
		for _, c := range []struct{ began, ended, waited, window time.Duration }{
			{40 * s, 30 * s, 10 * s, 10 * s},
			{39*s + s/2, 30*s + s/2, 10 * s, 10 * s},
			{30 * s, 20 * s, 0, 10 * s},
			{60 * s, 40 * s, 0, 20 * s},
			{35 * s, 25 * s, 5 * s, 10 * s},
		} {
			if got := w.Between(c.began, c.ended); got.Waited != c.waited || got.Window != c.window {
				t.Errorf("from %v to %v ago: waited %v of %v, want %v of %v", c.began, c.ended, got.Waited, got.Window, c.waited, c.window)
			}
		}
	})
}

// The first login in a while has one sample before it, which was taken when it was dialed. By the kernel's clock the pause began a moment before that: it is
// not judged by the time since somebody waited last (met: "waited for a CPU for 3.1 s of these 22.9 s" of a process that SIGSTOP had stopped).
func TestBetweenTakesTheSampleOfTheDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Watch
		now := time.Now()
		for _, at := range []struct{ ago, waited time.Duration }{{23 * s, 0}, {20 * s, 0}, {3233 * time.Millisecond, 3 * s}, {time.Millisecond, 3 * s}} {
			w.keep(sample{at: now.Add(-at.ago), tasks: map[int]time.Duration{1: at.waited}})
		}
		if got := w.Between(3237*time.Millisecond, 0); got.Waited != 0 || got.Window > 3300*time.Millisecond {
			t.Errorf("waited %v of %v", got.Waited, got.Window)
		}
	})
}

// Nobody waited for a while, and then the look that is made once a second saw most of a pause: what was counted before is left out. A process that did not look
// has no such sample.
func TestBetweenLeavesOutTheQuietTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, looked := range []bool{true, false} {
			var w Watch
			now := time.Now()
			samples := []struct{ ago, waited time.Duration }{{23 * s, 0}, {0, 3 * s}}
			if looked {
				samples = slices.Insert(samples, 1, struct{ ago, waited time.Duration }{5 * s / 2, 3 * s})
			}
			for _, at := range samples {
				w.keep(sample{at: now.Add(-at.ago), tasks: map[int]time.Duration{1: at.waited}})
			}
			got := w.Between(3*s, 0)
			if looked && (got.Waited != 0 || got.Before != 0 || got.Window != 5*s/2) || !looked && (got.Waited != 3*s || got.Before != 20*s) {
				t.Errorf("looked: %v; waited %v of %v, %v before", looked, got.Waited, got.Window, got.Before)
			}
		}
	})
}

// A process that was stopped right before a time was not stopped in it, although the look that was due meanwhile is made in it.
func TestLateInThatTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Watch
		now := time.Now()
		for ago := 9 * s; ago >= 0; ago -= s {
			w.keep(sample{at: now.Add(-ago), tasks: map[int]time.Duration{1: 0}})
		}
		w.late[0] = lateness{now.Add(-5*s + time.Millisecond), 3 * s} // the process was stopped until five seconds ago
		w.lates = 1
		for _, c := range []struct{ began, ended, late time.Duration }{
			{5 * s, 0, time.Millisecond},
			{8 * s, 5 * s, 3*s - time.Millisecond},
			{5500 * time.Millisecond, 0, s/2 + time.Millisecond},
			{8 * s, 7 * s, s - time.Millisecond},
			{4 * s, 0, 0},
		} {
			if got := w.Between(c.began, c.ended); got.Late != c.late {
				t.Errorf("from %v to %v ago: late by %v, want %v", c.began, c.ended, got.Late, c.late)
			}
		}
	})
}

// Failures in a storm share a sample: it takes some hundred microseconds, and some of them are told where others wait.
func TestBetweenShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time stands still between two calls
		var w Watch
		w.keep(sample{at: time.Now().Add(-3 * s)})
		first := w.Between(2*s, 0)
		runtime.GC() // uses CPU time, which another sample would have
		if again := w.Between(2*s, 0); !first.Known || again != first {
			t.Errorf("%v, and at the same moment %v", first, again)
		}
		time.Sleep(2 * freshEnough)
		if later := w.Between(2*s, 0); later.Window <= first.Window {
			t.Errorf("it is not taken again: %v, %v", first, later)
		}
	})
}
