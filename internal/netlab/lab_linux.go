package netlab

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Lab are two namespaces and the wire between them.
type Lab struct {
	wire           wire
	client, server *space
	mu             sync.Mutex
	conns          map[net.Conn]bool
}

// The addresses of the two ends, in namespaces of their own.
const (
	clientAddr = "10.99.0.1"
	serverAddr = "10.99.0.2"
)

// New makes a lab that ends with the test, or skips the test.
func New(t testing.TB) *Lab {
	t.Helper()
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			unavailable(t, err)
		}
	}
	client, err := newSpace(clientAddr)
	if err != nil {
		unavailable(t, err)
	}
	server, err := newSpace(serverAddr)
	if err != nil {
		client.close()
		unavailable(t, err)
	}
	l := &Lab{client: client, server: server, conns: map[net.Conn]bool{}}
	l.wire.run(client.tun, server.tun)
	t.Cleanup(func() {
		l.mu.Lock()
		for c := range l.conns {
			c.Close()
		}
		l.mu.Unlock()
		client.close()
		server.close()
	})
	l.NFT(t, "add table inet lab")
	l.NFT(t, "add chain inet lab in { type filter hook input priority 0 ; }")
	return l
}

// unavailable skips a test, loudly: what is not tested, and how to get what it
// takes. With SEQGUARD_REQUIRE_KERNEL=1 it fails.
func unavailable(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("SEQGUARD_REQUIRE_KERNEL") == "1" {
		t.Fatalf("no network namespaces: %v", err)
	}
	t.Skipf("NOT TESTED with faults of a real network: %v. It takes Linux, root (in a container: --cap-add NET_ADMIN,SYS_ADMIN --device /dev/net/tun) and: apt-get install iproute2 nftables", err)
}

// Delay sets the time that a packet takes in each direction from now on.
func (l *Lab) Delay(d time.Duration) { l.wire.delay.Store(int64(d)) }

// Lose drops every packet from now on, in both directions, without a word; or
// ends that.
func (l *Lab) Lose(all bool) { l.wire.lost.Store(all) }

// LoseAnswers drops what the server sends, acknowledgements included.
func (l *Lab) LoseAnswers(all bool) { l.wire.deaf.Store(all) }

// NFT gives a command to nft in the server's namespace. The chain "inet lab in"
// sees what arrives there; Port is the word of a rule about a port.
func (l *Lab) NFT(t testing.TB, command string) {
	t.Helper()
	var out []byte
	err := l.server.do(func() (err error) {
		out, err = exec.Command("nft", command).CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("netlab: nft %s: %v\n%s", command, err, out)
	}
}

// Listen listens in the server's namespace.
func (l *Lab) Listen(t testing.TB) net.Listener {
	t.Helper()
	var ln net.Listener
	err := l.server.do(func() (err error) {
		ln, err = net.Listen("tcp4", serverAddr+":0")
		return err
	})
	if err != nil {
		t.Fatalf("netlab: %v", err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// Forward makes a server of this machine (host:port) reachable in the server's
// namespace and returns the address. What ends the TCP connections there is this
// process: it acknowledges what it has not handed on yet, as a proxy does.
func (l *Lab) Forward(t testing.TB, backend string) string {
	t.Helper()
	ln := l.Listen(t)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go l.forward(c, backend)
		}
	}()
	return ln.Addr().String()
}

func (l *Lab) forward(c net.Conn, backend string) {
	b, err := net.Dial("tcp", backend)
	if err != nil {
		c.Close()
		return
	}
	l.keep(c)
	l.keep(b)
	pump := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if err != nil {
			to.(*net.TCPConn).SetLinger(0)
			to.Close()
			return
		}
		to.(*net.TCPConn).CloseWrite()
	}
	go pump(b, c)
	pump(c, b)
}

func (l *Lab) keep(c net.Conn) {
	l.mu.Lock()
	l.conns[c] = true
	l.mu.Unlock()
}

// Dial connects from the client's namespace.
func (l *Lab) Dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	err = l.client.do(func() error {
		var d net.Dialer
		c, err = d.DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

// space is a network namespace, held by the thread that made it.
type space struct {
	tun   *os.File
	calls chan func()
	once  sync.Once
}

// do runs f on the thread of the namespace: sockets that it makes and programs
// that it starts belong there.
func (s *space) do(f func() error) error {
	done := make(chan error, 1)
	s.calls <- func() { done <- f() }
	return <-done
}

func (s *space) close() {
	s.once.Do(func() {
		close(s.calls)
		s.tun.Close()
	})
}

func newSpace(addr string) (*space, error) {
	s := &space{calls: make(chan func())}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and the namespace
		// with it and its sockets.
		runtime.LockOSThread()
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			s.tun, err = openTun("lab")
		}
		if err == nil {
			err = run("ip", "addr", "add", addr+"/24", "dev", "lab")
		}
		if err == nil {
			err = run("ip", "link", "set", "lab", "up")
		}
		ready <- err
		if err != nil {
			return
		}
		for f := range s.calls {
			f()
		}
	}()
	return s, <-ready
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// wire carries IP packets between two namespaces.
type wire struct {
	delay      atomic.Int64
	lost, deaf atomic.Bool
}

func (w *wire) run(client, server *os.File) {
	go w.carry(server, client, false)
	go w.carry(client, server, true)
}

func (w *wire) carry(to, from *os.File, back bool) {
	type late struct {
		at time.Time
		b  []byte
	}
	queue := make(chan late, 4096) // in order, as on a wire
	go func() {
		for p := range queue {
			time.Sleep(time.Until(p.at)) // the way takes so long
			_, _ = to.Write(p.b)
		}
	}()
	defer close(queue)
	for buf := make([]byte, 65536); ; {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if w.lost.Load() || back && w.deaf.Load() {
			continue
		}
		select {
		case queue <- late{time.Now().Add(time.Duration(w.delay.Load())), append([]byte(nil), buf[:n]...)}:
		default: // full, as a router's
		}
	}
}
