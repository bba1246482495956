package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// reports collects what a proxy tells.
type reports struct {
	mu   sync.Mutex
	list []*report.Violation
}

func (r *reports) add(v *report.Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, v)
}

// lines collects what a proxy logs.
type lines struct {
	mu   sync.Mutex
	list []string
}

func (l *lines) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, fmt.Sprintf(format, args...))
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.list, "\n")
}

func (r *reports) slugs() (s []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.list {
		s = append(s, string(v.Cause.Slug))
	}
	return s
}

// ending is how one end sees a conversation: all bytes, and then what.
type ending struct {
	got   string
	reset bool
}

func readAll(c net.Conn) ending {
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	b, err := io.ReadAll(c)
	return ending{string(b), err != nil && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))}
}

// conversationBytes are what the server says, in answers to the client's packets.
var clientSays = [][]byte{loginPacket, pingPacket, mysqltest.Packet(0, []byte("\x03SELECT 1")), pingPacket}

var serverSays = [][]byte{
	greetingPacket, okPacket, pongPacket,
	bytes.Join([][]byte{
		mysqltest.Packet(1, []byte{1}), mysqltest.Packet(2, mysqltest.ColumnPayload(mysqltest.Column{Name: "1", Type: mysqltest.TypeLongLong})),
		mysqltest.Packet(3, mysqltest.TextRowPayload(1)), mysqltest.Packet(4, mysqltest.ResultEndPayload(2, 0)),
	}, nil),
	pongPacket,
}

// play is a server that cuts what it says behind a byte: with a FIN, or, if it is to
// wait for that long, with a reset.
func play(t *testing.T, cut int, reset time.Duration) net.Listener {
	t.Helper()
	return mysqltest.Accept(t, func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		left := cut
		for i, say := range serverSays {
			if i > 0 {
				if _, err := io.ReadFull(c, make([]byte, len(clientSays[i-1]))); err != nil {
					return
				}
			}
			if left <= len(say) {
				_, _ = c.Write(say[:left])
				if reset > 0 {
					time.Sleep(reset) // the bytes first
					_ = c.(*net.TCPConn).SetLinger(0)
				}
				return
			}
			_, _ = c.Write(say)
			left -= len(say)
		}
	})
}

// converse is a client that says its part and notes all it sees. cut is how many
// bytes it says before it half-closes, -1 for all.
func converse(t *testing.T, addr string, cut int) ending {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if errors.Is(err, syscall.ECONNRESET) {
		return ending{reset: true} // before it had begun to read
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	var got []byte
	for i, say := range serverSays {
		b := make([]byte, len(say))
		n, err := io.ReadFull(c, b)
		got = append(got, b[:n]...)
		if err != nil {
			return ending{string(got), errors.Is(err, syscall.ECONNRESET)}
		}
		if i == len(clientSays) {
			break
		}
		say := clientSays[i]
		if cut >= 0 && cut <= len(say) {
			_, _ = c.Write(say[:cut])
			_ = c.(*net.TCPConn).CloseWrite()
			break
		}
		cut -= len(say)
		_, _ = c.Write(say)
	}
	rest := readAll(c)
	return ending{string(got) + rest.got, rest.reset}
}

func total(b [][]byte) (n int) {
	for _, p := range b {
		n += len(p)
	}
	return n
}

// TestCutEverywhere: wherever either side ends, by a FIN or a reset, the other one
// sees through the proxy what it sees without it, relayed by a loop or by goroutines.
func TestCutEverywhere(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 7
	}
	compare := func(server string, cut int) (differs string) {
		direct := converse(t, server, cut)
		for name, addr := range bothWays(t, Config{Server: server}) {
			if through := converse(t, addr, cut); direct != through {
				return fmt.Sprintf("%d bytes (reset %t) without the proxy, %d (%t) through it, %s",
					len(direct.got), direct.reset, len(through.got), through.reset, name)
			}
		}
		return ""
	}
	// Behind a whole answer the client writes its next packet to a server that is gone: whether it reads the FIN first or the
	// reset that it gets for that is a race, with or without a proxy. A fault is there each time.
	race := map[int]bool{}
	for i := range serverSays {
		race[total(serverSays[:i+1])] = true
	}
	for cut := 0; cut <= total(serverSays); cut += step {
		tries := 1
		if race[cut] {
			tries = 20
		}
		differs := "untried"
		for ; tries > 0 && differs != ""; tries-- {
			differs = compare(play(t, cut, 0).Addr().String(), -1)
		}
		if differs != "" {
			t.Errorf("server cut behind byte %d: %s", cut, differs)
		}
		// A reset overtakes what has not been read by then, with or without a proxy. A busy machine gets more time, a fault none.
		for _, wait := range []time.Duration{2 * time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second} {
			differs := compare(play(t, cut, wait).Addr().String(), -1)
			if differs == "" {
				break
			}
			if t.Logf("server reset %v behind byte %d: %s", wait, cut, differs); wait > time.Second {
				t.Fail()
			}
		}
	}
	server := play(t, 1<<30, 0).Addr().String()
	for cut := 0; cut <= total(clientSays); cut += step {
		if differs := compare(server, cut); differs != "" {
			t.Errorf("client cut behind byte %d: %s", cut, differs)
		}
	}
}

// bothWays starts a proxy that has loops, where there are any, and one without.
func bothWays(t testing.TB, cfg Config) map[string]string {
	t.Helper()
	_, loops := startProxy(t, cfg)
	p := New(cfg)
	p.loops.stop()
	return map[string]string{"loops": loops, "goroutines": serve(t, p)}
}

// TestClientReset: a client that goes away with a reset is gone for the server, too.
func TestClientReset(t *testing.T) {
	came, seen := make(chan string, 2), make(chan ending, 2)
	server := mysqltest.Accept(t, func(c net.Conn) {
		_, _ = c.Write(greetingPacket)
		first := make([]byte, 10)
		n, _ := io.ReadFull(c, first)
		came <- string(first[:n])
		seen <- readAll(c)
	}).Addr().String()
	for name, addr := range bothWays(t, Config{Server: server}) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len(greetingPacket))); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(loginPacket[:10])
		first := <-came // a reset would overtake it
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
		if e := <-seen; !e.reset || e.got != "" || first != string(loginPacket[:10]) {
			t.Errorf("%s: the server saw %q and %+v", name, first, e)
		}
	}
}

// TestNotMySQL: what is not MySQL passes in both directions, whoever begins.
func TestNotMySQL(t *testing.T) {
	server := mysqltest.Accept(t, func(c net.Conn) { _, _ = io.Copy(c, c) }).Addr().String()
	said := strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 100000)
	for name, addr := range bothWays(t, Config{Server: server}) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.WriteString(c, said)
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		if e := readAll(c); e.got != said {
			t.Errorf("%s: %d bytes of %d", name, len(e.got), len(said))
		}
		_ = c.Close()
	}
}

func TestUnixSockets(t *testing.T) {
	dir := t.TempDir()
	backend, front := filepath.Join(dir, "b.sock"), filepath.Join(dir, "f.sock")
	l, err := net.Listen("unix", backend)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = c.Write(greetingPacket)
		b, _ := io.ReadAll(c) // the half-close arrives
		_, _ = fmt.Fprintf(c, "read %d", len(b))
	}()
	fl, err := Listen("unix:" + front)
	if err != nil {
		t.Fatal(err)
	}
	p := New(Config{Server: backend})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Serve(ctx, fl) }()
	c, err := net.Dial("unix", front)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write(loginPacket)
	_ = c.(*net.UnixConn).CloseWrite()
	if e, want := readAll(c), string(greetingPacket)+fmt.Sprintf("read %d", len(loginPacket)); e.got != want {
		t.Errorf("%q, want %q", e.got, want)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHeader(t *testing.T) {
	got := make(chan string, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		b := make([]byte, 200)
		n, _ := c.Read(b)
		got <- string(b[:n])
		_ = c.Close()
	}()
	_, addr := startProxy(t, Config{Server: l.Addr().String(), Header: 1})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, clientPort, _ := net.SplitHostPort(c.LocalAddr().String())
	_, proxyPort, _ := net.SplitHostPort(addr)
	if h, want := <-got, "PROXY TCP4 127.0.0.1 127.0.0.1 "+clientPort+" "+proxyPort+"\r\n"; h != want {
		t.Errorf("%q, want %q", h, want)
	}
	_ = c.Close()
}

// TestLimit: beyond the limit a client gets what a full server says.
func TestLimit(t *testing.T) {
	var said lines
	p, addr := startProxy(t, Config{Server: fakeServer(t), Max: 1, Log: said.add})
	first := dialLogin(t, addr)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	e := readAll(c)
	if !strings.HasPrefix(e.got[4:], "\xff\x10\x04Too many connections") || int(e.got[0]) != len(e.got)-4 {
		t.Errorf("%q", e.got)
	}
	if n := p.Counters.Refused.Load(); n != 1 {
		t.Errorf("%d refused", n)
	}
	want := c.LocalAddr().String() + ": refused with ERR 1040: 1 connections"
	eventually(t, func() bool { return strings.Contains(said.text(), want) }, "it is not said")
	ping(t, first) // the first one is not hurt
	_ = first.Close()
}

// TestGraceful: when the proxy is to end, an idle connection is closed at once, one
// within a command when its answer has come.
func TestGraceful(t *testing.T) {
	server := mysqltest.Accept(t, func(c net.Conn) {
		if letIn(c) {
			_, _ = io.Copy(io.Discard, c) // it answers nothing
		}
	}).Addr().String()
	l := listen(t)
	p := New(Config{Server: server, Grace: time.Minute})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, l) }()
	idle, busy := dialLogin(t, l.Addr().String()), dialLogin(t, l.Addr().String())
	_, _ = busy.Write(mysqltest.Packet(0, []byte("\x03SELECT SLEEP(1)")))
	eventually(t, func() bool {
		var are [2]int // idle and busy
		for _, s := range p.list() {
			if s.idle() {
				are[0]++
			} else {
				are[1]++
			}
		}
		return are == [2]int{1, 1}
	}, "it is not seen who is busy")
	stop()
	if e := readAll(idle); e.got != "" {
		t.Errorf("%q", e.got)
	}
	select {
	case <-done:
		t.Error("it did not wait for the busy connection")
	case <-time.After(100 * time.Millisecond):
	}
	_ = busy.Close()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not end")
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("it still listens")
	}
}

// TestNoServer: a client of a server that is not there is not left waiting.
func TestNoServer(t *testing.T) {
	port, err := mysqltest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p, addr := startProxy(t, Config{Server: fmt.Sprintf("127.0.0.1:%d", port)})
	c, err := net.Dial("tcp", addr)
	if err == nil {
		if e := readAll(c); e.got != "" || !e.reset {
			t.Errorf("%+v", e)
		}
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	if n := p.Counters.Failed.Load(); n != 1 {
		t.Errorf("%d failures counted", n)
	}
}

// TestReport: two commands at once are reported about the client, with the trace
// that its statement carries.
func TestReport(t *testing.T) {
	var r reports
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Write(greetingPacket)
		_, _ = io.ReadFull(c, make([]byte, len(loginPacket)))
		_, _ = c.Write(okPacket)
		_, _ = io.Copy(io.Discard, c) // it answers nothing
		_ = c.Close()
	}()
	p, addr := startProxy(t, Config{Server: l.Addr().String(), OnReport: r.add})
	c := dialLogin(t, addr)
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	q := mysqltest.Packet(0, []byte("\x03SELECT 1 /*traceparent='"+trace+"'*/"))
	busy := func() bool { return !p.list()[0].idle() }
	eventually(t, func() bool { return !busy() }, "the login is not over")
	_, _ = c.Write(q)
	eventually(t, busy, "the first command is not seen")
	_, _ = c.Write(q)
	eventually(t, func() bool { return len(r.slugs()) > 0 }, "nothing is told")
	if s := fmt.Sprint(r.slugs()); !strings.HasPrefix(s, "[concurrent_use") {
		t.Fatalf("told: %s", s)
	}
	v := r.list[0]
	if v.Client().User != "shop" || v.Client().Address != c.LocalAddr().String() || v.TraceID != trace[3:35] || v.ParentID != trace[36:52] {
		t.Errorf("%+v, trace %s, parent %s", v.Client(), v.TraceID, v.ParentID)
	}
	// A reload closes what its reader has opened, so it can be switched off.
	for query, reloads := range map[string]bool{"": true, "?refresh=0": false} {
		w := httptest.NewRecorder()
		p.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/"+query, nil))
		page := w.Body.String()
		if strings.Contains(page, "http-equiv=refresh") != reloads || strings.Contains(page, `href="?refresh=0"`) != reloads {
			t.Errorf("%q: it reloads, or offers to: want %t", query, reloads)
		}
		for _, want := range []string{"trace " + trace[3:35], "docs/causes.md#concurrent_use"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
	}
	for _, format := range []string{"", "?format=json"} {
		w := httptest.NewRecorder()
		p.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/"+format, nil))
		for _, want := range []string{"concurrent_use", "shop", c.LocalAddr().String()} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("page%s lacks %q", format, want)
			}
		}
	}
	_ = c.Close()
}

func TestLimiter(t *testing.T) {
	l := newLimiter()
	now := time.Now()
	passed := 0
	for range 1000 {
		if ok, _ := l.take("a", now); ok {
			passed++
		}
	}
	if passed != burst {
		t.Errorf("%d of 1000 in one moment", passed)
	}
	if ok, dropped := l.take("a", now.Add(time.Second)); !ok || dropped != 1000-burst {
		t.Errorf("%t, %d dropped", ok, dropped)
	}
}

// TestSlowReader: a client that does not read is known by what it does not take; one
// that waits for a slow server is not.
func TestSlowReader(t *testing.T) {
	const pause = 1200 * time.Millisecond
	row := mysqltest.TextRowPayload(strings.Repeat("x", 1<<20))
	for _, slow := range []bool{true, false} {
		var r reports
		var written atomic.Int32 // rows
		server := mysqltest.Accept(t, func(c net.Conn) {
			if !letIn(c) {
				return
			}
			_, _ = io.ReadFull(c, make([]byte, 4+9))
			_, _ = c.Write(mysqltest.Packet(1, []byte{1}))
			_, _ = c.Write(mysqltest.Packet(2, mysqltest.ColumnPayload(mysqltest.Column{Name: "1", Type: mysqltest.TypeLongLong})))
			for i := range 24 { // more than the kernel takes on the way
				if i == 1 && !slow {
					time.Sleep(pause) // the fault
				}
				if _, err := c.Write(mysqltest.Packet(uint8(3+i), row)); err != nil {
					return
				}
				written.Add(1)
			}
			_, _ = c.Write(mysqltest.Packet(27, row)[:1000]) // a server that gives up does so while it writes
		}).Addr().String()
		_, addr := startProxy(t, Config{Server: server, OnReport: r.add})
		c := dialLogin(t, addr)
		_, _ = c.Write(mysqltest.Packet(0, []byte("\x03SELECT x")))
		if slow {
			// From when the way is full: a busy machine needs its time for that.
			eventually(t, func() bool { return written.Load() > 0 }, "not a row goes")
			for before := int32(-1); before != written.Load(); {
				before = written.Load()
				<-time.After(200 * time.Millisecond)
			}
			time.Sleep(pause) // the fault
		}
		if e := readAll(c); len(e.got) < 24<<20 {
			t.Fatalf("%d bytes", len(e.got))
		}
		_ = c.Close()
		eventually(t, func() bool { return len(r.slugs()) > 0 }, "nothing is told")
		s := r.slugs()
		if len(s) != 1 {
			t.Fatalf("told: %s", s)
		}
		e := &r.list[0].Finding.Evidence
		if slow != (e.LongestReadGap >= time.Second) {
			t.Errorf("slow %t: the client paused for %s", slow, e.LongestReadGap)
		}
		want := "connection_lost_mid_answer"
		if slow && e.LongestReadGap > e.SinceCommand/2 { // on a busy machine the rest takes longer
			want = "slow_reader"
		}
		if s[0] != want {
			t.Errorf("told: %s, want %s", s, want)
		}
	}
}
