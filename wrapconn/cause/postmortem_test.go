package cause

import (
	"strings"
	"testing"
	"time"
)

// TestPostMortem: what the server says afterwards is added, its real limits stand in
// the place of their defaults, and neither the name nor whether the statement ran
// follows from it.
func TestPostMortem(t *testing.T) {
	const s = time.Second
	up := PostMortem{Asked: true, After: 40 * time.Millisecond, UptimeKnown: true, Uptime: 2 * time.Hour, ConnectTimeout: 7 * s, NetReadTimeout: 41 * s, NetWriteTimeout: 61 * s, WaitTimeout: 1234 * s, MaxAllowedPacket: 1 << 20}
	for _, tt := range []struct {
		name        string
		e           Evidence
		p           func(*PostMortem)
		says, never string
	}{
		{"up", out(), func(*PostMortem) {}, "Asked over a new connection 40 ms later, the server has been up for 2 h 0 min, longer than this connection.", "thread"},
		{"no answer", out(), func(p *PostMortem) { *p = PostMortem{Asked: true, After: s, Failure: "ERR 1040"} }, "Asked over a new connection 1.0 s later, the server did not answer: ERR 1040.", "up for"},
		{"restarted", with(out(), func(e *Evidence) { e.Age = time.Minute }), func(p *PostMortem) { p.Uptime, p.ThreadKnown, p.ThreadFound = 5*s, true, true }, "up for 5 s only, less than this connection was old: it was restarted, or there is another one behind this address now", "thread"},
		{"as old as the connection, to the second", with(out(), func(e *Evidence) { e.Age = 6 * s }), func(p *PostMortem) { p.Uptime = 5 * s }, "up for about 5.0 s", "restarted"},
		{"it does not say since when", out(), func(p *PostMortem) { p.UptimeKnown = false }, "the server answers.", "up for"},
		{"within its first second", with(out(), func(e *Evidence) { e.Age = time.Minute }), func(p *PostMortem) { p.Uptime = 0 }, "up for 0 s only, less than this connection was old: it was restarted", "thread"},
		{"runs on", out(), func(p *PostMortem) {
			p.ThreadKnown, p.ThreadFound, p.ThreadCommand, p.ThreadTime, p.ThreadState = true, true, "Query", 3*s, "updating"
		}, `and the connection's thread is still there: Query for 3 s, "updating".`, "no more"},
		{"sleeps", out(), func(p *PostMortem) { p.ThreadKnown, p.ThreadFound, p.ThreadCommand = true, true, "Sleep" }, "the connection's thread is still there: Sleep for 0 s.", "KILL it if"},
		{"gone", out(), func(p *PostMortem) { p.ThreadKnown = true }, "and the connection's thread is gone.", "still"},
		{"offline", out(), func(p *PostMortem) { p.Offline, p.ReadOnly = true, true }, "It is in offline mode.", "read only"},
		{"read only", out(), func(p *PostMortem) { p.ReadOnly = true }, "It is read only.", "offline"},
		{"connect_timeout", login(1159, 2, 1, 3*s, time.Millisecond), func(*PostMortem) {}, "connect_timeout (7 s on this server) only hides it", "10 s by default"},
		{"net_write_timeout", with(out(), func(e *Evidence) {
			e.ServerError = srv(erWriteInterrupted, "Got timeout writing communication packets")
		}), func(*PostMortem) {}, "net_write_timeout (61 s on this server)", "60 s by default"},
		{"wait_timeout", farewell(4031, 0), func(*PostMortem) {}, "wait_timeout (1234 s on this server; a session may have its own)", "28800"},
		{"not asked", out(), func(p *PostMortem) { *p = PostMortem{} }, "", "Asked"},
	} {
		without := Diagnose(&tt.e)
		e := tt.e
		e.PostMortem = up
		tt.p(&e.PostMortem)
		d := Diagnose(&e)
		if d.Slug != without.Slug || d.Executed != without.Executed || d.RetrySafe != without.RetrySafe || d.Severity != without.Severity {
			t.Errorf("%s: %+v, and without the server %+v", tt.name, d, without)
		}
		all := d.Explanation + " " + d.Advice
		if !strings.Contains(all, tt.says) {
			t.Errorf("%s: %s\nwant: %s", tt.name, all, tt.says)
		}
		if strings.Contains(strings.TrimPrefix(d.Explanation, without.Explanation)+d.Advice, tt.never) {
			t.Errorf("%s: it says %q: %s", tt.name, tt.never, all)
		}
		if runs := strings.Contains(d.Advice, "The statement still runs there"); runs != (tt.name == "runs on") {
			t.Errorf("%s: %s", tt.name, d.Advice)
		}
		if got := e.PostMortem.String(); (got == "") != !e.PostMortem.Asked {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// What a server did not tell is not told as 0.
func TestPostMortemOfAServerThatTellsLittle(t *testing.T) {
	p := PostMortem{Asked: true, UptimeKnown: true, Uptime: time.Minute, WaitTimeout: 90 * time.Second}
	if got, want := p.String(), "up for 60 s; wait_timeout 90 s; Aborted_clients 0, Aborted_connects 0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (&PostMortem{Asked: true}).String(); got != "answers" {
		t.Errorf("%q", got)
	}
}
