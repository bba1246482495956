package wrapconn

import (
	"context"
	"math"
	"runtime"
	"sync"
	"weak"
)

// registry holds the connections that were made and not closed. It is touched
// by New and Close and by who asks for a list, never by a Read, a Write or an
// operation. It holds nobody: a connection that is dropped without a Close is
// collected, and takes its entry along.
var registry = struct {
	mu    sync.Mutex
	conns map[weak.Pointer[Conn]]*place
}{conns: map[weak.Pointer[Conn]]*place{}}

func register(c *Conn) {
	w := weak.Make(c)
	c.place = newPlace()
	registry.mu.Lock()
	registry.conns[w] = c.place
	registry.mu.Unlock()
	runtime.AddCleanup(c, unregister, w)
}

func unregister(w weak.Pointer[Conn]) {
	registry.mu.Lock()
	p := registry.conns[w]
	delete(registry.conns, w)
	registry.mu.Unlock()
	if p != nil {
		p.move(placeGone)
	}
}

// registered returns the connections that are alive, in no order.
func registered() []*Conn {
	registry.mu.Lock()
	weaks := make([]weak.Pointer[Conn], 0, len(registry.conns))
	for w := range registry.conns {
		weaks = append(weaks, w)
	}
	registry.mu.Unlock()
	conns := make([]*Conn, 0, len(weaks))
	for _, w := range weaks {
		if c := w.Value(); c != nil {
			conns = append(conns, c)
		}
	}
	return conns
}

// Connections returns snapshots of the guarded connections of this process: those
// of one server, or all if server is "", sorted by server and then by the server's
// connection id. limit bounds the list; 0 means no limit. servers has the number of
// connections of each server, whatever was selected.
//
// Connections locks one connection at a time, for as long as it takes to copy its
// history.
func Connections(server string, limit int) (list []Snapshot, servers map[string]int) {
	if limit <= 0 {
		limit = math.MaxInt32
	}
	o := LookAt(OverviewOptions{Server: server, Limit: limit, ByID: true})
	return o.Connections, o.Servers
}

// detached is a copy without the contexts: those may hold a whole request, and
// what is kept of it must not.
func (r *Report) detached() *Report {
	kept := *r
	kept.Context, kept.inquire = context.Background(), nil
	kept.Owner, kept.Intruder = r.Owner.detached(), r.Intruder.detached()
	return &kept
}

// detached is a copy without the context.
func (o *Operation) detached() *Operation {
	if o == nil {
		return nil
	}
	d := *o
	d.Context = context.Background()
	return &d
}
