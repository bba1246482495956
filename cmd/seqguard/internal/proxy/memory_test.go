package proxy

import (
	"context"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// login, and the OK that ends it, as a client that is not Go would send it.
var (
	greetingPacket = mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{}))
	loginPacket    = func() []byte {
		caps := uint32(mysqltest.DefaultCapabilities) | 1<<9
		p := make([]byte, 32)
		for i := range 4 {
			p[i] = byte(caps >> (8 * i))
		}
		return mysqltest.Packet(1, append(p, "shop\x00\x00"...))
	}()
	okPacket   = mysqltest.Packet(2, mysqltest.OKPayload(0, 0, 2, 0))
	pingPacket = mysqltest.Packet(0, []byte{0x0e})
	pongPacket = mysqltest.Packet(1, mysqltest.OKPayload(0, 0, 2, 0))
)

// fakeServer answers a login and then pings, each connection on a goroutine.
func fakeServer(t testing.TB) string {
	t.Helper()
	return mysqltest.Accept(t, func(c net.Conn) {
		_, _ = c.Write(greetingPacket)
		b := make([]byte, len(loginPacket))
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		_, _ = c.Write(okPacket)
		for b = b[:len(pingPacket)]; ; {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			if _, err := c.Write(pongPacket); err != nil {
				return
			}
		}
	}).Addr().String()
}

// letIn is the server's side of a login.
func letIn(c net.Conn) bool {
	_, _ = c.Write(greetingPacket)
	if _, err := io.ReadFull(c, make([]byte, len(loginPacket))); err != nil {
		return false
	}
	_, err := c.Write(okPacket)
	return err == nil
}

// startProxy serves until the test ends.
func startProxy(t testing.TB, cfg Config) (*Proxy, string) {
	t.Helper()
	p := New(cfg)
	return p, serve(t, p)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serve(t testing.TB, p *Proxy) (address string) { return serveOn(t, p, listen(t)) }

func serveOn(t testing.TB, p *Proxy, l net.Listener) (address string) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func dialLogin(t testing.TB, addr string) net.Conn {
	t.Helper()
	return dialLoginWith(t, &net.Dialer{}, addr)
}

func dialLoginWith(t testing.TB, d *net.Dialer, addr string) net.Conn {
	t.Helper()
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 1024)
	if _, err := io.ReadFull(c, b[:len(greetingPacket)]); err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write(loginPacket)
	if _, err := io.ReadFull(c, b[:len(okPacket)]); err != nil {
		t.Fatal(err)
	}
	return c
}

func ping(t testing.TB, c net.Conn) {
	t.Helper()
	b := make([]byte, len(pongPacket))
	_, _ = c.Write(pingPacket)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until ok, for as long as a busy machine may need.
func eventually(t *testing.T, ok func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) { // between two looks
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// TestIdleMemory: what an idle connection costs the proxy, goroutines included where it has some.
func TestIdleMemory(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	server := fakeServer(t)
	_, addr := startProxy(t, Config{Server: server})
	var conns []net.Conn
	t.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	use := func() uint64 {
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	// Connections past the proxy first: what the two ends in this process cost.
	cost := func(addr string) uint64 {
		first := len(conns)
		before := use()
		for range n {
			conns = append(conns, dialLogin(t, addr))
		}
		for _, c := range conns[first:] {
			ping(t, c)
		}
		return (use() - before) / uint64(n)
	}
	direct := cost(server)
	through := cost(addr)
	per := int64(through) - int64(direct)
	t.Logf("an idle connection takes %d bytes (%d through the proxy, both ends included, %d without it)", per, through, direct)
	most := int64(20 << 10)
	if runtime.GOOS == "linux" { // no goroutines
		most = 6 << 10
	}
	if per > most {
		t.Errorf("an idle connection takes %d bytes, more than %d", per, most)
	}
}
