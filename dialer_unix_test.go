//go:build unix

package seqguard

import (
	"context"
	"net"
	"syscall"
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// The driver switches keep-alive on for a *net.TCPConn only, and ours is none.
func TestKeepAlive(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &dialer{ctx: context.Background(), opt: wrapconn.Options{Operations: true},
		dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nd := net.Dialer{KeepAlive: -1} // off: the default is on
			c, err := nd.DialContext(ctx, network, addr)
			if err == nil && keepAlive(t, c) {
				t.Error("keep-alive is on before it is switched on: the test shows nothing")
			}
			return c, err
		}}
	c, err := d.dialContext(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !keepAlive(t, c) {
		t.Error("keep-alive is off")
	}
}

func keepAlive(t *testing.T, c net.Conn) bool {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var on int
	var opt error
	if err := raw.Control(func(fd uintptr) { on, opt = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE) }); err != nil || opt != nil {
		t.Fatal(err, opt)
	}
	return on != 0
}
