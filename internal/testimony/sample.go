package testimony

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// sample are the counters of this process at one moment.
type sample struct {
	at  time.Time // with the monotonic clock
	ran time.Duration

	quotas []quota               // of each level of the control group
	tasks  map[int]time.Duration // by thread: time ready to run and without a CPU; nil if it is not known
	// some: there are more threads than were looked at.
	some bool
	// pressure is the time that somebody waited for a CPU.
	pressure time.Duration
	runtime  runtimeSample
}

// quota is what a control group says of its CPU quota.
type quota struct {
	known     bool
	throttled time.Duration // of all CPUs together
	periods   uint64        // in which the quota was used up
	usage     time.Duration // CPU time of the group; 0 if it does not say
	limit     float64       // CPUs; 0: none
}

// between says what happened from a to b. beats are the looks at the clock in
// between.
func between(a, b *sample) cause.Stall {
	window := b.at.Sub(a.at)
	if a.at.IsZero() || window <= 0 {
		return cause.Stall{}
	}
	s := cause.Stall{Known: true, Window: window, Ran: b.ran - a.ran}
	if q := throttledMost(a.quotas, b.quotas); q.known {
		s.ThrottleKnown, s.Periods, s.CPULimit = true, q.periods, q.limit
		used := s.Ran
		if q.usage > 0 {
			used = q.usage
		}
		s.Throttled = wall(window, used, q.throttled)
	}
	if a.tasks != nil && b.tasks != nil {
		s.WaitKnown = true
		var waited time.Duration
		for id, w := range b.tasks {
			before, known := a.tasks[id]
			if !known && a.some {
				continue // it may be an old one that was not looked at then
			}
			waited += max(0, w-before) // a number may be that of another thread by now
		}
		s.Waited = wall(window, s.Ran, waited)
	}
	s.Pressure = min(window, max(0, b.pressure-a.pressure))
	s.LongestGC = min(window, longest(a.runtime.gc, b.runtime.gc))
	s.SchedLatency = min(window, longest(a.runtime.latency, b.runtime.latency))
	return s
}

// wall turns the time that several CPUs or threads lost at once into time on the
// clock. Those that ran and those that could not are taken for equally many at
// any moment: with k of them, ran + lost is k times the window.
func wall(window, ran, lost time.Duration) time.Duration {
	if lost <= 0 {
		return 0
	}
	if ran+lost <= window {
		return lost
	}
	return time.Duration(float64(window) * float64(lost) / float64(ran+lost))
}
