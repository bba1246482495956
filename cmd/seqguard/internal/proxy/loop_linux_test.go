package proxy

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// flood is a server that answers a ping, and anything else with size bytes.
func flood(t *testing.T, size int) string {
	t.Helper()
	return mysqltest.Accept(t, func(c net.Conn) {
		if !letIn(c) {
			return
		}
		for b := make([]byte, 64); ; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			say := pongPacket
			if !bytes.Equal(b[:n], pingPacket) {
				say = bytes.Repeat([]byte("x"), size)
			}
			if _, err := c.Write(say); err != nil {
				return
			}
		}
	}).Addr().String()
}

// TestSlowClientAlone: a client that does not take what it has asked for keeps nobody
// waiting who has the same loop, and misses nothing.
func TestSlowClientAlone(t *testing.T) {
	const size = 32 << 20 // more than the kernel takes on the way
	p, addr := startProxy(t, Config{Server: flood(t, size), OnReport: func(*report.Violation) {}})
	slow, others := dialLogin(t, addr), []net.Conn{}
	for range 2 * runtime.GOMAXPROCS(0) {
		others = append(others, dialLogin(t, addr))
	}
	_, _ = slow.Write([]byte("flood"))
	stuck := func() (n int) {
		for _, s := range p.list() {
			s.mu.Lock()
			k := s.link
			s.mu.Unlock()
			done := make(chan struct{})
			k.loop.do(func() { n += len(k.client.out); close(done) })
			<-done
		}
		return n
	}
	eventually(t, func() bool { return stuck() > 0 }, "the client's socket is never full")
	for _, c := range others {
		for range 10 {
			ping(t, c)
		}
		_ = c.Close()
	}
	if n, err := io.CopyN(io.Discard, slow, size); err != nil {
		t.Errorf("%d bytes of %d: %v", n, size, err)
	}
	_ = slow.Close()
}

// TestReceiverThatBlocks: who is told of violations may wait for as long as it likes.
func TestReceiverThatBlocks(t *testing.T) {
	release, told := make(chan struct{}), make(chan struct{}, 16)
	_, addr := startProxy(t, Config{Server: flood(t, 10), OnReport: func(*report.Violation) { told <- struct{}{}; <-release }})
	bad, good := dialLogin(t, addr), dialLogin(t, addr)
	_, _ = bad.Write(bytes.Repeat(pingPacket, 2)) // two commands at once
	<-told
	ping(t, good)
	close(release)
	_, _ = bad.Close(), good.Close()
}

// TestLoopsEnd: behind the proxy no descriptor is left open.
func TestLoopsEnd(t *testing.T) {
	var p *Proxy
	t.Run("served", func(t *testing.T) {
		var addr string
		p, addr = startProxy(t, Config{Server: flood(t, 10)})
		for range 3 {
			c := dialLogin(t, addr)
			ping(t, c)
			t.Cleanup(func() { _ = c.Close() })
		}
		if len(p.loops.all) == 0 {
			t.Error("no loop was used")
		}
	})
	for _, l := range p.loops.all {
		eventually(t, func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.closed
		}, "a loop does not end")
		if l.load != 0 || len(l.sockets) != 0 {
			t.Errorf("%d connections, %d sockets left", l.load, len(l.sockets))
		}
	}
	if p.loops.get() != nil {
		t.Error("a loop was started behind the end")
	}
}

// TestDuplicate: what is no plain socket is left to goroutines.
func TestDuplicate(t *testing.T) {
	a, b := net.Pipe()
	defer func() { _, _ = a.Close(), b.Close() }()
	if _, ok := duplicate(a); ok {
		t.Error("a pipe in memory has a descriptor")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fd, ok := duplicate(c)
	if !ok {
		t.Fatal("a TCP socket was not duplicated")
	}
	if flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0); errno != 0 || flags&syscall.O_NONBLOCK == 0 {
		t.Errorf("flags %#x, %v", flags, errno)
	}
	_ = syscall.Close(fd)
	_ = c.Close()
	if _, ok := duplicate(c); ok {
		t.Error("a closed socket was duplicated")
	}
}
