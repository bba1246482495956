package wrapconn

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

func partOf(all []glimpse, o *OverviewOptions) []glimpse {
	p := newSelection(o, len(all))
	for i := range all {
		p.add(&all[i])
	}
	return p.sorted()
}

// Whatever part is asked for, it is what a sort of all has there.
func TestOverviewParts(t *testing.T) {
	const n = 57
	var conns []*Conn
	for i := range n {
		c := New(&queueConn{}, Options{Server: fmt.Sprintf("%s-%d", t.Name(), i%3)})
		conns = append(conns, c)
		defer c.Close()
	}
	var all []glimpse
	for i, c := range conns {
		g := c.glimpse(time.Now())
		g.use, g.since, g.id = Use(i%int(NumUses)), time.Duration(i*7919%13), uint32(i*31%17)
		all = append(all, g)
	}
	for _, byID := range []bool{false, true} {
		want := slices.Clone(all)
		slices.SortFunc(want, func(a, b glimpse) int { return a.compare(&b, byID) })
		for _, o := range []OverviewOptions{{Limit: 1}, {Limit: 10}, {Skip: 5, Limit: 10}, {Skip: 50, Limit: 10}, {Limit: n}, {Limit: 1000}, {Skip: 5, Limit: math.MaxInt}, {Skip: n, Limit: 1}, {Skip: -3, Limit: 2}, {}} {
			o.ByID = byID
			got := partOf(all, &o)
			from := min(max(o.Skip, 0), n)
			part := want[from : from+min(n-from, o.Limit)]
			if len(got) != len(part) {
				t.Fatalf("%+v: %d, want %d", o, len(got), len(part))
			}
			for i := range got {
				if got[i].conn != part[i].conn {
					t.Errorf("%+v: number %d is another", o, i)
				}
			}
		}
	}
	// What somebody looks for comes first.
	best := partOf(all, &OverviewOptions{Limit: n})
	for i := 1; i < n; i++ {
		if a, b := best[i-1], best[i]; a.rank() < b.rank() || a.rank() == b.rank() && a.since < b.since {
			t.Errorf("%v for %v comes before %v for %v", a.use, a.since, b.use, b.since)
		}
	}
}

// A report whose name changes when the others are known is counted with its new like.
func TestRememberedSettles(t *testing.T) {
	at := time.Now()
	make := func(slug string, end uint64, after time.Duration) *Report {
		r := &Report{Server: "db", Time: at.Add(after), end: end}
		r.Cause.Slug = "closed_before_answer"
		if slug != "" {
			r.Cause.Slug = "ended_together"
		}
		return r
	}
	var m remembered
	first := []*Report{make("", 1, 0), make("", 2, time.Second), make("", 3, 2*time.Second)}
	for _, r := range first {
		m.keep(r)
	}
	count := func(want ...string) {
		t.Helper()
		var got []string
		for _, r := range m.last() {
			got = append(got, fmt.Sprintf("%s %d %v %v", r.Cause.Slug, r.Count, r.First.Sub(at), r.Time.Sub(at)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	count("closed_before_answer 3 0s 2s")
	m.settle(first[0], make("together", 1, 0))
	count("closed_before_answer 2 0s 2s", "ended_together 1 0s 0s")
	m.settle(first[2], make("together", 3, 2*time.Second))
	count("ended_together 2 0s 2s", "closed_before_answer 1 0s 2s")
	m.settle(first[1], make("", 2, time.Second)) // it keeps its name
	count("ended_together 2 0s 2s", "closed_before_answer 1 0s 2s")
	m.settle(first[1], make("together", 2, time.Second))
	count("ended_together 3 0s 2s")
	m.settle(make("", 9, 0), make("together", 9, 0)) // not remembered
	count("ended_together 3 0s 2s")
}

// Of each connection the last packets come, and how many there were before them.
func TestOverviewPackets(t *testing.T) {
	c, _ := loggedIn(t, Options{Server: t.Name()})
	defer c.Close()
	whole := c.Snapshot()
	if len(whole.History) < 3 || whole.Forgotten != 0 {
		t.Fatalf("%d packets, %d forgotten: the test is wrong", len(whole.History), whole.Forgotten)
	}
	for packets, want := range map[int]int{0: len(whole.History), 1: 1, 2: 2, 1000: len(whole.History)} {
		o := LookAt(OverviewOptions{Server: t.Name(), Limit: 1, Packets: packets})
		if len(o.Connections) != 1 {
			t.Fatalf("%d connections", len(o.Connections))
		}
		s := o.Connections[0]
		older := len(whole.History) - want
		if !slices.Equal(s.History, whole.History[older:]) || s.Forgotten != uint64(older) {
			t.Errorf("with %d: %d packets, %d forgotten", packets, len(s.History), s.Forgotten)
		}
	}
}
