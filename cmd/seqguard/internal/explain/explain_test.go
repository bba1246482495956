package explain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture/capturetest"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/reassemble"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/internal/version"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
)

// script is a connection, written into a capture.
type script struct {
	t      testing.TB
	ends   [2]capture.Addr
	next   [2]uint32
	at     int64
	frames [][]byte
	times  []int64
	trip   [2]int64 // SYN → SYN/ACK, SYN/ACK → ACK
}

const (
	client = iota
	server
)

func addr(last byte, port uint16) capture.Addr {
	return capture.Addr{IP: [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: last}, Port: port}
}

func newScript(t testing.TB, port uint16, trip [2]int64) *script {
	return newScriptFrom(t, 40000, port, trip)
}

func newScriptFrom(t testing.TB, own, port uint16, trip [2]int64) *script {
	s := &script{t: t, ends: [2]capture.Addr{addr(7, own), addr(9, port)}, next: [2]uint32{1000, 5000}, at: 1_764_000_000e9, trip: trip}
	s.send(client, capture.SYN, nil)
	s.at += trip[0]
	s.send(server, capture.SYN|capture.ACK, nil)
	s.at += trip[1]
	s.send(client, capture.ACK, nil)
	return s
}

func (s *script) send(from int, flags uint8, p []byte) {
	seg := capture.Segment{
		Src: s.ends[from], Dst: s.ends[from^1], Seq: s.next[from], Ack: s.next[from^1], Flags: flags, Payload: p,
	}
	s.frames = append(s.frames, capturetest.Frame(capture.LinkEthernet, false, &seg))
	s.times = append(s.times, s.at)
	s.next[from] += uint32(len(p))
	if flags&(capture.SYN|capture.FIN) != 0 {
		s.next[from]++
	}
}

func (s *script) say(from int, packets ...[]byte) {
	s.at += 1e5
	s.send(from, capture.ACK|capture.PSH, bytes.Join(packets, nil))
}

func (s *script) login() {
	s.say(server, mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{})))
	caps := uint32(mysqltest.DefaultCapabilities) | 1<<9
	p := make([]byte, 32)
	for i := range 4 {
		p[i] = byte(caps >> (8 * i))
	}
	s.say(client, mysqltest.Packet(1, append(p, "shop\x00\x00"...)))
	s.say(server, mysqltest.Packet(2, mysqltest.OKPayload(0, 0, 2, 0)))
}

func (s *script) selectRows(n int) {
	s.say(client, mysqltest.Packet(0, []byte("\x03SELECT secret FROM t")))
	b := append(mysqltest.Packet(1, []byte{1}), mysqltest.Packet(2, mysqltest.ColumnPayload(mysqltest.Column{Name: "secret", Type: mysqltest.TypeLongLong}))...)
	seq := byte(3)
	for i := range n {
		b = append(b, mysqltest.Packet(seq, mysqltest.TextRowPayload(i))...)
		seq++
	}
	b = append(b, mysqltest.Packet(seq, mysqltest.ResultEndPayload(2, 0))...)
	for len(b) > 0 {
		k := min(len(b), 1400)
		s.say(server, b[:k])
		b = b[k:]
	}
}

func (s *script) quit() {
	s.say(client, mysqltest.Packet(0, []byte{1}))
	s.send(client, capture.FIN|capture.ACK, nil)
	s.send(server, capture.FIN|capture.ACK, nil)
	s.send(client, capture.ACK, nil)
}

// file is the capture with the frames for which keep returns true.
func (s *script) file(keep func(i int) bool) []byte {
	var b bytes.Buffer
	w, err := capturetest.NewWriter(&b, capture.LinkEthernet)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range s.frames {
		if keep == nil || keep(i) {
			_ = w.Write(s.times[i], s.frames[i], 0)
		}
	}
	return b.Bytes()
}

func explained(t testing.TB, file []byte, o Options) (Totals, string) {
	t.Helper()
	var out bytes.Buffer
	total, err := Run(context.Background(), bytes.NewReader(file), &out, o)
	if err != nil {
		t.Fatal(err)
	}
	return total, out.String()
}

var atClient, atServer, between = [2]int64{5e6, 1e4}, [2]int64{1e4, 5e6}, [2]int64{2e6, 3e6}

func TestLawful(t *testing.T) {
	s := newScript(t, 4000, atClient) // found by its greeting
	s.login()
	for range 3 {
		s.selectRows(500)
	}
	s.quit()
	total, out := explained(t, s.file(nil), Options{})
	if total.Connections != 1 || total.Violations != 0 || total.Gaps != 0 || total.Untracked != 0 {
		t.Errorf("%+v", total)
	}
	for _, want := range []string{"10.0.0.7:40000 → 10.0.0.9:4000", "as user shop", "4 commands", "closed by the client with COM_QUIT"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "seen at") || strings.Contains(out, "secret") {
		t.Errorf("it says too much:\n%s", out)
	}
}

// TestVantage: the handshake shows where the capture was taken, and that limits what
// is claimed.
func TestVantage(t *testing.T) {
	for _, c := range []struct {
		trip [2]int64
		want string
		note bool
	}{{atClient, "capture at the client", false}, {atServer, "capture at the server", true}, {between, "capture in between", true}} {
		s := newScript(t, 3306, c.trip)
		s.login()
		s.say(client, mysqltest.Packet(0, []byte("\x03SELECT 1")))
		s.say(server, mysqltest.Packet(7, mysqltest.OKPayload(0, 0, 2, 0)))
		_, out := explained(t, s.file(nil), Options{JSON: true})
		var o struct {
			Vantage          string
			Notes            []string
			Expected, Actual int
			Client           struct{ Address, User string }
			Packets          []any
		}
		if err := json.Unmarshal([]byte(out), &o); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if o.Vantage != c.want || (len(o.Notes) > 0) != c.note || o.Expected != 1 || o.Actual != 7 ||
			o.Client.User != "shop" || o.Client.Address != "10.0.0.7:40000" || len(o.Packets) != 5 {
			t.Errorf("%+v", o)
		}
	}
}

// TestLostFrames: whichever frame is missing, a gap is said, nothing is claimed, and
// the connection is followed again.
func TestLostFrames(t *testing.T) {
	s := newScript(t, 3306, atClient)
	s.login()
	for range 4 {
		s.selectRows(300)
	}
	s.quit()
	for lost := 3; lost < len(s.frames)-3; lost++ {
		total, out := explained(t, s.file(func(i int) bool { return i != lost }), Options{})
		if total.Violations != 0 || total.Gaps != 1 || total.Connections != 1 || !strings.Contains(out, "lost by the capture in 1 place") {
			t.Errorf("without frame %d: %+v\n%s", lost, total, out)
		}
	}
}

// TestBeginsInTheMiddle: wherever the capture begins, nothing is claimed.
func TestBeginsInTheMiddle(t *testing.T) {
	for _, port := range []uint16{3306, 4000} {
		s := newScript(t, port, atClient)
		s.login()
		for range 4 {
			s.selectRows(300)
		}
		s.quit()
		for first := 1; first < len(s.frames)-8; first++ {
			total, out := explained(t, s.file(func(i int) bool { return i >= first }), Options{})
			if total.Violations != 0 || total.Connections != 1 {
				t.Errorf("port %d, from frame %d: %+v\n%s", port, first, total, out)
			}
		}
	}
}

// TestDisorder: twice and out of order changes nothing.
func TestDisorder(t *testing.T) {
	s := newScript(t, 3306, atClient)
	s.login()
	for range 3 {
		s.selectRows(300)
	}
	s.quit()
	list := func(file []byte) (p []string) {
		explained(t, file, Options{Rows: true, OnPacket: func(_ int, q conversation.Packet) {
			p = append(p, fmt.Sprintf("%v %d %d", q.Direction, q.First, q.Bytes))
		}})
		return p
	}
	want := list(s.file(nil))
	r := rand.New(rand.NewPCG(1, 1))
	for i := 3; i < len(s.frames)-4; i++ {
		if r.IntN(3) == 0 {
			s.frames[i], s.frames[i+1] = s.frames[i+1], s.frames[i]
		}
		if r.IntN(5) == 0 {
			s.frames = append(s.frames[:i+1], s.frames[i:]...)
			s.times = append(s.times[:i+1], s.times[i:]...)
		}
	}
	if got := list(s.file(nil)); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d packets, want %d", len(got), len(want))
	}
}

func TestOthersAreIgnored(t *testing.T) {
	s := newScript(t, 80, atClient)
	s.say(client, []byte("GET / HTTP/1.1\r\n\r\n"))
	s.say(server, []byte("HTTP/1.1 200 OK\r\n\r\n"))
	total, _ := explained(t, s.file(nil), Options{})
	if total.Connections != 0 || total.Others != 1 {
		t.Errorf("%+v", total)
	}
}

func TestProxyHeader(t *testing.T) {
	s := newScript(t, 3306, atClient)
	s.say(client, []byte("PROXY TCP4 192.0.2.1 10.0.0.9 5555 3306\r\n"))
	s.login()
	s.quit()
	total, out := explained(t, s.file(nil), Options{})
	if total.Violations != 0 || !strings.Contains(out, "the client at 192.0.2.1") {
		t.Errorf("%+v\n%s", total, out)
	}
}

// TestSQL: texts are shown only where they are asked for.
func TestSQL(t *testing.T) {
	s := newScript(t, 3306, atClient)
	s.login()
	s.selectRows(3)
	s.quit()
	if _, out := explained(t, s.file(nil), Options{Packets: true}); strings.Contains(out, "SELECT") {
		t.Errorf("a statement is shown:\n%s", out)
	}
	if _, out := explained(t, s.file(nil), Options{Packets: true, SQL: true}); !strings.Contains(out, "SELECT secret FROM t") || !strings.Contains(out, "row × 3") && !strings.Contains(out, "rows × 3") {
		t.Errorf("no statement, or no rows:\n%s", out)
	}
}

// TestPage: one page, whole by itself, with the violation, without script and data.
func TestPage(t *testing.T) {
	s := newScript(t, 3306, atServer)
	s.login()
	s.selectRows(3)
	s.say(client, mysqltest.Packet(0, []byte("\x03SELECT 1")))
	s.say(server, mysqltest.Packet(7, mysqltest.OKPayload(0, 0, 2, 0)))
	name := filepath.Join(t.TempDir(), "page.html")
	_, out := explained(t, s.file(nil), Options{HTML: name, Name: "last-night.pcap"})
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, want := range []string{"<svg", "shop", "captured at the server&#39;s end", "prefers-color-scheme:dark", "</html>", "seq 7", "Made by seqguard " + version.Version + " from last-night.pcap."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{"<script", "secret", "src=", "ZgotmplZ"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if !strings.Contains(out, "1 connection, 1 violation") {
		t.Errorf("%q", out)
	}
}

// TestPageOfAnEnd: the end of a connection that is a violation is on its timeline, and the
// connections stand in the order of the capture, as the links to them say.
func TestPageOfAnEnd(t *testing.T) {
	a, b := newScriptFrom(t, 50001, 3306, atServer), newScriptFrom(t, 50002, 3306, atServer)
	a.login()
	quits := len(a.frames)
	b.login()
	b.say(client, mysqltest.Packet(0, []byte("\x03SELECT 1")))
	b.send(server, capture.FIN|capture.ACK, nil)
	b.send(client, capture.FIN|capture.ACK, nil)
	a.quit()
	name := filepath.Join(t.TempDir(), "page.html")
	const header = 24
	file := a.file(func(i int) bool { return i < quits })
	file = append(file, b.file(nil)[header:]...)
	file = append(file, a.file(func(i int) bool { return i >= quits })[header:]...) // it ends behind b
	explained(t, file, Options{HTML: name})
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, []byte("<title>The connection ended before the command was answered</title>")) {
		t.Errorf("it has no mark:\n%s", page)
	}
	one, two := bytes.Index(page, []byte(`id="c1"`)), bytes.Index(page, []byte(`id="c2"`))
	if one < 0 || two < one {
		t.Errorf("#1 at %d, #2 at %d", one, two)
	}
}

// TestLive: from a pipe, what is known is written while the capture goes on.
func TestLive(t *testing.T) {
	s := newScript(t, 3306, atClient)
	s.login()
	s.say(client, mysqltest.Packet(0, []byte("\x03SELECT 1")))
	s.say(server, mysqltest.Packet(7, mysqltest.OKPayload(0, 0, 2, 0)))
	in, w := io.Pipe()
	r, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := Run(context.Background(), in, out, Options{Live: true, JSON: true})
		_ = out.Close()
		done <- err
	}()
	go func() { _, _ = w.Write(s.file(nil)) }() // and no end
	got := make(chan string, 1)
	go func() {
		b := make([]byte, 1<<16)
		n, _ := r.Read(b)
		got <- string(b[:n])
	}()
	select {
	case line := <-got:
		if !strings.Contains(line, `"cause"`) {
			t.Errorf("%q", line)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing is said before the end")
	}
	_ = w.Close()
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// endless is a capture of ever new connections, some hundred megabytes of it.
type endless struct {
	s    *script
	left int
	buf  bytes.Buffer
}

func (e *endless) Read(p []byte) (int, error) {
	for e.buf.Len() == 0 {
		if e.left == 0 {
			return 0, io.EOF
		}
		e.left--
		s := newScript(e.s.t, 3306, atClient)
		s.ends[client] = capture.Addr{IP: [16]byte{10: 0xff, 11: 0xff, 12: 10, 13: byte(e.left >> 16), 14: byte(e.left >> 8), 15: byte(e.left)}, Port: 40000}
		s.frames, s.times = s.frames[:0], s.times[:0]
		s.next = [2]uint32{1000, 5000}
		s.send(client, capture.SYN, nil)
		s.send(server, capture.SYN|capture.ACK, nil)
		s.login()
		s.selectRows(30) // and left open
		e.buf.Write(s.file(nil)[24:])
	}
	return e.buf.Read(p)
}

// TestMemory: it does not depend on how many connections there are.
func TestMemory(t *testing.T) {
	n := 60000
	if testing.Short() {
		n = 15000
	}
	head := newScript(t, 3306, atClient)
	src := io.MultiReader(bytes.NewReader(head.file(func(int) bool { return false })), &endless{s: head, left: n})
	var peak uint64
	var m runtime.MemStats
	total, err := Run(context.Background(), &sampled{src, func() {
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapInuse)
	}, 0}, io.Discard, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d connections, %d MB: at most %d MB of memory", total.Connections, total.Bytes>>20, peak>>20)
	if total.Connections != n || peak > 200<<20 {
		t.Errorf("%d connections, %d MB", total.Connections, peak>>20)
	}
}

type sampled struct {
	io.Reader
	f func()
	n int
}

func (s *sampled) Read(p []byte) (int, error) {
	if s.n++; s.n%500 == 0 {
		s.f()
	}
	return s.Reader.Read(p)
}

// FuzzCapture: whatever is in a capture, no panic, and an end.
func FuzzCapture(f *testing.F) {
	s := newScript(f, 3306, atClient)
	s.login()
	s.selectRows(5)
	s.quit()
	f.Add(s.file(nil))
	f.Add(s.file(func(i int) bool { return i != 6 }))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = Run(context.Background(), bytes.NewReader(b), io.Discard, Options{
			Packets: true, Rows: true, SQL: true, Limits: reassemble.Limits{Flows: 8, Ignored: 8, HeldBytes: 1 << 16, FlowBytes: 1 << 14},
		})
	})
}

// FuzzTalk: whatever two ends say to each other in whatever pieces, no panic, and no
// more packets than bytes.
func FuzzTalk(f *testing.F) {
	s := newScript(f, 3306, atClient)
	s.login()
	f.Add([]byte("\x05\x10\x00\x20\x81\x03abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newScript(t, 3306, atClient)
		s.login()
		for len(b) > 1 { // a byte for who speaks and how long, then that
			from, n := int(b[0]>>7), min(int(b[0]&0x7f), len(b)-1)
			s.say(from, b[1:1+n])
			b = b[1+n:]
		}
		packets, size := 0, 0
		for _, fr := range s.frames {
			size += len(fr)
		}
		file := s.file(nil)
		for _, o := range []Options{{JSON: true}, {Packets: true, SQL: true}} {
			o.OnPacket = func(int, conversation.Packet) { packets++ }
			if _, err := Run(context.Background(), bytes.NewReader(file), io.Discard, o); err != nil {
				t.Fatal(err)
			}
		}
		if packets > 2*size {
			t.Fatalf("%d packets of %d bytes", packets, size)
		}
	})
}
