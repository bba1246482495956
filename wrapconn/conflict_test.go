package wrapconn

import (
	"context"
	"fmt"
	"testing"
)

// busy is a connection whose history is full, with an operation under way.
func busy(t testing.TB, history int) *Conn {
	c, m := loggedIn(t, Options{History: history, CallSites: true})
	m.discard = true
	x, buf := selectOne(), make([]byte, 1<<16)
	if _, err := c.Begin(context.Background(), OpQuery); err != nil {
		t.Fatal(err)
	}
	for range history {
		_, _ = c.Write(x.parts[0].bytes)
		m.queue = [][]byte{x.parts[1].bytes}
		_, _ = c.Read(buf)
	}
	return c
}

// A refusal made its report, 48 µs and 9 KB of it, 176 µs and 235 KB with a long history, under the lock of the one who uses the
// connection rightly. What is left there is a copy.
func TestFault1_06RefusalHoldsNobodyUp(t *testing.T) {
	for _, history := range []int{64, MaxHistory} {
		c := busy(t, history)
		if n := testing.AllocsPerRun(20, func() { c.scene() }); n > 1 {
			t.Errorf("history of %d: %v allocations under the lock, want 1", history, n)
		}
		_, err := c.Begin(context.Background(), OpExec)
		refused, ok := err.(*OwnershipError)
		if !ok {
			t.Fatalf("a second operation: %v", err)
		}
		if r := refused.Report; len(r.History) != history || r.Forgotten == 0 || r.Connection == 0 || r.Owner == nil || r.Intruder == nil {
			t.Errorf("history of %d: the report has %d entries, %d forgotten, connection %d, %v, %v",
				history, len(r.History), r.Forgotten, r.Connection, r.Owner, r.Intruder)
		}
	}
}

// scene is the part of a refusal that the owner may have to wait for.
func BenchmarkRefusal(b *testing.B) {
	for _, history := range []int{64, MaxHistory} {
		b.Run(fmt.Sprintf("history=%d/whole", history), func(b *testing.B) {
			c := busy(b, history)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Begin(context.Background(), OpExec); err == nil {
					b.Fatal("not refused")
				}
			}
		})
		b.Run(fmt.Sprintf("history=%d/locked", history), func(b *testing.B) {
			c := busy(b, history)
			b.ReportAllocs()
			for b.Loop() {
				c.scene()
			}
		})
	}
}
