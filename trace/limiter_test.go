package trace

import (
	"fmt"
	"testing"
	"time"
)

func TestLimiterIsBounded(t *testing.T) {
	var l limiter
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for i := range 5 * limitKeys {
		l.allow(fmt.Sprint("server", i), "idle_timeout", now)
	}
	if n := len(l.buckets); n > limitKeys+1 {
		t.Errorf("%d buckets, want at most %d", n, limitKeys+1)
	}
	if _, pass := l.allow("yet another", "idle_timeout", now); pass {
		t.Error("beyond the bound each server has a share of its own")
	}
	// Those that fell silent make room.
	now = now.Add(limitRefill)
	if _, pass := l.allow("yet another", "idle_timeout", now); !pass {
		t.Error("the room of servers that fell silent is not used again")
	}
	if n := len(l.buckets); n != 1 {
		t.Errorf("%d buckets after the silence, want 1", n)
	}
}

// A clock that goes back must not stop the reports for good.
func TestLimiterClockGoesBack(t *testing.T) {
	var l limiter
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for range limitBurst + 1 {
		l.allow("db", "idle_timeout", now)
	}
	now = now.Add(-time.Hour)
	if _, pass := l.allow("db", "idle_timeout", now); pass {
		t.Error("a clock that goes back fills the bucket")
	}
	if dropped, pass := l.allow("db", "idle_timeout", now.Add(limitEvery)); !pass || dropped != 2 {
		t.Errorf("after the clock went back: dropped %d, pass %v", dropped, pass)
	}
}
