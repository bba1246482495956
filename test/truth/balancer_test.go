package truth_test

import (
	"net"
	"sync"
	"testing"
	"time"
)

// balancer stands in front of a server as a balancer or proxy of layer 4 does: it passes bytes, and ends connections.
type balancer struct {
	addr    string
	backend string
	// limit, if there is one, is how long the server may let a client wait, from hold on: a login may take longer on a busy machine.
	limit time.Duration

	mu    sync.Mutex
	holds bool
	pairs map[*pair]bool
}

// pair is one connection through it.
type pair struct {
	client, server net.Conn
	timer          *time.Timer
	waiting        bool // the client has spoken last
}

func newBalancer(t *testing.T, backend string, limit time.Duration) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{addr: l.Addr().String(), backend: backend, limit: limit, pairs: map[*pair]bool{}}
	t.Cleanup(func() {
		_ = l.Close()
		b.end(func(*pair) bool { return true }, false)
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.DialTimeout("tcp", backend, 10*time.Second)
			if err != nil {
				_ = c.Close()
				continue
			}
			b.serve(&pair{client: c, server: s})
		}
	}()
	return b
}

func (b *balancer) serve(p *pair) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pairs[p] = true
	if b.limit > 0 {
		p.timer = time.AfterFunc(time.Hour, func() { b.end(func(q *pair) bool { return q == p }, false) })
	}
	go b.pump(p, p.client, p.server, true)
	go b.pump(p, p.server, p.client, false)
}

func (b *balancer) pump(p *pair, from, to net.Conn, client bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			b.mu.Lock()
			p.waiting = client
			if p.timer != nil && b.holds {
				if client {
					p.timer.Reset(b.limit)
				} else {
					p.timer.Stop()
				}
			}
			b.mu.Unlock()
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			b.end(func(q *pair) bool { return q == p }, false)
			return
		}
	}
}

// hold begins to hold clients to the limit.
func (b *balancer) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holds = true
}

// end closes connections, with a reset or without.
func (b *balancer) end(which func(*pair) bool, reset bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.pairs {
		if !which(p) {
			continue
		}
		for _, c := range []net.Conn{p.client, p.server} {
			if tcp, ok := c.(*net.TCPConn); ok && reset {
				_ = tcp.SetLinger(0)
			}
			_ = c.Close()
		}
		if p.timer != nil {
			p.timer.Stop()
		}
		delete(b.pairs, p)
	}
}

// endIdle closes those on which nothing is outstanding.
func (b *balancer) endIdle(reset bool) { b.end(func(p *pair) bool { return !p.waiting }, reset) }
