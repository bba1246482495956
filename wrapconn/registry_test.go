package wrapconn

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// A connection is in the list from New to Close.
func TestRegistered(t *testing.T) {
	c, _ := loggedIn(t, Options{Server: t.Name()})
	list, servers := Connections(t.Name(), 0)
	if len(list) != 1 || servers[t.Name()] != 1 {
		t.Fatalf("%d connections, %v", len(list), servers)
	}
	for range 2 {
		_ = c.Close()
		if list, servers := Connections(t.Name(), 0); len(list) != 0 || servers[t.Name()] != 0 {
			t.Fatalf("after Close: %d connections, %v", len(list), servers)
		}
	}
}

// One that is dropped without a Close is not kept alive, nor is its entry.
func TestRegistryKeepsNobody(t *testing.T) {
	const n = 100
	for range n {
		loggedIn(t, Options{Server: t.Name()})
	}
	entries := func() int {
		registry.mu.Lock()
		defer registry.mu.Unlock()
		left := 0
		for w := range registry.conns {
			if c := w.Value(); c == nil || c.opts.Server == t.Name() {
				left++
			}
		}
		return left
	}
	for until := time.Now().Add(10 * time.Second); entries() > 0; runtime.Gosched() {
		runtime.GC()
		if time.Now().After(until) {
			t.Fatalf("%d of %d entries are still there", entries(), n)
		}
	}
}

// Sorted by server and id, cut behind the sorting, counted before.
func TestConnectionsSorted(t *testing.T) {
	var keep []*Conn
	for _, id := range []uint32{30, 10, 20} {
		for _, server := range []string{"sorted-b", "sorted-a"} {
			m := &queueConn{}
			c := New(m, Options{Server: server})
			pass(t, c, m, []segment{fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{ThreadID: id}))}, whole)
			keep = append(keep, c)
		}
	}
	ids := func(list []Snapshot) (out []string) {
		for _, s := range list {
			if s.Server == "sorted-a" || s.Server == "sorted-b" {
				out = append(out, s.Server[len(s.Server)-1:]+strconv.Itoa(int(s.Connection)))
			}
		}
		return out
	}
	list, servers := Connections("", 0)
	if got, want := ids(list), []string{"a10", "a20", "a30", "b10", "b20", "b30"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	list, servers2 := Connections("sorted-b", 2)
	if got, want := ids(list), []string{"b10", "b20"}; !slices.Equal(got, want) {
		t.Errorf("two of one server: %v, want %v", got, want)
	}
	for _, s := range []map[string]int{servers, servers2} {
		if s["sorted-a"] != 3 || s["sorted-b"] != 3 {
			t.Errorf("counted %v", s)
		}
	}
	for _, c := range keep {
		_ = c.Close()
	}
}

// Layers are known when the login is over.
func TestLayers(t *testing.T) {
	m := &queueConn{}
	c := New(m, Options{})
	defer c.Close()
	login := loginSegments()
	pass(t, c, m, login[:2], whole)
	if l, known := c.layers(); known {
		t.Errorf("before the OK: %+v", l)
	}
	pass(t, c, m, login[2:], whole)
	if l, known := c.layers(); !known || l != (Layers{TLS: cause.TLSNone}) {
		t.Errorf("after the login: %+v, %v", l, known)
	}
	ready, _ := CountOpen()
	if ready[Layers{}] == 0 {
		t.Errorf("it is not among %v", ready)
	}
}

// New, Close and the list may be called from anywhere.
func TestRegistryRace(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				c := New(&queueConn{}, Options{Server: t.Name()})
				Connections(t.Name(), 10)
				CountOpen()
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	if list, _ := Connections(t.Name(), 0); len(list) != 0 {
		t.Errorf("%d are left", len(list))
	}
}

// The newest come first, the oldest go, and no context is kept.
func TestLastReports(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "a request")
	c, _ := loggedIn(t, Options{Server: t.Name(), CallSites: true})
	defer c.Close()
	if _, err := c.Begin(ctx, OpQuery); err != nil {
		t.Fatal(err)
	}
	const n = maxRemembered + 3
	for i := range n {
		// Of each line there are three, and each server is another likeness.
		c.opts.Server = fmt.Sprint(t.Name(), i)
		for range 3 {
			if _, err := c.Begin(ctx, OpExec); err == nil {
				t.Fatal("an overlap was let in")
			}
		}
	}
	c.End(false)
	last := LastReports()
	if len(last) != maxRemembered {
		t.Fatalf("%d reports", len(last))
	}
	for i, r := range last {
		if r.Server != fmt.Sprint(t.Name(), n-1-i) || r.Intruder.Kind != OpExec || r.Count != 3 || !r.First.Before(r.Time) {
			t.Errorf("report %d: %s, intruder %s, %d times, %v to %v", i, r.Server, r.Intruder, r.Count, r.First, r.Time)
		}
		for _, ctx := range []context.Context{r.Context, r.Owner.Context, r.Intruder.Context} {
			if ctx == nil || ctx.Value(key{}) != nil {
				t.Fatalf("report %d holds a context: %v", i, ctx)
			}
		}
	}
}

// What the registry adds to the making of a connection.
func BenchmarkNewClose(b *testing.B) {
	inner := &queueConn{}
	b.ReportAllocs()
	for b.Loop() {
		_ = New(inner, Options{}).Close()
	}
}

// Each connection is counted in one place: where it logs in, then by its layers,
// then nowhere, and it does not come back.
func TestPlaces(t *testing.T) {
	unusual := Layers{TLS: cause.TLSOpaque, Compressed: true}
	at := func() int { ready, _ := CountOpen(); return ready[unusual] }
	before := at()
	p := newPlace()
	for _, step := range []struct{ to, want int }{
		{placeGone - 1, before + 1}, {placeGone - 1, before + 1}, {1, before}, {placeGone - 1, before + 1},
		{placeGone, before}, {placeGone - 1, before}, {placeGone, before},
	} {
		if p.move(step.to); at() != step.want {
			t.Fatalf("after a move to %d: %d, want %d", step.to, at(), step.want)
		}
	}
	// A connection that hides its packets is moved; one that is closed is gone.
	m := &queueConn{}
	c := New(m, Options{})
	pass(t, c, m, loginSegments(), whole)
	if got := c.place.at.Load(); got != 1 {
		t.Errorf("after a login in plaintext: place %d", got)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := c.place.at.Load(); int(got) != placeGone {
		t.Errorf("after Close: place %d", got)
	}
}
