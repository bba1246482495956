package wrapconn

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// queueConn is a connection without a socket. Read hands out what is queued, one
// piece a call; Write keeps what it is given.
type queueConn struct {
	net.Conn // the methods that are not here must not be called
	queue    [][]byte
	end      error // behind the queue; nil: io.EOF
	written  []byte
	discard  bool
}

func (m *queueConn) Read(p []byte) (int, error) {
	if len(m.queue) == 0 {
		if m.end != nil {
			return 0, m.end
		}
		return 0, io.EOF
	}
	n := copy(p, m.queue[0])
	if m.queue[0] = m.queue[0][n:]; len(m.queue[0]) == 0 {
		m.queue = m.queue[1:]
	}
	return n, nil
}

func (m *queueConn) Write(p []byte) (int, error) {
	if !m.discard {
		m.written = append(m.written, p...)
	}
	return len(p), nil
}

func (m *queueConn) Close() error                    { return nil }
func (m *queueConn) LocalAddr() net.Addr             { return nil }
func (m *queueConn) RemoteAddr() net.Addr            { return nil }
func (m *queueConn) SetReadDeadline(time.Time) error { return nil }

// segment is bytes of one side.
type segment struct {
	dir   session.Direction
	bytes []byte
}

func fromServer(seq byte, payloads ...[]byte) segment {
	return segment{session.FromServer, packetsOf(seq, payloads)}
}
func fromClient(seq byte, payloads ...[]byte) segment {
	return segment{session.FromClient, packetsOf(seq, payloads)}
}

func packetsOf(seq byte, payloads [][]byte) []byte {
	var b []byte
	for _, p := range payloads {
		b = append(b, mysqltest.Packet(seq, p)...)
		seq += 1 + byte(len(p)/mysqltest.MaxPacket)
	}
	return b
}

// loginSegments are a login of DefaultCapabilities and its OK.
func loginSegments() []segment {
	login := make([]byte, 32, 40)
	for i := range 4 {
		login[i] = byte(uint32(mysqltest.DefaultCapabilities) >> (8 * i))
	}
	return []segment{
		fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{})),
		fromClient(1, append(login, "user\x00\x00"...)),
		fromServer(2, mysqltest.OKPayload(0, 0, 2, 0)),
	}
}

// pass takes the segments through c, whose inner connection is m, in pieces as
// cut says: it gets a length and returns how much of it passes at once.
func pass(t testing.TB, c *Conn, m *queueConn, segments []segment, cut func(n int) int) {
	t.Helper()
	buf := make([]byte, 1<<16)
	for _, s := range segments {
		for b := s.bytes; len(b) > 0; {
			n := min(max(cut(len(b)), 1), len(b), len(buf))
			if s.dir == session.FromClient {
				if got, err := c.Write(b[:n]); got != n || err != nil {
					t.Fatalf("Write: %d, %v; want %d", got, err, n)
				}
			} else {
				m.queue = append(m.queue, b[:n])
				if got, err := c.Read(buf); got != n || err != nil {
					t.Fatalf("Read: %d, %v; want %d", got, err, n)
				}
			}
			b = b[n:]
		}
	}
}

func whole(n int) int { return n }

// loggedIn returns a guarded connection whose login is over.
func loggedIn(t testing.TB, opts Options) (*Conn, *queueConn) {
	t.Helper()
	m := &queueConn{}
	c := New(m, opts)
	pass(t, c, m, loginSegments(), whole)
	if !c.Idle() || c.talk.Phase() != session.PhaseReady {
		t.Fatalf("after the login: %s", c.talk.Phase())
	}
	return c, m
}

// SyscallConn is there exactly if the inner connection has it.
func TestSyscallConn(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, ok := New(a, Options{}).NetConn().(syscall.Conn); ok {
		t.Error("over a pipe there is no socket")
	}
	sock := filepath.Join(t.TempDir(), "s")
	for _, network := range []string{"tcp", "unix"} {
		addr := "127.0.0.1:0"
		if network == "unix" {
			addr = sock
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		inner, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer inner.Close()
		nc := New(inner, Options{}).NetConn()
		sc, ok := nc.(syscall.Conn)
		if !ok {
			t.Errorf("%s: no SyscallConn", network)
			continue
		}
		raw, err := sc.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(uintptr) {}); err != nil {
			t.Error(err)
		}
		if nc.RemoteAddr() != inner.RemoteAddr() || nc.LocalAddr() != inner.LocalAddr() {
			t.Error("other addresses than the inner connection's")
		}
		// Deadlines are the inner connection's.
		if err := nc.SetDeadline(time.Now().Add(-time.Second)); err != nil {
			t.Error(err)
		}
		if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a deadline that has passed: %v", err)
		}
		if err := errors.Join(nc.SetDeadline(time.Time{}), nc.SetReadDeadline(time.Time{}), nc.SetWriteDeadline(time.Time{})); err != nil {
			t.Error(err)
		}
		// Twice, from anywhere: the second time the inner connection has the word.
		if err := nc.Close(); err != nil {
			t.Error(err)
		}
		if err := nc.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closing it again: %v", err)
		}
		if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading after the close: %v", err)
		}
	}
}

// Idle is false from a command to the end of its answer.
func TestIdle(t *testing.T) {
	c, m := loggedIn(t, Options{})
	for _, s := range selectOne().parts {
		pass(t, c, m, []segment{s}, func(n int) int {
			if s.dir == session.FromServer && c.Idle() {
				t.Fatalf("idle %d bytes before the end of %s", n, s.dir)
			}
			return 1
		})
	}
	if !c.Idle() {
		t.Error("not idle after the answer")
	}
	if c.Err() != nil || c.Take() != nil || c.Suspect() != nil {
		t.Error("something is reported of lawful use")
	}
}

// exchange is a command and its answer.
type exchange struct{ parts []segment }

func selectOne() exchange {
	return exchange{[]segment{
		fromClient(0, []byte("\x03SELECT 1")),
		fromServer(1, []byte{1}, mysqltest.ColumnPayload(mysqltest.Column{Name: "1", Type: mysqltest.TypeLongLong}),
			mysqltest.TextRowPayload(1), mysqltest.ResultEndPayload(2, 0)),
	}}
}

// Nothing is allocated for traffic.
func TestAllocations(t *testing.T) {
	c, m := loggedIn(t, Options{})
	m.discard = true
	x, buf := selectOne(), make([]byte, 1<<16)
	queue := make([][]byte, 1)
	trip := func() {
		if _, err := c.Write(x.parts[0].bytes); err != nil {
			t.Fatal(err)
		}
		queue[0] = x.parts[1].bytes
		m.queue = queue
		if _, err := c.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(200, trip); n != 0 {
		t.Errorf("%v allocations for SELECT 1", n)
	}
	if !c.Idle() {
		t.Error("not idle")
	}

	rows := openRows(t, c, m)
	run := func() {
		queue[0] = rows
		m.queue = queue
		if _, err := c.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(200, run); n != 0 {
		t.Errorf("%v allocations for %d rows", n, rowsAtOnce)
	}
	if c.talk.Phase() != session.PhaseRows || c.Err() != nil {
		t.Errorf("then %s, %v", c.talk.Phase(), c.Err())
	}
}

// rowsAtOnce is a multiple of 256, so that the same bytes can come again.
const rowsAtOnce = 1024

// openRows begins a result and returns rows of it that can be read any number
// of times.
func openRows(t testing.TB, c *Conn, m *queueConn) []byte {
	var rows [][]byte
	for i := range rowsAtOnce {
		rows = append(rows, mysqltest.TextRowPayload(i, "some text"))
	}
	pass(t, c, m, []segment{
		fromClient(0, []byte("\x03SELECT * FROM t")),
		fromServer(1, []byte{1}, mysqltest.ColumnPayload(mysqltest.Column{Name: "1"})),
	}, whole)
	return packetsOf(3, rows)
}

// The limit for all that the guard keeps of an idle connection.
func TestMemory(t *testing.T) {
	const n, limit = 1000, 8 << 10
	keep := make([]*Conn, n)
	inner := &queueConn{}
	before := heap()
	for i := range keep {
		keep[i] = New(inner, Options{Operations: true, CallSites: true})
	}
	grown := float64(heap()-before) / n
	t.Logf("%.0f bytes a connection", grown)
	if grown > limit {
		t.Errorf("%.0f bytes a connection, the limit is %d", grown, limit)
	}
	runtime.KeepAlive(keep)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkSelect1(b *testing.B) {
	c, m := loggedIn(b, Options{})
	m.discard = true
	x, buf, queue := selectOne(), make([]byte, 1<<16), make([][]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.Write(x.parts[0].bytes)
		queue[0] = x.parts[1].bytes
		m.queue = queue
		_, _ = c.Read(buf)
	}
}

// The design's limit is 8 ns a row, the copy of the inner connection included.
func BenchmarkRows(b *testing.B) {
	c, m := loggedIn(b, Options{})
	rows, buf, queue := openRows(b, c, m), make([]byte, 1<<16), make([][]byte, 1)
	b.SetBytes(int64(len(rows)))
	b.ReportAllocs()
	for b.Loop() {
		queue[0] = rows
		m.queue = queue
		_, _ = c.Read(buf)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rowsAtOnce, "ns/row")
}
