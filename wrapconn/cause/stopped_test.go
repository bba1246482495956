package cause

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// A process that was stopped (SIGSTOP, a container without CPU) while it waited for the server's part of the handshake reads it late, and meets a connection
// that the server has given up. OwnPause does not have that time, because a Read was under way; the kernel has it. The evidence is that
// of a run with SIGSTOP. Without a pause, and from a proxy, whose socket says nothing of its client, nothing of it is said.
func TestStoppedInTheLogin(t *testing.T) {
	met := Evidence{
		Phase: session.PhaseTLS, Direction: session.FromServer, Violation: session.Truncated, Stream: StreamBroken, Client: Client{Local: true},
		Age: 3758 * time.Millisecond, Idle: time.Millisecond, CommandBytes: 32 + 1785, GreetingAfter: 12 * time.Microsecond, OwnPause: time.Millisecond,
		Transport: Transport{Known: true, State: TCPClosed, Written: 1525, Acked: 1519, SinceData: 3756 * time.Millisecond, SinceAck: 12 * time.Millisecond},
	}
	for name, at := range map[string]struct {
		change func(*Evidence)
		slug   Slug
		told   bool
	}{
		"handshake":         {func(*Evidence) {}, "tls_failed", true},
		"small ClientHello": {func(e *Evidence) { e.CommandBytes = 300 }, "tls_failed", true},
		"closed":            {func(e *Evidence) { e.Stream = StreamEOF }, "tls_failed", true},
		"authentication":    {func(e *Evidence) { e.Phase, e.SinceLogin = session.PhaseAuth, time.Millisecond }, "login_unanswered", true},
		"before the login": {func(e *Evidence) {
			e.Phase, e.OwnPause, e.GreetingAfter = session.PhaseLogin, time.Millisecond, time.Second
		}, "login_unanswered", true},
		"an alert":           {func(e *Evidence) { e.TLSAlert = "protocol version" }, "tls_failed", false},
		"no pause":           {func(e *Evidence) { e.Idle = e.Transport.SinceData }, "tls_failed", false},
		"beside the proxy":   {func(e *Evidence) { e.Client, e.Vantage = Client{Address: "10.0.0.7:4711"}, VantageBetween }, "tls_failed", false},
		"the kernel is mute": {func(e *Evidence) { e.Transport = Transport{} }, "tls_failed", false},
	} {
		e := met
		at.change(&e)
		d := Diagnose(&e)
		said := strings.Contains(d.Explanation, "had been here for 3.8 s") && strings.Contains(d.Advice, "CPU throttling")
		if d.Slug != at.slug || slices.Contains(d.Alternatives, "login_stalled_locally") != at.told || said != at.told {
			t.Errorf("%s: %s, %v: %s %s", name, d.Slug, d.Alternatives, d.Explanation, d.Advice)
		}
	}
}

// MariaDB says ERR 1043 in plaintext of a handshake of TLS that is not over within its connect_timeout, and of one that fails. The evidence is that of
// a process that was stopped by SIGSTOP for 3.2 s behind its ClientHello (MariaDB 11.8, connect_timeout=2): the ERR lay unread for 1.2 s.
func TestStoppedInTheHandshakeOfMariaDB(t *testing.T) {
	met := Evidence{
		Phase: session.PhaseTLS, Direction: session.FromServer, Violation: session.Unsolicited, Kind: session.KindERR, Expected: 2, Actual: 2, MariaDB: true,
		ServerError: &session.ServerError{Code: 1043, SQLState: "08S01", Message: "Bad handshake"}, Client: Client{Local: true},
		Age: 3224 * time.Millisecond, GreetingAfter: 2677 * time.Microsecond, GreetingTimed: true, OwnPause: 17 * time.Microsecond, Awaited: true,
		Transport: Transport{Known: true, State: TCPClosed, Written: 1519, Acked: 1519, SinceData: 1200 * time.Millisecond, SinceAck: 3200 * time.Millisecond},
	}
	stopped := Stall{Known: true, WaitKnown: true, Window: 3500 * time.Millisecond, Late: 2500 * time.Millisecond, Beats: 4, Ran: 21 * time.Millisecond}
	for name, at := range map[string]struct {
		change func(*Evidence)
		slug   Slug
		others []Slug
		says   string
	}{
		"stopped":                     {func(e *Evidence) { e.Stall = stopped }, "login_stalled_locally", nil, "did not run for 2.5 s"},
		"nothing known of it":         {func(*Evidence) {}, "tls_failed", []Slug{"login_stalled_locally", "login_delayed_on_the_way"}, "not over within its connect_timeout"},
		"it ran all the time":         {func(e *Evidence) { e.Stall = Stall{Known: true, WaitKnown: true, Window: 3 * time.Second, Beats: 30} }, "tls_failed", []Slug{"login_stalled_locally", "login_delayed_on_the_way"}, "not over within"},
		"the server had not answered": {func(e *Evidence) { e.Stall, e.Awaited, e.WroteAfter = stopped, false, 3*time.Millisecond }, "tls_failed", []Slug{"login_stalled_locally", "login_delayed_on_the_way"}, "not over within"},
		"a handshake that fails":      {func(e *Evidence) { e.Age = 9 * time.Millisecond }, "tls_failed", nil, "in plaintext"},
	} {
		e := met
		at.change(&e)
		d := Diagnose(&e)
		if d.Slug != at.slug || !strings.Contains(d.Explanation, at.says) {
			t.Errorf("%s: %s: %s %s", name, d.Slug, d.Explanation, d.Advice)
		}
		for _, s := range at.others {
			if !slices.Contains(d.Alternatives, s) {
				t.Errorf("%s: %v, and not %s", name, d.Alternatives, s)
			}
		}
	}
}

// The same in a later round of the authentication (MySQL 9.7, sha256_password, connect_timeout=2): a Read was under way when SIGSTOP came, and what was
// written behind it came too late. With nothing that kept the process from running, the time has passed on the way; and what had been written before is not
// accused, whatever the process lacks. The busy process is one of many threads on two processors (measured), whose goroutines ran soon; the
// starved one (measured, beside thirty others) got a thirtieth of a processor, did not look at its clock for half of the time, and read what a relay had
// held within 76 ms. Who reads late for want of a processor does so by the kernel's clock, or it is not proved.
func TestStoppedInTheAuthentication(t *testing.T) {
	const ms = time.Millisecond
	stopped := Stall{Known: true, WaitKnown: true, Window: 3500 * ms, Late: 2500 * ms, Beats: 4, Ran: 21 * ms}
	quota := Stall{Known: true, WaitKnown: true, ThrottleKnown: true, Window: 4 * time.Second, Throttled: 3800 * ms, Late: 300 * ms, Beats: 3, Ran: 40 * ms}
	busy := Stall{Known: true, WaitKnown: true, Window: 4500 * ms, Waited: 2500 * ms, Ran: 2200 * ms, Beats: 4, SchedLatency: 134 * ms}
	starved := Stall{Known: true, WaitKnown: true, Window: 3300 * ms, Waited: 3200 * ms, Ran: 93 * ms, Beats: 2, Late: 1600 * ms, SchedLatency: 234 * ms}
	here, way := Slug("login_stalled_locally"), Slug("login_delayed_on_the_way")
	for name, at := range map[string]struct {
		slug    Slug
		wrote   time.Duration
		awaited bool
		stall   Stall
		lay     time.Duration // by the kernel; negative: it was not asked
		says    string
		other   bool
	}{
		"stopped, then written":                 {here, 3208 * ms, false, stopped, 1200 * ms, "did not run for 2.5 s", false},
		"stopped, not yet written":              {here, ms, true, stopped, 1200 * ms, "did not run for 2.5 s", false},
		"stopped, the kernel is mute":           {here, 3208 * ms, false, stopped, -1, "did not run for 2.5 s", false},
		"stopped, and the ERR came behind that": {here, 3208 * ms, false, stopped, 0, "did not run for 2.5 s", false},
		"hardly any CPU":                        {here, 3208 * ms, false, quota, 1800 * ms, "throttled for 3.8 s", false},
		"hardly any CPU, read soon":             {way, 3208 * ms, false, quota, 300 * ms, "is not proved, and by the kernel's clock the last of what the server had sent had been here for 300 ms when it was read", true},
		"hardly any, the kernel mute":           {way, 3208 * ms, false, quota, -1, "is not proved", true},
		"it ran all the time":                   {way, ms, true, Stall{Known: true, WaitKnown: true, Window: 3500 * ms, Beats: 30, Ran: 21 * ms}, 0, "outside this process", false},
		"busy":                                  {way, ms, true, busy, 50 * ms, "outside this process", false},
		"busy, and the ERR came behind that":    {way, 3208 * ms, false, busy, 0, "is not proved", true},
		"starved":                               {way, ms, true, starved, 76 * ms, "outside this process", false},
		"starved, and not soon":                 {way, ms, true, starved, 800 * ms, "is not proved", true},
		"starved, the kernel is mute":           {way, ms, true, starved, -1, "is not proved", true},
		"busy, written before":                  {way, ms, false, busy, 50 * ms, "outside this process", false},
		"stopped, written before":               {way, ms, false, stopped, 50 * ms, "outside this process", false},
		"hardly any, written before":            {way, ms, false, quota, 300 * ms, "outside this process", false},
	} {
		e := Evidence{
			Phase: session.PhaseAuth, Direction: session.FromServer, Violation: session.MisnumberedError, Kind: session.KindERR, Expected: 6, Actual: 5,
			ServerError: &session.ServerError{Code: 1159, SQLState: "08S01", Message: "Got timeout reading communication packets"}, Client: Client{Local: true},
			Age: 3210 * ms, GreetingAfter: ms, GreetingTimed: true, LoginAfter: ms, SinceLogin: 3208 * ms,
			OwnPause: ms, Stall: at.stall, WroteAfter: at.wrote, Awaited: at.awaited,
			Transport: Transport{Known: at.lay >= 0, Written: 300, Acked: 300, RTT: ms, SinceData: max(0, at.lay)},
		}
		d := Diagnose(&e)
		if d.Slug != at.slug || !strings.Contains(d.Explanation, at.says) || slices.Contains(d.Alternatives, "login_stalled_locally") != at.other || at.slug == here && !strings.Contains(d.Explanation, "still in the authentication 3.2 s after") {
			t.Errorf("%s: %s, want %s: %s", name, d.Slug, at.slug, d.Explanation)
		}
		// Counters that lie before the dial are not asked.
		if began, _ := e.Accused(); began > e.Age {
			t.Errorf("%s: asked about %v of %v", name, began, e.Age)
		}
	}
}

// A pause between two reads is asked about where it was, however long the connection lives and however long ago the pause was.
func TestAccused(t *testing.T) {
	e := Evidence{Phase: session.PhaseRows, Age: time.Hour, SinceLogin: time.Hour, LongestReadGap: 10 * time.Second, SinceGap: time.Minute}
	if began, ended := e.Accused(); began != 70*time.Second || ended != time.Minute {
		t.Errorf("from %v to %v ago", began, ended)
	}
	e.Late, e.Overdue = true, 3*time.Second
	if began, ended := e.Accused(); began != 3*time.Second || ended != 0 {
		t.Errorf("read too late: from %v to %v ago", began, ended)
	}
	if began, ended := (&Evidence{Phase: session.PhaseRows, SinceLogin: time.Hour}).Accused(); began != 0 || ended != 0 {
		t.Errorf("nobody is accused: from %v to %v ago", began, ended)
	}
}

// A server that has waited for its connect_timeout ends a login without a word (MariaDB; MySQL within the handshake of TLS): what took so long is among the causes, and
// nobody is sent to compare certificates first. The evidence is that of a relay that held the greeting, or the ClientHello, for 3 s.
func TestSlowEnd(t *testing.T) {
	const ms = time.Millisecond
	kernel := Transport{Known: true, Written: 182, Acked: 182, SinceData: 60 * ms}
	for name, e := range map[string]Evidence{
		"tls_failed, the greeting":    {Phase: session.PhaseTLS, Age: 2966 * ms, DialTook: 111 * ms, GreetingAfter: 2966 * ms, OwnPause: ms / 2, CommandBytes: 1483, Transport: kernel},
		"tls_failed, the ClientHello": {Phase: session.PhaseTLS, Age: 2128 * ms, Idle: 2127 * ms, GreetingAfter: ms, GreetingTimed: true, OwnPause: ms / 2, CommandBytes: 1483, Transport: kernel},
		"tls_failed, large":           {Phase: session.PhaseTLS, Stream: StreamReset, Age: 2128 * ms, Idle: 2127 * ms, GreetingAfter: ms, CommandBytes: 1783, Transport: kernel},
		"login_unanswered, the login": {Phase: session.PhaseAuth, Age: 1963 * ms, DialTook: 115 * ms, Idle: 1963 * ms, GreetingAfter: ms, GreetingTimed: true, LoginAfter: ms, SinceLogin: 1962 * ms, Transport: kernel},
		"login_unanswered, greeting":  {Phase: session.PhaseAuth, Age: 3166 * ms, GreetingAfter: 3166 * ms, LoginAfter: ms / 10, SinceLogin: ms / 10, Transport: kernel},
	} {
		e.Client, e.MariaDB, e.Violation, e.Direction = Client{Local: true}, true, session.Truncated, session.FromServer
		if e.Stream == StreamOpen {
			e.Stream = StreamEOF
		}
		for _, fast := range []bool{false, true} {
			if fast {
				e.Age, e.DialTook = 40*ms, 0
			}
			d := Diagnose(&e)
			slug, _, _ := strings.Cut(name, ",")
			told := strings.Contains(d.Explanation, "after the connection was begun: a server whose connect_timeout") && strings.HasPrefix(d.Advice, "If it took about as long as the server's connect_timeout, ") &&
				slices.Contains(d.Alternatives, "login_delayed_on_the_way")
			if string(d.Slug) != slug || told == fast || slices.Contains(d.Alternatives, "login_stalled_locally") {
				t.Errorf("%s, %v: %s, %v: %s %s", name, e.Age, d.Slug, d.Alternatives, d.Explanation, d.Advice)
			}
		}
	}
}

// A proxy that was stopped does not accuse its client of the pause: both are named. One that was late for a moment, or for a small part, does.
func TestProxyStopped(t *testing.T) {
	const ms = time.Millisecond
	late := func(e *Evidence) { e.ProxyLate = 2500 * ms }
	for name, at := range map[string]struct {
		change func(*Evidence)
		slug   Slug
	}{
		"the client":              {func(*Evidence) {}, "login_stalled_locally"},
		"for a moment":            {func(e *Evidence) { e.ProxyLate = 300 * ms }, "login_stalled_locally"},
		"for a small part":        {func(e *Evidence) { e.ProxyLate, e.OwnPause = time.Second, time.Minute }, "login_stalled_locally"},
		"before the login passed": {late, "login_delayed_on_the_way"},
		"behind it":               {func(e *Evidence) { late(e); e.LoginAfter, e.OwnPause, e.SinceLogin = ms, ms, 3200*ms }, "login_delayed_on_the_way"},
		"the login never passed": {func(e *Evidence) {
			late(e)
			e.LoginAfter, e.SinceLogin, e.Phase, e.Violation, e.Expected = 0, 0, session.PhaseLogin, session.Unsolicited, 1
		}, "login_delayed_on_the_way"},
		"ERR 1043": {func(e *Evidence) {
			late(e)
			e.ServerError = &session.ServerError{Code: 1043, SQLState: "08S01", Message: "Bad handshake"}
		}, "login_delayed_on_the_way"},
	} {
		e := Evidence{
			Phase: session.PhaseAuth, Direction: session.FromServer, Violation: session.MisnumberedError, Kind: session.KindERR, Expected: 2, Actual: 1,
			ServerError: &session.ServerError{Code: 1159, SQLState: "08S01", Message: "Got timeout reading communication packets"},
			Client:      Client{Address: "10.0.0.7:4711"}, Vantage: VantageProxy,
			Age: 3202 * ms, GreetingAfter: ms, LoginAfter: 3201 * ms, SinceLogin: ms / 10, OwnPause: 3201 * ms, WroteAfter: 3201 * ms,
		}
		at.change(&e)
		d := Diagnose(&e)
		doubt := strings.Contains(d.Explanation, "this proxy did not look at its own clock for 2.5 s") && strings.HasPrefix(d.Advice, "Look first at the process of this proxy")
		if d.Slug != at.slug || doubt != (at.slug == "login_delayed_on_the_way") || doubt && strings.Contains(d.Explanation, "sent it") {
			t.Errorf("%s: %s, %v: %s %s", name, d.Slug, d.Alternatives, d.Explanation, d.Advice)
		}
		if doubt && name != "behind it" && !slices.Contains(d.Alternatives, "login_stalled_locally") {
			t.Errorf("%s: %v", name, d.Alternatives)
		}
	}
}
