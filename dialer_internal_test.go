package seqguard

import (
	"context"
	"crypto/tls"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// The driver looks at a connection's liveness through SyscallConn. Without it
// the check is left out silently, and an error of it kills the connection: it
// must be there exactly if the inner connection has it.
func TestDialedSyscallConn(t *testing.T) {
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	for _, tt := range []struct {
		name  string
		inner net.Conn
		has   bool
	}{
		{"tcp", listened(t, "tcp", "127.0.0.1:0"), true},
		{"unix", listened(t, "unix", filepath.Join(t.TempDir(), "s")), true},
		{"pipe", pipe, false},
		{"TLS of the user's own", tls.Client(listened(t, "tcp", "127.0.0.1:0"), &tls.Config{ServerName: "db"}), false},
	} {
		d := &dialer{ctx: context.Background(), opt: wrapconn.Options{Operations: true},
			dial: func(context.Context, string, string) (net.Conn, error) { return tt.inner, nil }}
		c, err := d.dialContext(context.Background(), "any", "any")
		if err != nil {
			t.Fatal(err)
		}
		sc, ok := c.(syscall.Conn)
		if ok != tt.has {
			t.Errorf("%s: SyscallConn %v, want %v", tt.name, ok, tt.has)
		}
		if ok {
			if raw, err := sc.SyscallConn(); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			} else if err := raw.Read(func(uintptr) bool { return true }); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	}
}

// listened is a connection to a listener of its own.
func listened(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
