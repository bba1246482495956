package cause

import (
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// acked is a connection whose other side has n of 200 bytes.
func acked(n uint64, change func(*Transport)) Transport {
	t := Transport{Known: true, State: TCPEstablished, Written: 200, Acked: n, RTT: 2 * time.Millisecond, LeastRTT: time.Millisecond,
		SinceData: 12 * time.Second, SinceAck: 12 * time.Second}
	if change != nil {
		change(&t)
	}
	return t
}

func lostAgain(t *Transport) { t.Retransmitted, t.Unanswered = 3, 3 }

// TestProof: what the kernel says splits what looks the same on the wire, and
// changes neither the name nor whether the statement was executed.
func TestProof(t *testing.T) {
	silent := with(out(), func(e *Evidence) { e.Stream, e.SinceCommand = StreamTimeout, 12*time.Second })
	ended := with(out(), func(e *Evidence) { e.Stream = StreamReset })
	givenUp := with(out(), func(e *Evidence) { e.Abandoned, e.SinceCommand = AbandonDeadline, 12*time.Second })
	loggingIn := Evidence{Phase: session.PhaseAuth, Stream: StreamTimeout, SinceLogin: 12 * time.Second, LoginAfter: time.Millisecond}
	for _, tt := range []struct {
		name      string
		e         Evidence
		transport Transport
		says      string
		never     string
	}{
		{"silent, all there", silent, acked(200, nil), "has acknowledged all 200 bytes that were written: it has COM_QUERY and does not answer", "dead"},
		{"silent, retransmitted", silent, acked(188, lostAgain), "not acknowledged 12 bytes of the 200 bytes that were written, although they were retransmitted 3 times, and nothing has come from there for 12.0 s: the path is dead", "does not answer"},
		{"silent, too early to tell", silent, acked(188, nil), "too short to tell a dead path from a slow one", "dead path is"},
		{"silent, no room", silent, acked(100, func(x *Transport) { x.Full, x.NotSent = true, 90 }), "has no room for more: the program that should read there does not, and 90 bytes wait here", "dead"},
		{"silent, not over TCP", silent, Transport{}, "until the time limit of this side ran out", "acknowledged"},
		{"in the middle of an answer", with(silent, func(e *Evidence) { e.Phase, e.AnswerStarted = session.PhaseRows, true }), acked(200, nil), "nothing is lost on the way there", "does not answer"},
		{"ended, all there", ended, acked(200, nil), "had acknowledged COM_QUERY before the end, all 200 bytes that were written on this connection", ""},
		{"ended, not acknowledged", ended, acked(188, nil), "never acknowledged the last 12 bytes. That does not prove that nobody read them", "dead"},
		// A reset is a word from there.
		{"ended after retransmissions", ended, acked(188, lostAgain), "never acknowledged the last 12 bytes", "dead"},
		{"the kernel gave up", with(out(), func(e *Evidence) { e.Stream = StreamBroken }), acked(188, lostAgain), "the path is dead", ""},
		{"given up, all there", givenUp, acked(200, nil), "it has COM_QUERY and does not answer. The path there is alive.", "before the end"},
		{"given up, retransmitted", givenUp, acked(188, lostAgain), "the path is dead", "does not answer"},
		{"given up, too early to tell", givenUp, acked(188, nil), "too short to tell a dead path from a slow one", "never acknowledged"},
		{"given up in the login, lost", with(loggingIn, func(e *Evidence) { e.Stream, e.Abandoned = StreamOpen, AbandonCanceled }), acked(0, lostAgain), "the path is dead", "does not answer"},
		{"login, all there", loggingIn, acked(200, nil), "it has the login and does not answer", "dead"},
		{"login, lost", loggingIn, acked(0, lostAgain), "the path is dead", "and does not answer"},
		{"login late, network alright", login(1159, 2, 1, time.Millisecond, 3*time.Second), acked(200, nil), "Nothing was sent twice", "lost on the way"},
		{"login late, packets lost", login(1159, 2, 1, time.Millisecond, 3*time.Second), acked(200, func(x *Transport) { x.Retransmitted = 2 }), "2 segments had to be sent again on this connection: packets are lost on the way", "kept the login"},
	} {
		without := Diagnose(&tt.e)
		tt.e.Transport = tt.transport
		d := Diagnose(&tt.e)
		if d.Slug != without.Slug || d.Executed != without.Executed || d.RetrySafe != without.RetrySafe || d.Severity != without.Severity {
			t.Errorf("%s: %+v, and without what the kernel says %+v", tt.name, d, without)
		}
		if !strings.Contains(d.Explanation, tt.says) {
			t.Errorf("%s: %s\nwant: %s", tt.name, d.Explanation, tt.says)
		}
		if tt.never != "" && strings.Contains(d.Explanation, tt.never) {
			t.Errorf("%s: it says %q: %s", tt.name, tt.never, d.Explanation)
		}
	}
}

// TestDoOfDeadPath: the error line says what the kernel knows, and the advice fits what was lost.
func TestDoOfDeadPath(t *testing.T) {
	const dead, slow = "The path is dead: look at firewall, NAT, network.", "It may still run on the server: KILL it there."
	silent := with(out(), func(e *Evidence) { e.Stream = StreamTimeout })
	login := Evidence{Phase: session.PhaseAuth, Stream: StreamTimeout, SinceLogin: 12 * time.Second, LoginAfter: time.Millisecond}
	givenUp := with(out(), func(e *Evidence) { e.Abandoned = AbandonDeadline })
	full := func(x *Transport) { x.Full, x.NotSent = true, 90 }
	for _, tt := range []struct {
		name      string
		e         Evidence
		transport Transport
		do        string
		advice    string
	}{
		{"nobody reads a large command", with(silent, func(e *Evidence) { e.Unsent = 90_000 }), acked(100, full), "Look for what keeps the server or proxy from reading.", "compare it with max_allowed_packet"},
		{"a limit of this side", silent, acked(188, lostAgain), dead, "SetConnMaxIdleTime"},
		{"the kernel gave up", with(out(), func(e *Evidence) { e.Stream = StreamBroken }), acked(188, lostAgain), dead, "SetConnMaxIdleTime"},
		{"given up", givenUp, acked(188, lostAgain), dead, "check before you run the statement again"},
		{"given up in the answer", with(givenUp, func(e *Evidence) { e.Phase, e.AnswerStarted = session.PhaseRows, true }), acked(188, lostAgain), dead, "KILL"},
		{"login", login, acked(0, lostAgain), dead, "MTU"},
		{"given up, delivered", givenUp, acked(200, nil), slow, "max_execution_time"},
		{"given up, nobody reads", givenUp, acked(100, full), "Look for what keeps the server or proxy from reading.", "The path is alive"},
		{"nobody reads", silent, acked(100, full), "Look for what keeps the server or proxy from reading.", "The path is alive"},
	} {
		tt.e.Transport = tt.transport
		d := Diagnose(&tt.e)
		if d.Do != tt.do || len(d.Do) > maxDo || !strings.Contains(d.Advice, tt.advice) {
			t.Errorf("%s: %s\n%q, want %q\n%s", tt.name, d.Slug, d.Do, tt.do, d.Advice)
		}
		if strings.Contains(d.Advice, "idle connection") == (tt.name == "login") && d.Do == dead && tt.advice != "KILL" {
			t.Errorf("%s: a login is not idle: %s", tt.name, d.Advice)
		}
	}
}

// TestGivenUpBeforeTheGreeting: who has waited for a greeting is not told to look for slow logins.
func TestGivenUpBeforeTheGreeting(t *testing.T) {
	e := Evidence{Phase: session.PhaseGreeting, Abandoned: AbandonCanceled, Age: 2 * time.Second}
	d := Diagnose(&e)
	if d.Slug != "abandoned" || !strings.Contains(d.Explanation, "before the server had greeted") || !strings.Contains(d.Do, "behind this address") || !strings.Contains(d.Advice, "another protocol") {
		t.Errorf("%+v", d)
	}
	e.Age = 20 * time.Millisecond
	if d := Diagnose(&e); !strings.Contains(d.Do, "logins slow") {
		t.Errorf("%+v", d)
	}
}

// TestTooEarly: what begins sooner than half of the least round trip after its
// command is no answer to it.
func TestTooEarly(t *testing.T) {
	left := with(rest(), func(e *Evidence) {
		e.Kind, e.Length, e.Actual, e.Violation, e.Commands = session.KindOK, 7, 1, session.Unsolicited, 3
		e.Transport = acked(200, func(x *Transport) { x.LeastRTT = 20 * time.Millisecond })
	})
	for _, tt := range []struct {
		name   string
		change func(*Evidence)
		want   Slug
	}{
		{"sooner", func(e *Evidence) { e.AnswerAfter = 9 * time.Millisecond }, "stale_answer"},
		{"as soon as it can be", func(e *Evidence) { e.AnswerAfter = 11 * time.Millisecond }, "unsolicited_packet"},
		{"not measured", func(e *Evidence) {}, "unsolicited_packet"},
		{"the kernel does not say", func(e *Evidence) { e.AnswerAfter, e.Transport = time.Millisecond, Transport{} }, "unsolicited_packet"},
		{"a round trip that tells nothing", func(e *Evidence) { e.AnswerAfter, e.Transport.LeastRTT = 20*time.Microsecond, 100*time.Microsecond }, "unsolicited_packet"},
		{"seen from a proxy", func(e *Evidence) { e.AnswerAfter, e.Vantage = time.Millisecond, VantageProxy }, "unsolicited_packet"},
	} {
		e := left
		tt.change(&e)
		if d := Diagnose(&e); d.Slug != tt.want {
			t.Errorf("%s: %s: %s", tt.name, d.Slug, d.Explanation)
		}
	}
}

func TestStall(t *testing.T) {
	const s = time.Second
	free := Stall{Known: true, Window: 3500 * time.Millisecond, ThrottleKnown: true, WaitKnown: true, Beats: 3, Ran: 10 * time.Millisecond}
	for _, tt := range []struct {
		name   string
		change func(*Stall)
		want   StallCause
		says   string
	}{
		{"own code", func(x *Stall) {}, StallOwn, "The process could run all the time, so look at your own code"},
		{"own code, somebody looked", func(x *Stall) { x.Stack = "shop.(*Cache).fill" }, StallOwn, "look at your own code: the goroutine that began this was in shop.(*Cache).fill"},
		{"throttled", func(x *Stall) { x.Throttled, x.Waited, x.Late, x.CPULimit = 2700*time.Millisecond, 3*s, 3*s, 0.5 }, StallThrottled, "Its container was throttled for 2.7 s of these 3.5 s (CPU limit 0.5)"},
		{"busy", func(x *Stall) { x.Waited, x.Late, x.Throttled = 2900*time.Millisecond, 2*s, 100*time.Millisecond }, StallNoCPU, "ready to run and waited for a CPU for 2.8 s of these 3.5 s"},
		{"busy, and the clock on time", func(x *Stall) { x.Waited, x.Late, x.Beats = 2900*time.Millisecond, 50*time.Millisecond, 3 }, StallNoCPU, "this one may have waited for something of the program's own"},
		{"busy, and throttled besides", func(x *Stall) { x.Waited, x.Throttled, x.CPULimit = 3100*time.Millisecond, 1300*time.Millisecond, 0.5 }, StallNoCPU, "waited for a CPU for 1.8 s of these 3.5 s: others on this machine had them. For another 1.3 s its container was throttled (CPU limit 0.5)"},
		{"throttled, and busy besides", func(x *Stall) { x.Waited, x.Throttled = 2500*time.Millisecond, 1400*time.Millisecond }, StallThrottled, "throttled for 1.4 s of these 3.5 s. For another 1.1 s it waited for a CPU"},
		{"collector", func(x *Stall) { x.LongestGC, x.Late, x.Ran = 2*s, 2*s, 3*s }, StallGC, "The garbage collector had stopped the program for 2.0 s"},
		{"stopped", func(x *Stall) { x.Late = 2100 * time.Millisecond }, StallStopped, "the process was stopped (SIGSTOP"},
		{"stopped, on a system that does not tell who waits", func(x *Stall) { x.Late, x.WaitKnown, x.ThrottleKnown = 2*s, false, false }, StallUnknown, ""},
		{"scheduler", func(x *Stall) { x.Late, x.Ran = 2*s, 3*s }, StallScheduler, "goroutines that were ready to run were not, for up to 2.0 s"},
		{"scheduler, by its own count", func(x *Stall) { x.SchedLatency, x.Ran = 2*s, 3*s }, StallScheduler, "goroutines that were ready"},
		{"stopped, while goroutines were ready", func(x *Stall) { x.SchedLatency, x.Late, x.Waited = 2*s, s, 50*time.Millisecond }, StallStopped, "It did not run for 2.0 s and did not wait for a CPU: the process was stopped (SIGSTOP"},
		{"stopped, within a collection", func(x *Stall) { x.LongestGC, x.Late = 2*s, s }, StallStopped, "the process was stopped (SIGSTOP"},
		{"neither its own use nor the wait for a CPU alone", func(x *Stall) { x.Late, x.Ran, x.Waited = 2*s, s, s }, StallUnknown, ""},
		{"the same, by the count of the scheduler", func(x *Stall) { x.SchedLatency, x.Ran, x.Waited = 2*s, s, s }, StallUnknown, ""},
		{"nobody looked at the clock", func(x *Stall) { x.Beats = 0 }, StallUnknown, ""},
		{"too short a window", func(x *Stall) { x.Window = s }, StallUnknown, ""},
		{"a bit of each", func(x *Stall) { x.Throttled, x.Late = s, s }, StallOwn, "could run"},
		{"throttled, and the clock on time", func(x *Stall) {
			x.Throttled, x.Waited, x.Late, x.Stack = 2700*time.Millisecond, 3*s, 200*time.Millisecond, "shop.(*Cache).fill"
		}, StallThrottled, "this one may have waited for something of the program's own: it was in shop.(*Cache).fill."},
		{"stopped, and short of CPU long before", func(x *Stall) { x.Window, x.Before, x.Waited, x.Late = 14*s, 10*s, 3*s, 2700*time.Millisecond }, StallUnknown, ""},
		{"stopped, and little before", func(x *Stall) { x.Window, x.Before, x.Waited, x.Late = 14*s, 10*s, s, 2700*time.Millisecond }, StallStopped, "did not run for 2.7 s"},
		{"short of CPU all the time", func(x *Stall) { x.Window, x.Before, x.Waited, x.Late = 14*s, 10*s, 13*s, 2*s }, StallNoCPU, "waited for a CPU for 13.0 s of these 14.0 s"},
		{"stopped within a collection", func(x *Stall) { x.LongestGC, x.Late = 2700*time.Millisecond, 2300*time.Millisecond }, StallStopped, "did not run for 2.7 s"},
		{"a collection long before", func(x *Stall) { x.Window, x.Before, x.LongestGC = 14*s, 10*s, 2*s }, StallUnknown, ""},
		{"nothing known", func(x *Stall) { *x = Stall{} }, StallUnknown, ""},
	} {
		x := free
		tt.change(&x)
		if got := x.Cause(3 * s); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if got := x.Sentence(3 * s); !strings.Contains(got, tt.says) || (tt.says == "") != (got == "") {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.says)
		}
		if tt.want != StallUnknown && x.Advice(3*s) == "" {
			t.Errorf("%s: no advice", tt.name)
		}
		e := login(1159, 2, 1, 3*s, time.Millisecond)
		e.Stall = x
		d := Diagnose(&e)
		if d.Slug != "login_stalled_locally" || !strings.Contains(d.Explanation, tt.says) {
			t.Errorf("%s: %s: %s", tt.name, d.Slug, d.Explanation)
		}
		// The line says no more than the sentence does.
		if hedged := strings.Contains(d.Explanation, "may have waited for something"); hedged && (!strings.Contains(d.Do, "own code") || !strings.HasPrefix(d.Advice, "First look for what waits in the program itself")) {
			t.Errorf("%s: %s %s", tt.name, d.Do, d.Advice)
		}
	}
}

// TestStallBehindALateRead: an answer that lay there is this process's own delay,
// for as long as the kernel says that it lay there; what kept the process from it is
// told as of any other pause.
func TestStallBehindALateRead(t *testing.T) {
	const s = time.Second
	late := with(out(), func(e *Evidence) {
		e.Stream, e.Late, e.SinceCommand, e.Overdue = StreamTimeout, true, 3*s, 2*s
		e.Transport = acked(200, func(x *Transport) { x.SinceData = 2900 * time.Millisecond })
	})
	if got := late.Pause(); got != 2900*time.Millisecond {
		t.Errorf("a pause of %v", got)
	}
	if d := Diagnose(&late); !strings.Contains(d.Explanation, "no processor, a frozen machine") {
		t.Errorf("nothing is proved: %s", d.Explanation)
	}
	late.Stall = Stall{Known: true, Window: 3500 * time.Millisecond, ThrottleKnown: true, WaitKnown: true, Throttled: 2700 * time.Millisecond, CPULimit: 0.5}
	d := Diagnose(&late)
	for _, says := range []string{"lay in its socket, the last of it since 2.9 s", "Its container was throttled for 2.7 s"} {
		if !strings.Contains(d.Explanation, says) {
			t.Errorf("it does not say %q: %s", says, d.Explanation)
		}
	}
	if strings.Contains(d.Explanation, "frozen machine") || !strings.Contains(d.Advice, "Raise the CPU limit") || !strings.Contains(d.Do, "CPU limit") {
		t.Errorf("%+v", d)
	}
	// Not over TCP: the limit that had been over counts.
	late.Transport = Transport{}
	if got := late.Pause(); got != 2*s {
		t.Errorf("a pause of %v", got)
	}
	late.Overdue = s / 2
	if got := late.Pause(); got != 0 {
		t.Errorf("a pause of %v is asked about", got)
	}
}

// TestSlowReaderHasOneVerdict: where the process could not run, its pace is not
// what to change.
func TestSlowReaderHasOneVerdict(t *testing.T) {
	e := Evidence{Phase: session.PhaseRows, Pending: 1, AnswerStarted: true, Stream: StreamReset, LongestReadGap: 61 * time.Second, SinceCommand: 62 * time.Second,
		Stall: Stall{Known: true, Window: 62 * time.Second, WaitKnown: true, Beats: 60, Late: 60 * time.Second}}
	if d := Diagnose(&e); d.Slug != "slow_reader" || strings.Contains(d.Advice, "Do less between two rows") || !strings.Contains(d.Advice, "what stopped it") || !strings.Contains(d.Do, "stopped") {
		t.Errorf("%+v", d)
	}
	e.Stall.Late = 0
	if d := Diagnose(&e); !strings.Contains(d.Advice, "Do less between two rows") || !strings.Contains(d.Do, "your own code") {
		t.Errorf("%+v", d)
	}
	for c := range stallNames {
		if n := len(StallCause(c).do()); n > maxDo || (n == 0) != (StallCause(c) == StallUnknown) {
			t.Errorf("%s: %d characters of what to do", StallCause(c), n)
		}
	}
}
