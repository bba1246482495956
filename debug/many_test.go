package debug_test

import (
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// canned is a connection whose peer has said everything beforehand.
type canned struct {
	net.Conn
	said [][]byte
}

func (c *canned) Read(p []byte) (int, error) {
	if len(c.said) == 0 {
		return 0, errors.New("nothing more is said")
	}
	n := copy(p, c.said[0])
	c.said = c.said[1:]
	return n, nil
}

func (c *canned) Write(p []byte) (int, error)     { return len(p), nil }
func (c *canned) Close() error                    { return nil }
func (c *canned) LocalAddr() net.Addr             { return &net.TCPAddr{} }
func (c *canned) RemoteAddr() net.Addr            { return &net.TCPAddr{} }
func (c *canned) SetReadDeadline(time.Time) error { return nil }

// loginPacket is a client's answer to the greeting.
func loginPacket() []byte {
	p := binary.LittleEndian.AppendUint32(nil, 0x1|0x200|0x8000|0x80000) // long password, 4.1, secure connection, plugins
	p = binary.LittleEndian.AppendUint32(p, 1<<24)
	p = append(p, 45)
	p = append(p, make([]byte, 23)...)
	p = append(p, "user\x00\x00mysql_native_password\x00"...)
	return mysqltest.Packet(1, p)
}

// many makes n connections that have logged in and sent 31 pings, so that their
// history is full; of one in ten the last has no answer.
func many(t testing.TB, server string, n int) {
	ok := mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0)
	ping := mysqltest.Packet(0, []byte{byte(mysqltest.ComPing)})
	buf := make([]byte, 1024)
	for i := range n {
		peer := &canned{said: [][]byte{mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{Version: "8.4.7", ThreadID: uint32(i + 1)})), mysqltest.Packet(2, ok)}}
		c := wrapconn.New(peer, wrapconn.Options{Server: server, Network: "tcp", NoPeek: true})
		t.Cleanup(func() { _ = c.Close() })
		read := func() {
			if _, err := c.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
		read()
		if _, err := c.Write(loginPacket()); err != nil {
			t.Fatal(err)
		}
		read()
		for ping31 := range 31 {
			if _, err := c.Write(ping); err != nil {
				t.Fatal(err)
			}
			if i%10 != 0 || ping31 < 30 {
				peer.said = append(peer.said, mysqltest.Packet(1, ok))
				read()
			}
		}
	}
}

// A pool of ten thousand connections is a page of some hundred, with those in use
// first, and costs no more than that.
func TestManyConnections(t *testing.T) {
	const n = 10_000
	many(t, "many:1", n)
	page := get(t, of("many:1"), "text/html").Body.String()
	contains(t, page, "1 to 200 of 10,000 connections, busy first", "<dt>busy</dt><dd>1,000</dd>", "<dt>free</dt><dd>9,000</dd>", "and 9,800 more")
	if got := strings.Count(page, `<span class="chip busy">`); got != 200 {
		t.Errorf("%d busy connections are listed, want 200", got)
	}
	for _, accept := range []string{"text/html", "application/json"} {
		best := cpuOf(t, func() { get(t, of("many:1"), accept) })
		t.Logf("%s: %v of CPU", accept, best)
		// The target is 10 ms (docs/costs.md); a machine that is slower, or checks
		// for races, is not a fault.
		if best > time.Second {
			t.Errorf("%s takes %v of CPU", accept, best)
		}
	}
}

func BenchmarkManyConnections(b *testing.B) {
	many(b, "many:1", 10_000)
	for _, accept := range []string{"text/html", "application/json"} {
		b.Run(accept, func(b *testing.B) {
			var took []time.Duration
			var size int
			for b.Loop() {
				took = append(took, cpu(b, func() { size = get(b, of("many:1"), accept).Body.Len() }))
			}
			slices.Sort(took)
			b.ReportMetric(float64(size), "bytes")
			b.ReportMetric(float64(took[0].Microseconds())/1000, "cpu-ms-least")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "cpu-ms-median")
		})
	}
}

// cpuOf is the least CPU time of ten calls of f.
func cpuOf(t testing.TB, f func()) time.Duration {
	best := time.Hour
	for range 10 {
		best = min(best, cpu(t, f))
	}
	return best
}

// cpu is the CPU time of f, without what the garbage collector does beside it.
func cpu(t testing.TB, f func()) time.Duration {
	t.Helper()
	runtime.GC() // what was before is not f's
	return threadCPU(t, f)
}
