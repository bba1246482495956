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
