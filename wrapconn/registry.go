package wrapconn

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strings"
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

// Connections returns what the guarded connections of this process are at, those
// of one server or, for "", of all; sorted by server, then by the server's id of
// them. limit bounds the list, 0 does not. servers says how many connections
// there are of each server, whatever was asked for.
//
// Each connection is held up for as long as it takes to copy its history, and
// not while another one is looked at.
func Connections(server string, limit int) (list []Snapshot, servers map[string]int) {
	// What is compared is copied: a sort that goes back to ten thousand
	// connections waits for memory most of the time.
	type candidate struct {
		server string
		id     uint32
		conn   *Conn
	}
	conns := registered()
	found := make([]candidate, 0, len(conns))
	servers = map[string]int{}
	last, n := "", 0 // most come from the same server as the one before
	for _, c := range conns {
		if s := c.opts.Server; s != last {
			servers[last] += n
			last, n = s, 0
		}
		n++
		if server == "" || server == c.opts.Server {
			found = append(found, candidate{c.opts.Server, c.id(), c})
		}
	}
	servers[last] += n
	if servers[""] == 0 {
		delete(servers, "")
	}
	slices.SortFunc(found, func(a, b candidate) int {
		if o := strings.Compare(a.server, b.server); o != 0 {
			return o
		}
		if o := cmp.Compare(a.id, b.id); o != 0 {
			return o
		}
		return a.conn.start.Compare(b.conn.start)
	})
	if limit > 0 && len(found) > limit {
		found = found[:limit]
	}
	list = make([]Snapshot, len(found))
	for i := range found {
		list[i] = found[i].conn.Snapshot()
	}
	return list, servers
}

// detached is a copy without the contexts: those may hold a whole request, and
// what is kept of it must not.
func (r *Report) detached() *Report {
	kept := *r
	kept.Context = context.Background()
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
