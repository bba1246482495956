package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// side is one end of a connection through the relay.
type side int

const (
	client side = iota
	server
)

// packet is one that passes: its header and what it announces. The relay reads
// packets and not TLS records or compressed frames.
type packet struct {
	from  side
	n     int    // number of the packet from this side, from 0: the greeting, the login, …
	bytes []byte // with the header
}

func (p packet) seq() byte       { return p.bytes[3] }
func (p packet) payload() []byte { return p.bytes[4:] }

// fault is what goes wrong on a relay's connections. The zero value is nothing.
type fault struct {
	// instead, if not nil, serves the client in place of the server.
	instead func(*link)
	// pass, if not nil, returns what goes on in place of the packet.
	pass func(*link, packet) []byte
}

// relay stands between clients and a server.
type relay struct {
	addr     string
	listener net.Listener
	dial     func() (net.Conn, error)
	fault    fault
	last     atomic.Pointer[link]
	running  sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
}

func newRelay(dial func() (net.Conn, error), f fault) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{addr: l.Addr().String(), listener: l, dial: dial, fault: f}
	r.running.Go(r.accept)
	return r, nil
}

func (r *relay) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.running.Go(func() { r.serve(c) })
	}
}

func (r *relay) serve(c net.Conn) {
	l := &link{client: c, gate: make(chan struct{})}
	defer l.open()
	r.keep(c)
	defer c.Close()
	r.last.Store(l)
	if r.fault.instead != nil {
		r.fault.instead(l)
		l.hangUp()
		return
	}
	s, err := r.dial()
	if err != nil {
		return
	}
	r.keep(s)
	defer s.Close()
	l.server = s
	var up sync.WaitGroup
	up.Go(func() {
		_ = l.pump(client, c, r.fault.pass)
		_ = s.Close()
		l.open()
	})
	if err := l.pump(server, s, r.fault.pass); errors.Is(err, syscall.ECONNRESET) {
		l.reset() // MariaDB says goodbye in this way
	} else {
		l.hangUp()
	}
	up.Wait()
}

// keep remembers what close has to close.
func (r *relay) keep(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.running.Wait()
}

// link is one connection through the relay.
type link struct {
	client, server net.Conn
	writing        sync.Mutex // of the client's side: packets must not mix
	mu             sync.Mutex
	answer         []byte      // of the server since the client's last packet
	late           *time.Timer // of impatient
	mark           string
	gate           chan struct{}
	opening        sync.Once
	apart          atomic.Bool // after replay: each answer comes by itself
}

// open opens the gate, at which a fault may hold packets.
func (l *link) open() { l.opening.Do(func() { close(l.gate) }) }

// setMark tells the application something about what passed.
func (l *link) setMark(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark = s
}

func (l *link) getMark() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mark
}

// pump moves packets until one side ends.
func (l *link) pump(from side, in net.Conn, pass func(*link, packet) []byte) error {
	for n := 0; ; n++ {
		b := make([]byte, 4, 512)
		if _, err := io.ReadFull(in, b); err != nil {
			return err
		}
		b = append(b, make([]byte, int(b[0])|int(b[1])<<8|int(b[2])<<16)...)
		if _, err := io.ReadFull(in, b[4:]); err != nil {
			return err
		}
		l.record(from, b)
		if pass != nil {
			b = pass(l, packet{from, n, b})
		}
		if from == server {
			if l.apart.Load() && b[3] == 1 {
				// Together with the stale one it would end in the driver's buffer, and the story in "busy buffer".
				time.Sleep(arrival)
			}
			l.send(b)
		} else if _, err := l.server.Write(b); err != nil {
			return err
		}
	}
}

func (l *link) record(from side, b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from == client {
		l.answer = nil
		return
	}
	l.answer = append(l.answer, b...)
}

// send sends bytes to the client.
func (l *link) send(b []byte) {
	l.writing.Lock()
	defer l.writing.Unlock()
	_, _ = l.client.Write(b)
}

// replay sends the server's last answer once more.
func (l *link) replay() {
	l.mu.Lock()
	b := l.answer
	l.mu.Unlock()
	l.apart.Store(true)
	l.send(b)
	time.Sleep(arrival) // the client has it before its next command
}

// hangUp ends the server's side as MySQL does: what was sent can still be read,
// then comes the end. What the client still says is thrown away.
func (l *link) hangUp() {
	if c, ok := l.client.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, l.client)
}

// reset ends the client's side without ceremony.
func (l *link) reset() {
	if c, ok := l.client.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	_ = l.client.Close()
}

// cut ends both sides at once.
func (l *link) cut() {
	_ = l.client.Close()
	if l.server != nil {
		_ = l.server.Close()
	}
}

// arrival is how long bytes may take over the loopback interface.
const arrival = 30 * time.Millisecond

// errPacket builds an ERR. The greeting's kind has no SQLSTATE.
func errPacket(seq byte, code uint16, state, message string) []byte {
	b := []byte{0xff, byte(code), byte(code >> 8)}
	if state != "" {
		b = append(append(b, '#'), state...)
	}
	b = append(b, message...)
	return append([]byte{byte(len(b)), byte(len(b) >> 8), 0, seq}, b...)
}
