package wrapconn

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// loggedInOver returns a guarded connection over a real socket whose login is
// over, what the client has of it, and the server's end.
func loggedInOver(t *testing.T) (*Conn, net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	inner, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	c := New(inner, Options{})
	nc := c.NetConn()
	buf := make([]byte, 1<<12)
	for _, s := range loginSegments() {
		if s.dir == session.FromClient {
			if _, err := nc.Write(s.bytes); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if _, err := server.Write(s.bytes); err != nil {
			t.Fatal(err)
		}
		if n, err := nc.Read(buf); n != len(s.bytes) || err != nil {
			t.Fatalf("Read: %d, %v; want %d", n, err, len(s.bytes))
		}
	}
	return c, nc, server
}

// looks reports whether a look of the client through nc gets to the socket.
func looks(t *testing.T, nc net.Conn) (asked bool) {
	t.Helper()
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(uintptr) bool { asked = true; return true }); err != nil {
		return true // the socket's own error
	}
	return asked
}

// The client's look is answered for the guard's own, once, and only if that has
// seen an open socket with nothing waiting.
func TestVouch(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, c *Conn, nc, server net.Conn)
		asks bool
	}{
		{"a look without a Check", func(*testing.T, *Conn, net.Conn, net.Conn) {}, true},
		{"a Check, but no Vouch", func(_ *testing.T, c *Conn, _, _ net.Conn) { _ = c.Check() }, true},
		{"a Vouch, but no Check", func(_ *testing.T, c *Conn, _, _ net.Conn) { c.Vouch() }, true},
		{"Check and Vouch", func(_ *testing.T, c *Conn, _, _ net.Conn) { _ = c.Check(); c.Vouch() }, false},
		{"the second look", func(t *testing.T, c *Conn, nc, _ net.Conn) {
			_ = c.Check()
			c.Vouch()
			if looks(t, nc) {
				t.Error("the first look got to the socket")
			}
		}, true},
		{"after Unvouch", func(_ *testing.T, c *Conn, _, _ net.Conn) { _ = c.Check(); c.Vouch(); c.Unvouch() }, true},
		{"a second Vouch", func(_ *testing.T, c *Conn, _, _ net.Conn) { _ = c.Check(); c.Vouch(); c.Unvouch(); c.Vouch() }, true},
		{"bytes wait", func(t *testing.T, c *Conn, nc, server net.Conn) {
			_, _ = server.Write([]byte{1})
			await(t, c)
			c.Vouch()
		}, true},
		{"the peer has hung up", func(t *testing.T, c *Conn, nc, server net.Conn) {
			_ = server.Close()
			await(t, c)
			c.Vouch()
		}, true},
		{"this side has hung up", func(_ *testing.T, c *Conn, nc, _ net.Conn) { _ = c.Check(); c.Vouch(); _ = nc.Close() }, true},
		{"this side had hung up", func(_ *testing.T, c *Conn, nc, _ net.Conn) { _ = nc.Close(); _ = c.Check(); c.Vouch() }, true},
		{"an answer is outstanding", func(t *testing.T, c *Conn, nc, _ net.Conn) {
			if _, err := nc.Write(selectOne().parts[0].bytes); err != nil {
				t.Fatal(err)
			}
			_ = c.Check()
			c.Vouch()
		}, true},
		{"the packets are not seen", func(t *testing.T, c *Conn, _, _ net.Conn) {
			c.mu.Lock()
			c.talk.Opaque("for the test", c.now())
			c.unlock()
			_ = c.Check()
			c.Vouch()
		}, true},
		{"a deadline that has passed", func(_ *testing.T, c *Conn, nc, _ net.Conn) {
			_ = nc.SetReadDeadline(time.Now().Add(-time.Second))
			_ = c.Check()
			c.Vouch()
		}, true},
		{"a deadline to come", func(_ *testing.T, c *Conn, nc, _ net.Conn) {
			_ = nc.SetDeadline(time.Now().Add(-time.Second))
			_ = c.Check()
			c.Vouch()
			_ = nc.SetReadDeadline(time.Now().Add(time.Hour)) // as go-sql-driver does with readTimeout
		}, false},
		{"a deadline that was taken back", func(_ *testing.T, c *Conn, nc, _ net.Conn) {
			_ = nc.SetReadDeadline(time.Now().Add(-time.Second))
			_ = nc.SetReadDeadline(time.Time{})
			_ = c.Check()
			c.Vouch()
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, nc, server := loggedInOver(t)
			tt.do(t, c, nc, server)
			if asked := looks(t, nc); asked != tt.asks {
				t.Errorf("the look got to the socket: %v, want %v", asked, tt.asks)
			}
		})
	}
}

// await waits for what is on its way, and has Check find it.
func await(t *testing.T, c *Conn) {
	t.Helper()
	one := make([]byte, 1)
	if err := c.raw.Read(func(fd uintptr) bool { // it is called again when there is something to read
		_, err := peekFD(fd, one)
		return !errors.Is(err, syscall.EAGAIN)
	}); err != nil {
		t.Fatal(err)
	}
	if c.Check() == nil {
		t.Fatal("Check finds nothing")
	}
}
