package cause

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Stall is what the kernel and the runtime counted of this process while it kept a
// server waiting. Its zero value means that nothing is known. All durations lie
// within Window, Late within the pause.
type Stall struct {
	Known  bool
	Window time.Duration // over which was counted
	Before time.Duration // of that, what was counted before the pause, for want of a count at its beginning

	// ThrottleKnown: the control group tells how long its CPU quota was used up.
	ThrottleKnown bool
	Throttled     time.Duration
	Periods       uint64  // of the quota, in which it was used up
	CPULimit      float64 // CPUs that the quota allows; 0 if there is none

	// WaitKnown: the kernel tells how long threads were ready to run and had no
	// CPU. Waited includes Throttled where the kernel counts it so.
	WaitKnown bool
	Waited    time.Duration
	Pressure  time.Duration // somebody on this machine, or in this container, waited for a CPU (PSI)

	Ran          time.Duration // CPU time of all threads together: the only one that may exceed Window
	LongestGC    time.Duration // the longest time that the garbage collector stopped the program
	SchedLatency time.Duration // the longest time that a goroutine was ready and not run, by the Go scheduler

	// Beats counts the times that this process looked at its clock, once a
	// second while somebody waits; Late is the longest time that such a look was
	// overdue.
	Beats int
	Late  time.Duration

	// Stack is where the goroutine that began the operation was during the stall:
	// "shop.(*Cache).fill (shop/cache.go:42), in sync.(*Mutex).Lock"; empty if
	// nobody looked, or if it could have been one of several.
	Stack string
}

// StallCause is what kept a process from running.
type StallCause uint8

const (
	// StallUnknown: nothing is proved.
	StallUnknown StallCause = iota
	// StallThrottled: the CPU quota of its control group was used up.
	StallThrottled
	// StallNoCPU: it was ready to run and had no CPU; others had them.
	StallNoCPU
	// StallGC: the garbage collector had stopped the program.
	StallGC
	// StallStopped: it did not run and did not wait for a CPU. It was stopped
	// (SIGSTOP, a debugger, the freezer of its control group) or its machine was.
	StallStopped
	// StallScheduler: it ran, but goroutines that were ready did not: something
	// held all that the Go scheduler may use (GOMAXPROCS).
	StallScheduler
	// StallOwn: it could run all the time. What kept the server waiting is in
	// the program.
	StallOwn
)

var stallNames = [...]string{"unknown", "throttled", "no_cpu", "garbage_collection", "stopped", "scheduler", "own_code"}

func (s StallCause) String() string {
	if int(s) < len(stallNames) {
		return stallNames[s]
	}
	return "invalid stall cause"
}

// mostBefore is from where on what was counted before a pause speaks against counts
// that do not say when something was: a count a second is all that can be asked for, and on
// a busy machine it comes late.
const mostBefore = 2 * time.Second

// Cause says what explains a pause: what took at least half of it. Of what
// includes another, the more exact one is named: time without quota is time
// without a CPU, and either delays the garbage collector.
func (s *Stall) Cause(pause time.Duration) StallCause {
	half, vague := pause/2, s.Before > mostBefore
	switch {
	case !s.Known || pause <= 0 || s.Window < half:
		return StallUnknown
	case vague && max(s.Throttled, s.Waited)-s.Before < half && (s.Throttled >= half || s.Waited >= half):
		return StallUnknown // it may have been before
	case vague && s.Late < half && (s.LongestGC >= half || s.SchedLatency >= half):
		return StallUnknown
	case s.ThrottleKnown && s.Throttled >= half:
		return StallThrottled
	case s.WaitKnown && s.Waited >= half:
		// The two together, if neither alone: the larger part.
		if s.Throttled > s.crowded() {
			return StallThrottled
		}
		return StallNoCPU
	case s.WaitKnown && s.idled() >= half && s.Ran+s.Waited < half:
		// It used no CPU and waited for none. What the runtime counts goes on meanwhile:
		// a goroutine that was ready still is, and a collection is not over.
		return StallStopped
	case s.LongestGC >= half:
		return StallGC
	case s.Late >= half && s.Ran < half, s.WaitKnown && s.SchedLatency >= half && s.Ran < half:
		// Not all of it is explained by what it ran. Nobody who is not told of quota
		// and waiting may say that it was stopped, and a part of each is neither.
		return StallUnknown
	case s.Late >= half || s.SchedLatency >= half:
		return StallScheduler
	case s.Beats > 0 && s.WaitKnown:
		return StallOwn
	}
	return StallUnknown
}

// idled is the longest time in which nothing of this process ran, as far as it noticed
// that itself.
func (s *Stall) idled() time.Duration { return max(s.Late, s.LongestGC, s.SchedLatency) }

// crowded is the time that others had the CPUs: waiting with quota left.
func (s *Stall) crowded() time.Duration { return max(0, s.Waited-s.Throttled) }

// tellingShare is from where on the lesser of two causes is worth a sentence.
const tellingShare = 10

// Sentence says what a pause was, to follow a sentence about it; empty if
// nothing is known.
func (s *Stall) Sentence(pause time.Duration) string {
	if !s.Known {
		return ""
	}
	of := "of these " + dur(s.Window)
	switch s.Cause(pause) {
	case StallThrottled:
		besides := ""
		if s.crowded() > s.Window/tellingShare {
			besides = fmt.Sprintf(" For another %s it waited for a CPU that others on this machine had.", dur(s.crowded()))
		}
		return fmt.Sprintf(" Its container was throttled for %s %s%s.", dur(s.Throttled), of, s.limit()) + besides + s.perhapsOwn(pause)
	case StallNoCPU:
		besides := ""
		if s.Throttled > s.Window/tellingShare {
			besides = fmt.Sprintf(" For another %s its container was throttled%s.", dur(s.Throttled), s.limit())
		}
		return fmt.Sprintf(" It was ready to run and waited for a CPU for %s %s: others on this machine had them.", dur(s.crowded()), of) + besides + s.perhapsOwn(pause)
	case StallGC:
		return fmt.Sprintf(" The garbage collector had stopped the program for %s.", dur(s.LongestGC))
	case StallStopped:
		return fmt.Sprintf(" It did not run for %s and did not wait for a CPU: the process was stopped (SIGSTOP, a debugger, a frozen container), or its machine was.", dur(s.idled()))
	case StallScheduler:
		return fmt.Sprintf(" The process ran (%s of CPU time), but goroutines that were ready to run were not, for up to %s: something held all CPUs that the Go scheduler may use.", dur(s.Ran), dur(max(s.Late, s.SchedLatency)))
	case StallOwn:
		where := "look at your own code"
		if s.Stack != "" {
			where += ": the goroutine that began this was in " + s.Stack
		}
		return fmt.Sprintf(" The process could run all the time, so %s.", where)
	}
	return ""
}

// perhapsOwn is the other side of a shortage of CPU: the kernel counts for the
// process, not for the goroutine that kept the server waiting. Where the clock was
// looked at in time, a goroutine that was ready could run soon.
func (s *Stall) perhapsOwn(pause time.Duration) string {
	if s.Beats == 0 || s.Late >= pause/4 {
		return ""
	}
	out := " But goroutines that were ready ran soon, so this one may have waited for something of the program's own"
	if s.Stack != "" {
		out += ": it was in " + s.Stack
	}
	return out + "."
}

func (s *Stall) limit() string {
	if s.CPULimit <= 0 {
		return ""
	}
	return fmt.Sprintf(" (CPU limit %.3g)", s.CPULimit)
}

// mostSite is how long a place in the program may be for an error line.
const mostSite = 28

// site is file and line of Stack, empty if they are not known or too long for an
// error line.
func (s *Stall) site() string {
	_, at, _ := strings.Cut(s.Stack, " (")
	at, _, ok := strings.Cut(at, ")")
	if !ok || utf8.RuneCountInString(at) > mostSite {
		return ""
	}
	return at
}

// do is Advice in the few words that fit into an error line.
func (s StallCause) do() string {
	switch s {
	case StallThrottled:
		return "It was throttled: raise the container's CPU limit."
	case StallNoCPU:
		return "It got no CPU: the machine has too few for its load."
	case StallGC:
		return "Find what kept the garbage collector from ending."
	case StallStopped:
		return "It was stopped (SIGSTOP, docker pause): find out why."
	case StallScheduler:
		return "Find what holds all CPUs of the Go scheduler."
	case StallOwn:
		return "It was not short of CPU: look at your own code."
	}
	return ""
}

// Advice says what to do about a pause, empty if nothing is known.
func (s *Stall) Advice(pause time.Duration) string {
	switch s.Cause(pause) {
	case StallThrottled:
		return s.ownFirst(pause) + "Raise the CPU limit of the container, or make GOMAXPROCS no higher than it; do less at once (SetMaxOpenConns, fewer workers)."
	case StallNoCPU:
		return s.ownFirst(pause) + "The machine has too few CPUs for what runs on it: move something away, or reserve CPUs for this process (requests, cpu.weight, nice)."
	case StallGC:
		return "Look for what keeps the garbage collector from stopping the program (a tight loop in assembly or with asyncpreemptoff=1), and at the size of the heap: GODEBUG=gctrace=1."
	case StallStopped:
		return "Find out what stopped it: job control, a debugger, docker pause, the freezer of the control group, live migration or a snapshot of the virtual machine."
	case StallScheduler:
		return "Look for goroutines that compute for long or that are in C, and at GOMAXPROCS: go tool trace shows them."
	case StallOwn:
		return "Look for what waits between two steps of one operation: a lock, a channel, a callback of TLS, work between two rows."
	}
	return ""
}

// ownFirst is the advice about perhapsOwn, in front of the rest.
func (s *Stall) ownFirst(pause time.Duration) string {
	if s.perhapsOwn(pause) == "" {
		return ""
	}
	return "First look for what waits in the program itself: a lock, a channel, a Sleep, work between two rows. "
}

// String is the testimony in one line, empty if there is none.
func (s *Stall) String() string {
	if !s.Known {
		return ""
	}
	out := fmt.Sprintf("of %s: %s of CPU time", dur(s.Window), dur(s.Ran))
	if s.ThrottleKnown {
		out += fmt.Sprintf(", throttled for %s%s", ago(s.Throttled), s.limit())
	}
	if s.WaitKnown {
		out += fmt.Sprintf(", waited for a CPU for %s", ago(s.Waited))
	}
	if s.Pressure > 0 {
		out += fmt.Sprintf(", CPU pressure for %s", ago(s.Pressure))
	}
	return out + fmt.Sprintf(", longest garbage collection %s, longest wait in the Go scheduler %s, clock late by %s at most", ago(s.LongestGC), ago(s.SchedLatency), ago(s.Late))
}
