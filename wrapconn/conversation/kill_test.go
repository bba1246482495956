package conversation

import (
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// A client's wish to have a connection killed is told, as libraries send it.
func TestKillsAreTold(t *testing.T) {
	for payload, want := range map[string]uint32{
		"\x03KILL 57": 57, "\x03\x00\x01KILL 57": 57, "\x03kill connection 4294967295;": 1<<32 - 1, "\x0c\x39\x00\x00\x00": 57,
		"\x03KILL QUERY 57": 0, "\x03KILL ": 0, "\x03KILL x": 0, "\x03KILLER 57": 0, "\x0c\x39": 0, "\x03": 0, "\x0e": 0,
		"\x03KILL 57 and a command that is longer than what is seen of it": 0,
	} {
		for _, cut := range []int{0, 1, 5} {
			var got []Kill
			start := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
			c := New(Config{
				Start: start, Client: cause.Client{Address: "10.0.0.7:4711"}, Vantage: cause.VantageProxy,
				OnKill: func(k Kill) { got = append(got, k) },
			})
			for _, p := range append(plainLogin(), fromClient(0, []byte(payload))) {
				for b := p.bytes; len(b) > 0; {
					n := len(b)
					if cut > 0 {
						n = min(n, cut)
					}
					c.Bytes(p.dir, b[:n], time.Second)
					b = b[n:]
				}
			}
			if want == 0 {
				if len(got) > 0 {
					t.Errorf("%q: told %+v", payload, got)
				}
				continue
			}
			if len(got) != 1 || got[0].Connection != want || got[0].By.User != "user" || got[0].By.Address != "10.0.0.7:4711" || got[0].Time != start.Add(time.Second) {
				t.Errorf("%q cut to %d: told %+v", payload, cut, got)
			}
		}
	}
}
