package wrapconn

import (
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestPlaceOf: the innermost function outside of the standard library. Functions of
// this package count as the guard's.
func TestPlaceOf(t *testing.T) {
	stack := func(f func(record func())) []uintptr {
		var pcs [64]uintptr
		n := 0
		f(func() { n = runtime.Callers(1, pcs[:]) })
		return pcs[:n]
	}
	p := placeOf(stack(func(record func()) {
		var once sync.Once
		once.Do(record)
	}))
	if !p.inGuard || p.inIO {
		t.Errorf("%+v", p)
	}
	if p := placeOf(nil); p != (whereIs{}) {
		t.Errorf("%+v", p)
	}
	for name, want := range map[string]bool{
		"sync.(*Mutex).Lock": true, "time.Sleep": true, "internal/poll.(*FD).Read": true, "runtime.gopark": true, "crypto/tls.(*Conn).Read": true,
		"main.main": false, "github.com/a/b.F": false, "shop.(*Cache).fill": false, "timeless/sync.F": false, "": false,
	} {
		if isStandard(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	if got := shortFunction("github.com/a/shop.(*Cache).fill"); got != "shop.(*Cache).fill" {
		t.Error(got)
	}
}

// TestIsLate: a server that waits for its client is looked after, and no other.
func TestIsLate(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*Conn)
		want bool
	}{
		{"nobody reads", func(*Conn) {}, true},
		{"a read is under way", func(c *Conn) { c.reading.Store(true) }, false},
		{"a write is under way", func(c *Conn) { c.writing.Store(true) }, false},
		{"no operation", func(c *Conn) { c.owner.end(false) }, false},
		{"switched off", func(c *Conn) { c.opts.NoStacks = true }, false},
		{"no call sites", func(c *Conn) { c.opts.CallSites = false }, false},
		{"closed", func(c *Conn) { c.closed.Store(true) }, false},
		{"seen already", func(c *Conn) { c.sighted.Store(&sighting{looks: 1}) }, false},
		{"a moment ago", func(c *Conn) { c.start = time.Now() }, false},
	} {
		here, there := net.Pipe()
		c := New(here, Options{CallSites: true, Operations: true})
		if _, err := c.Begin(t.Context(), OpConnect); err != nil {
			t.Fatal(err)
		}
		c.start = time.Now().Add(-2 * time.Second) // as old as that, and in the phase of the greeting
		tt.set(c)
		if got := c.isLate(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		_, _ = here.Close(), there.Close()
	}
}

// TestWhereabouts: of another operation than the one under way, nothing is known.
func TestWhereabouts(t *testing.T) { synctest.Test(t, testWhereabouts) }

func testWhereabouts(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	c := New(here, Options{CallSites: true, Operations: true})
	defer c.Close()
	if w := c.whereabouts(); w != "" {
		t.Error(w)
	}
	if _, err := c.Begin(t.Context(), OpQuery); err != nil {
		t.Fatal(err)
	}
	c.sighted.Store(&sighting{began: c.owner.started(), where: "shop.fill (shop/cache.go:1)"})
	if w := c.whereabouts(); !strings.Contains(w, "shop.fill") {
		t.Errorf("%q", w)
	}
	c.End(false)
	time.Sleep(time.Millisecond) // of the bubble's clock
	if _, err := c.Begin(t.Context(), OpQuery); err != nil {
		t.Fatal(err)
	}
	if w := c.whereabouts(); w != "" {
		t.Errorf("of an operation that is over: %q", w)
	}
}

// TestFindAmongSeveral: of goroutines that are alike, none is named unless all are in
// the same place.
func TestFindAmongSeveral(t *testing.T) {
	type list = [][]uintptr
	record := func() []uintptr {
		var pcs [32]uintptr
		return pcs[:runtime.Callers(2, pcs[:])]
	}
	worker := func() (first, second, third []uintptr) {
		first = record()
		second = record()
		third = record()
		return first, second, third
	}
	began, here, there := worker()
	place := func(pcs []uintptr) whereIs { // the functions of this package would be the guard's
		return whereIs{where: map[uintptr]string{here[0]: "shop.fill", there[0]: "shop.list"}[pcs[0]], inGuard: true}
	}
	if where := find(list{here}, began, true, place); where == "" {
		t.Error("one goroutine, and it is not found")
	}
	if where := find(list{here, here}, began, true, place); where == "" {
		t.Error("two in the same place, and it is not known which")
	}
	if where := find(list{here, there}, began, true, place); where != "" {
		t.Errorf("one of two, in different places: %s", where)
	}
	if where := find(list{here}, began, false, place); where != "" {
		t.Errorf("it is in a call to the guard, and nobody is there: %s", where)
	}
	if where := find(nil, began, true, place); where != "" {
		t.Error(where)
	}
}

// TestLookedForAgain: a goroutine that was not found is looked for again, but not for ever.
func TestLookedForAgain(t *testing.T) {
	own, peer := net.Pipe()
	defer func() { _ = peer.Close() }()
	c := New(own, Options{Operations: true, CallSites: true})
	defer func() { _ = c.Close() }()
	if taken, err := c.Begin(t.Context(), OpConnect); !taken || err != nil {
		t.Fatal(err)
	}
	c.start = time.Now().Add(-5 * time.Second)
	looks := 0
	for ; c.isLate() && looks < 100; looks++ {
		c.lookAt(nil)
	}
	if looks != 1+misses {
		t.Errorf("it was looked for %d times, want %d", looks, 1+misses)
	}
}
