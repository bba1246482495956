package report

import (
	"testing"
	"time"
)

// A connection of which two things are told is not its own company.
func TestFailures(t *testing.T) {
	var f Failures
	now := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		server     string
		connection int
		after      time.Duration
		others     int
	}{
		{"db:3306", 1, 0, 0},
		{"db:3306", 1, 10 * time.Millisecond, 0}, // its end, behind the ERR
		{"db:3306", 2, 20 * time.Millisecond, 1},
		{"db:3306", 1, 30 * time.Millisecond, 1},
		{"db:3307", 3, 30 * time.Millisecond, 0},
		{"db:3306", 4, 500 * time.Millisecond, 2},
		{"db:3306", 5, 1400 * time.Millisecond, 1}, // 4; the others were more than a second ago
		{"db:3306", 6, time.Minute, 0},
	} {
		if others := f.Add(c.server, c.connection, now.Add(c.after)); others != c.others {
			t.Errorf("%d: %d others, want %d", i, others, c.others)
		}
	}
	for i := range 3 * maxFailed {
		f.Add("db:3306", 10+i, now.Add(time.Hour))
		f.Add(time.Duration(i).String(), 1, now)
	}
	if n := len(f.recent["db:3306"]); n > maxFailed || len(f.recent) > maxServers {
		t.Errorf("%d failures of %d servers are kept", n, len(f.recent))
	}
}
