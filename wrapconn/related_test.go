package wrapconn

import (
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/witness"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// A report waits while the event that it is about goes on, and not for ever.
func TestReportWaitsWhileOthersEnd(t *testing.T) {
	const server = "underway.test:3306"
	met := time.Now()
	ms := func(n int) time.Time { return met.Add(time.Duration(n) * time.Millisecond) }
	ended := func(n int) *Report {
		return &Report{Time: ms(n), Server: server, Connected: ms(-5000),
			Evidence: cause.Evidence{Stream: cause.StreamEOF}, end: observed.Ended(server, witness.End{At: ms(n)})}
	}
	first := ended(0)
	if at := first.underWay(ms(300)); at.After(ms(300)) {
		t.Errorf("alone, it waits until %v", at.Sub(met))
	}
	for _, n := range []int{200, 450, 700, 950, 1190} {
		ended(n)
		want := min(n+300, 1200)
		if at := first.underWay(ms(n + 5)); !at.Equal(ms(want)) {
			t.Errorf("after an end at %d ms it waits until %v, want %d ms", n, at.Sub(met), want)
		}
	}
	if at := first.underWay(ms(1200)); at.After(ms(1200)) {
		t.Errorf("after the longest time it waits until %v", at.Sub(met))
	}
	// It is not asked for a connection that did not end.
	if at := (&Report{Time: ms(0), Server: server}).underWay(ms(1)); !at.IsZero() {
		t.Errorf("without an end it waits until %v", at.Sub(met))
	}
}
