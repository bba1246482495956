package wrapconn

import (
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

func TestTimeline(t *testing.T) {
	start := time.Unix(100, 0)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	r := Report{Connected: start, Forgotten: 7, History: []HistoryEntry{
		{Time: at(time.Millisecond), Direction: session.FromClient, Kind: session.KindCommand, Command: session.ComQuery, Count: 1, Bytes: 9},
		{Time: at(2 * time.Millisecond), Kind: session.KindRow, First: 3, Last: 46, Count: 300, Bytes: 3000},
		{Time: at(3 * time.Second), Kind: session.KindERR, ErrorCode: 1317, First: 9, Last: 9, Count: 1, Bytes: 12, Violation: session.MisnumberedError},
		{Time: at(3 * time.Second), Kind: session.KindERR, First: 0, Count: 1, Violation: session.Malformed},
	}}
	r.Evidence.Expected = 47
	lines := strings.Split(strings.TrimSuffix(r.Timeline(), "\n"), "\n")
	for i, want := range [][]string{
		{"… 7 earlier packets"},
		{"+0.001000", "──▶", "seq 0", "COM_QUERY", "9 bytes"},
		{"+0.002000", "◀──", "seq 3…46", "rows × 300", "3000 bytes"},
		{"+3.000000", "seq 9", "ERR 1317", "← misnumbered ERR, 47 was due"},
		{"ERR ", "← malformed packet"},
	} {
		for _, w := range want {
			if i >= len(lines) || !strings.Contains(lines[i], w) {
				t.Errorf("line %d has no %q:\n%s", i, w, strings.Join(lines, "\n"))
			}
		}
	}
}

// Options bound the history.
func TestHistoryOption(t *testing.T) {
	for given, want := range map[int]int{-1: DefaultHistory, 0: DefaultHistory, 1: 1, 200: 200, MaxHistory + 1: MaxHistory} {
		c, m := loggedIn(t, Options{History: given})
		for range want {
			pass(t, c, m, []segment{fromClient(0, []byte("\x19\x01\x00\x00\x00"))}, whole)
		}
		if s := c.Snapshot(); len(s.History) != want || s.Forgotten != 3 {
			t.Errorf("History %d: %d entries, %d forgotten", given, len(s.History), s.Forgotten)
		}
	}
}
