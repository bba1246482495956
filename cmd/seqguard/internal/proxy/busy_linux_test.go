package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// smallBuffers accepts connections to which the kernel takes little at once.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		_ = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return c, err
}

// TestBusyUntilTaken: a connection is busy for as long as its client has not taken the
// whole answer; what ends idle connections must not cut it off.
func TestBusyUntilTaken(t *testing.T) {
	const size = 24 << 10 // less than is read at once, and more than the kernel takes
	answer := mysqltest.Packet(1, []byte{1})
	answer = append(answer, mysqltest.Packet(2, mysqltest.ColumnPayload(mysqltest.Column{Name: "x"}))...)
	answer = append(answer, mysqltest.Packet(3, mysqltest.TextRowPayload(strings.Repeat("x", size)))...)
	answer = append(answer, mysqltest.Packet(4, mysqltest.ResultEndPayload(2, 0))...)
	query := mysqltest.Packet(0, []byte("\x03SELECT x"))
	server := mysqltest.Accept(t, func(c net.Conn) {
		if !letIn(c) {
			return
		}
		if _, err := io.ReadFull(c, make([]byte, len(query))); err != nil {
			return
		}
		_, _ = c.Write(answer)
		_, _ = io.Copy(io.Discard, c)
	}).Addr().String()
	for _, how := range []string{"loops", "goroutines"} {
		t.Run(how, func(t *testing.T) {
			p, c := narrow(t, server, how == "goroutines")
			_, _ = c.Write(query)
			s := p.list()[0]
			answered := func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				st := s.talk.State()
				return st.Commands == 1 && st.Phase == session.PhaseReady && st.Received >= size
			}
			eventually(t, answered, "the answer does not come")
			if s.idle() {
				t.Error("idle, although the client has not taken the answer")
			}
			if _, err := io.CopyN(io.Discard, c, int64(len(answer))); err != nil {
				t.Error(err)
			}
			eventually(t, s.idle, "busy, although the client has taken the answer")
			_ = c.Close()
		})
	}
}

// TestCloseWhileDialing: the end of the proxy waits for no dial.
func TestCloseWhileDialing(t *testing.T) {
	var lines sync.Map
	p := New(Config{Server: "127.0.0.1:1", DialTimeout: time.Hour, Log: func(format string, _ ...any) { lines.Store(format, true) }})
	dialing := make(chan struct{})
	p.dialer.ControlContext = func(ctx context.Context, _, _ string, _ syscall.RawConn) error {
		close(dialing)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
			return errors.New("nobody ended the dial")
		}
	}
	l := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, l) }() // without a time of grace
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	<-dialing
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for the dial")
	}
	if n := p.Counters.Failed.Load(); n != 0 {
		t.Errorf("%d failures of the server are counted", n)
	}
	lines.Range(func(format, _ any) bool {
		t.Errorf("logged: %s", format)
		return true
	})
}

// TestFaultContained: a panic where a violation is told ends nobody's connection.
func TestFaultContained(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	told := make(chan string, 16)
	first := true
	p, addr := startProxy(t, Config{
		Server: flood(t, 10),
		OnReport: func(v *report.Violation) {
			if first {
				first = false
				panic("on purpose")
			}
			told <- string(v.Cause.Slug)
		},
		Log: func(format string, _ ...any) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, format)
		},
	})
	for i := range 2 {
		bad := dialLogin(t, addr)
		_, _ = bad.Write(append(append([]byte(nil), pingPacket...), pingPacket...)) // two commands at once
		eventually(t, func() bool { return p.Counters.Violations.Load() > uint64(i) }, "no violation")
		_ = bad.Close()
	}
	if slug := <-told; slug == "" { // whichever: it came behind the panic
		t.Error("a violation without a cause is told")
	}
	mu.Lock()
	n := len(lines)
	mu.Unlock()
	if n == 0 {
		t.Error("the panic is not logged")
	}
	// A connection without a server has no addresses: to tell of it panics.
	(&conn{p: p}).tell(conversation.Finding{}, traceIDs{})
}

// TestLogThatBlocks: a log that nobody reads keeps no client waiting, nor the next one.
func TestLogThatBlocks(t *testing.T) {
	release := make(chan struct{})
	p, addr := startProxy(t, Config{Server: "127.0.0.1:1", Log: func(string, ...any) { <-release }})
	defer close(release)
	for range 3 {
		if c, err := net.Dial("tcp", addr); err == nil {
			if e := readAll(c); e.got != "" {
				t.Errorf("%q", e.got)
			}
			_ = c.Close()
		}
	}
	eventually(t, func() bool { return p.open() == 0 }, "clients without a server are kept")
}

// TestLookWhileBeginning: the live page and the end of idle connections may come at
// any moment of a connection.
func TestLookWhileBeginning(t *testing.T) {
	p, addr := startProxy(t, Config{Server: fakeServer(t)})
	over := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				p.look()
				for _, s := range p.list() {
					s.idle()
				}
			}
		}
	})
	for range 200 {
		c := dialLogin(t, addr)
		ping(t, c)
		_ = c.Close()
	}
	close(over)
	looking.Wait()
	eventually(t, func() bool { return p.open() == 0 }, "connections are left")
	if n := p.seen.Load(); n != 200 {
		t.Errorf("%d commands were seen", n)
	}
}

// fewFiles is a listener in a process that has no descriptor left, once.
type fewFiles struct {
	net.Listener
	over atomic.Bool
}

func (l *fewFiles) Accept() (net.Conn, error) {
	if !l.over.Swap(true) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// TestOutOfDescriptors: without a descriptor the proxy waits, says what to do, and goes
// on.
func TestOutOfDescriptors(t *testing.T) {
	said := make(chan string, 16)
	p := New(Config{Server: fakeServer(t), Log: func(format string, args ...any) { said <- fmt.Sprintf(format, args...) }})
	c := dialLogin(t, serveOn(t, p, &fewFiles{Listener: listen(t)}))
	ping(t, c)
	_ = c.Close()
	if line := <-said; !strings.Contains(line, "too many open files") || !strings.Contains(line, "LimitNOFILE") {
		t.Error(line)
	}
}

// narrow is a client that is logged in through a proxy, with small buffers on the way to it.
func narrow(t *testing.T, server string, goroutines bool) (*Proxy, net.Conn) {
	t.Helper()
	p := New(Config{Server: server})
	if goroutines {
		p.loops.stop()
	}
	addr := serveOn(t, p, smallBuffers{listen(t)})
	return p, dialLoginWith(t, &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
	}}, addr)
}
