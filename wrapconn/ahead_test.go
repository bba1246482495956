package wrapconn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// noSocket makes a connection in memory pass for one with a socket, which cannot
// be looked into.
type noSocket struct{}

func (noSocket) Control(func(uintptr)) error    { return net.ErrClosed }
func (noSocket) Read(func(uintptr) bool) error  { return net.ErrClosed }
func (noSocket) Write(func(uintptr) bool) error { return net.ErrClosed }

// largeResult is the answer to a SELECT, of size bytes and a few more.
func largeResult(size int) []byte {
	payloads := [][]byte{{1}, mysqltest.ColumnPayload(mysqltest.Column{Name: "c"})}
	for n := 0; n < size; {
		row := mysqltest.TextRowPayload(string(bytes.Repeat([]byte("x"), len(payloads)*7%90)))
		payloads = append(payloads, row)
		n += len(row) + 4
	}
	return fromServer(1, append(payloads, mysqltest.ResultEndPayload(2, 0))...).bytes
}

// endConn is queueConn, with an error that comes together with the last bytes.
type endConn struct {
	queueConn
	with bool
}

func (m *endConn) Read(p []byte) (int, error) {
	n, err := m.queueConn.Read(p)
	if m.with && err == nil && len(m.queue) == 0 {
		err = m.end
	}
	return n, err
}

// told is what a client and its user learn of a conversation.
type told struct {
	bytes   []byte
	err     error
	reports []string
	seen    string
	refused bool // the next command
	ahead   bool // something was read ahead
}

// scan reads what comes in pieces of 4 KiB, as go-sql-driver does, to its end or
// until nothing more comes.
func scan(t *testing.T, stream []byte, piece int, end error, with, ahead bool) (got told) {
	t.Helper()
	m := &endConn{}
	c := New(m, Options{OnReport: func(_ context.Context, r *Report) { got.reports = append(got.reports, string(r.Cause.Slug)) }})
	pass(t, c, &m.queueConn, loginSegments(), whole)
	m.end, m.with = end, with && end != nil
	if ahead {
		c.raw = noSocket{}
	}
	if _, err := c.Write(selectOne().parts[0].bytes); err != nil {
		t.Fatal(err)
	}
	for b := stream; len(b) > 0; b = b[min(piece, len(b)):] {
		m.queue = append(m.queue, b[:min(piece, len(b))])
	}
	buf := make([]byte, 4096)
	for len(got.bytes) < len(stream) || end != nil {
		n, err := c.Read(buf[:4096-len(got.bytes)%100])
		got.bytes = append(got.bytes, buf[:n]...)
		got.ahead = got.ahead || len(c.lie()) > 0
		if err != nil {
			got.err = err
			break
		}
	}
	got.seen = seen(c)
	if c.ahead.buf != nil && end == nil && c.talk.Idle() {
		t.Error("a connection that is idle keeps a buffer")
	}
	_, err := c.Write(selectOne().parts[0].bytes)
	got.refused = err != nil
	return got
}

// A client sees the same, byte for byte, whether its result is read ahead or not:
// wherever the bytes end and however, in whatever pieces they come.
func TestReadAhead(t *testing.T) {
	answer := largeResult(8400)
	stale := append(slices.Clone(answer), fromServer(1, mysqltest.OKPayload(0, 0, 2, 0)).bytes...)
	wrong := slices.Clone(answer)
	at := 0
	for range 100 { // the number of a row
		at += 4 + int(wrong[at]) + int(wrong[at+1])<<8
	}
	wrong[at+3]++
	ends := []error{nil, io.EOF, syscall.ECONNRESET, os.ErrDeadlineExceeded, errors.New("strange")}
	for name, stream := range map[string][]byte{"whole": answer, "stale": stale, "wrong": wrong} {
		t.Run(name, func(t *testing.T) {
			step := 1
			// All of it is one goroutine, so a race detector sees no more of it in 100,000 runs than in some.
			if testing.Short() || mysqltest.Race || name != "whole" {
				step = 37
			}
			for _, end := range ends {
				for _, with := range []bool{false, true} {
					for at := len(stream); at > 0; at -= step {
						if end == nil && (with || at < len(stream)) {
							continue
						}
						for _, piece := range []int{1 << 20, 5000}[:2-at%2] {
							want := scan(t, stream[:at], piece, end, with, false)
							got := scan(t, stream[:at], piece, end, with, true)
							if got.ahead != (at > 4096+4000 && piece > 8192) || want.ahead {
								t.Fatalf("%d bytes in pieces of %d: read ahead %v, otherwise %v", at, piece, got.ahead, want.ahead)
							}
							if !bytes.Equal(got.bytes, want.bytes) || got.err != want.err || !slices.Equal(got.reports, want.reports) ||
								got.seen != want.seen || got.refused != want.refused {
								t.Fatalf("%d bytes, then %v (with them: %v), in pieces of %d: %d bytes, %v, %q, refused %v\n%s\nwithout read-ahead %d bytes, %v, %q, refused %v\n%s",
									at, end, with, piece, len(got.bytes), got.err, got.reports, got.refused, got.seen,
									len(want.bytes), want.err, want.reports, want.refused, want.seen)
							}
						}
					}
				}
			}
		})
	}
}

// readPart begins to read a result over a socket until something is read ahead.
func readPart(t *testing.T, c *Conn, nc, server net.Conn, answer []byte) (got []byte) {
	t.Helper()
	if _, err := nc.Write(selectOne().parts[0].bytes); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write(answer); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for !c.liesAhead() {
		n, err := nc.Read(buf)
		if got = append(got, buf[:n]...); err != nil || n == 0 {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	return got
}

// What stands between a client and its socket stands between it and what was
// read ahead: a deadline, the end by its own hand, a look of its own.
func TestReadAheadSocket(t *testing.T) {
	answer := largeResult(20000)
	buf := make([]byte, 4096)
	t.Run("a result", func(t *testing.T) {
		c, nc, server := loggedInOver(t)
		got := readPart(t, c, nc, server, answer)
		for len(got) < len(answer) {
			n, err := nc.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
			if s := c.Snapshot(); s.Received != uint64(len(loginSegments()[0].bytes)+len(loginSegments()[2].bytes)+len(got)) {
				t.Fatalf("the conversation knows of %d bytes", s.Received)
			}
		}
		if !bytes.Equal(got, answer) || c.ahead.buf != nil || !c.Idle() {
			t.Errorf("%d bytes of %d; a buffer is left: %v", len(got), len(answer), c.ahead.buf != nil)
		}
	})
	t.Run("a deadline", func(t *testing.T) {
		c, nc, server := loggedInOver(t)
		got := readPart(t, c, nc, server, answer)
		_ = nc.SetReadDeadline(time.Now().Add(-time.Second))
		n, err := nc.Read(buf)
		var ne net.Error
		if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("%d, %v", n, err)
		}
		_ = nc.SetReadDeadline(time.Time{})
		rest := make([]byte, len(answer)-len(got))
		if _, err := io.ReadFull(nc, rest); err != nil || !bytes.Equal(append(got, rest...), answer) {
			t.Errorf("behind the deadline: %v", err)
		}
	})
	t.Run("closed by another goroutine", func(t *testing.T) {
		c, nc, server := loggedInOver(t)
		readPart(t, c, nc, server, answer)
		var wg sync.WaitGroup
		wg.Go(func() { _ = nc.Close() })
		wg.Wait()
		if n, err := nc.Read(buf); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%d, %v", n, err)
		}
		if c.Err() != nil {
			t.Errorf("what this side ends is no violation: %v", c.Err().Cause.Slug)
		}
	})
	t.Run("a look of the client's own", func(t *testing.T) {
		c, nc, server := loggedInOver(t)
		readPart(t, c, nc, server, answer)
		raw, err := nc.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		asked := false
		if err := raw.Read(func(uintptr) bool { asked = true; return true }); err == nil || asked {
			t.Errorf("the socket was looked into, past what lies in front of it: %v", err)
		}
	})
	t.Run("what is in the way of a command", func(t *testing.T) {
		c, nc, server := loggedInOver(t)
		stale := fromServer(1, mysqltest.OKPayload(7, 0, 2, 0)).bytes
		got := readPart(t, c, nc, server, append(slices.Clone(answer), stale...))
		rest := make([]byte, len(answer)-len(got))
		if _, err := io.ReadFull(nc, rest); err != nil {
			t.Fatal(err)
		}
		if !c.liesAhead() {
			t.Fatal("the stale answer was not read ahead: it is not what this test is about")
		}
		_, err := nc.Write(selectOne().parts[0].bytes)
		var pe *ProtocolError
		if !errors.As(err, &pe) || pe.Report.Evidence.Violation != session.Unsolicited || !pe.Report.Evidence.BeforeCommand {
			t.Errorf("%v", err)
		}
	})
}

// A buffer is there only while a large result comes.
func TestReadAheadAllocates(t *testing.T) {
	c, nc, server := loggedInOver(t)
	one := selectOne()
	buf := make([]byte, 4096)
	for range 3 {
		if _, err := nc.Write(one.parts[0].bytes); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Write(one.parts[1].bytes); err != nil {
			t.Fatal(err)
		}
		for !c.Idle() {
			if _, err := nc.Read(buf); err != nil || c.ahead.buf != nil {
				t.Fatalf("%v; a small answer has a buffer: %v", err, c.ahead.buf != nil)
			}
		}
	}
}
