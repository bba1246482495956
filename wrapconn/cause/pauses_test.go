package cause

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// A process that SIGSTOP stops while it is in a Read of a result reads on when the server has given up (MariaDB 11.8, net_write_timeout=1): no pause
// between two reads is seen, and the kernel knows for how long the last bytes lay there. Behind a relay that keeps the rows they have just come.
func TestStoppedInARead(t *testing.T) {
	const s = time.Second
	for name, at := range map[string]struct {
		change func(*Evidence)
		told   bool
	}{
		"stopped":          {func(*Evidence) {}, true},
		"just come":        {func(e *Evidence) { e.Transport.SinceData = 300 * time.Millisecond }, false},
		"read long ago":    {func(e *Evidence) { e.SinceRead = 3 * s }, false},
		"kernel is mute":   {func(e *Evidence) { e.Transport = Transport{} }, false},
		"beside the proxy": {func(e *Evidence) { e.Client, e.Vantage = Client{Address: "10.0.0.7:4711"}, VantageProxy }, false},
	} {
		e := Evidence{
			Phase: session.PhaseRows, Command: session.ComQuery, Violation: session.Truncated, Stream: StreamReset, InsidePacket: true, AnswerStarted: true, Pending: 1, Commands: 3,
			Client: Client{Local: true}, Age: 10 * s, SinceCommand: 3700 * time.Millisecond, LongestReadGap: 19 * time.Millisecond, SinceRead: 5 * time.Millisecond,
			Transport: Transport{Known: true, State: TCPClosed, SinceData: 3116 * time.Millisecond, SinceAck: 3116 * time.Millisecond},
		}
		at.change(&e)
		d := Diagnose(&e)
		if told := slices.Contains(d.Alternatives, "slow_reader") && strings.Contains(d.Explanation, "had been here for 3.1 s when this process read it"); d.Slug != "connection_lost_mid_answer" || told != at.told {
			t.Errorf("%s: %s, %v: %s", name, d.Slug, d.Alternatives, d.Explanation)
		}
	}
}

// A process without a processor notices late that a time limit is over. What came in between came too late, and the server is to blame.
func TestAnswerBehindTheLimit(t *testing.T) {
	const ms = time.Millisecond
	for name, at := range map[string]struct {
		since, overdue time.Duration
		known          bool
		slug           Slug
	}{
		"in time":                    {2900 * ms, 2 * time.Second, true, "read_too_late"},
		"at the end of the limit":    {600 * ms, 605 * ms, true, "read_too_late"},
		"when the limit was over":    {300 * ms, 800 * ms, true, "peer_unresponsive"},
		"the kernel does not tell":   {0, 800 * ms, false, "read_too_late"},
		"noticed at once, just come": {0, ms, true, "read_too_late"},
	} {
		e := with(out(), func(e *Evidence) {
			e.Stream, e.Late, e.SinceCommand, e.Overdue = StreamTimeout, true, 1800*ms, at.overdue
			e.Transport = Transport{Known: at.known, Written: 200, Acked: 200, SinceData: at.since}
		})
		d := Diagnose(&e)
		behind := at.slug != "read_too_late"
		if d.Slug != at.slug || behind != slices.Contains(d.Alternatives, "read_too_late") || behind != strings.Contains(d.Explanation, "had come when the limit was over") ||
			behind == strings.Contains(d.Advice, "The server and the network are not to blame") || behind && e.Pause() != 0 {
			t.Errorf("%s: %s, %v: %s %s", name, d.Slug, d.Alternatives, d.Explanation, d.Advice)
		}
	}
}

// A server that is stopped within the handshake of TLS has the ClientHello and refuses nothing: nobody is sent to compare certificates, or to make it smaller.
func TestServerStoppedInTheHandshake(t *testing.T) {
	const ms = time.Millisecond
	e := Evidence{
		Phase: session.PhaseTLS, Violation: session.Truncated, Stream: StreamTimeout, Client: Client{Local: true}, CommandBytes: 36 + 1483,
		Age: 1009 * ms, GreetingAfter: 8 * ms, GreetingTimed: true, OwnPause: 8 * ms, Idle: 996 * ms,
		Transport: Transport{Known: true, Written: 1519, Acked: 1519, SinceData: 1008 * ms, SinceAck: 996 * ms},
	}
	d := Diagnose(&e)
	if d.Slug != "tls_failed" || !strings.Contains(d.Explanation, "it has this side's part of the handshake and does not answer") || !strings.HasPrefix(d.Advice, "Look at the server: it was stopped or hangs") || strings.Contains(d.Do, "certificates") {
		t.Errorf("%s: %s %s %s", d.Slug, d.Explanation, d.Advice, d.Do)
	}
	e.Transport.Acked, e.Transport.Unanswered = 36, 3
	if d := Diagnose(&e); !strings.Contains(d.Advice, "an MTU that swallows larger ones") {
		t.Errorf("lost on the way: %s %s", d.Explanation, d.Advice)
	}
	e.ClientAlert = "bad certificate"
	if d := Diagnose(&e); strings.Contains(d.Explanation, "acknowledged") {
		t.Errorf("refused here: %s", d.Explanation)
	}
}
