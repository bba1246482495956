package wire_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/conversations"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

var update = flag.Bool("update", false, "record the conversations under testdata anew, from real servers")

const folder = "testdata/conversations"

// TestGoldenConversations replays what real servers and go-sql-driver have said
// to each other. What a connection makes of it is in the same file, behind the
// bytes; it must not depend on how the bytes come.
//
//	go test -run TestGoldenConversations -update .
//
// records all of it anew; read the difference before it is committed.
func TestGoldenConversations(t *testing.T) {
	if *update {
		for _, name := range mysqltest.Names {
			record(t, name)
		}
	}
	for _, c := range conversations.All(t, folder) {
		t.Run(c.Name, func(t *testing.T) {
			events, want := c.Events, c.History
			r := rand.New(rand.NewPCG(1, uint64(c.Total())))
			for name, cut := range map[string]func(int) int{
				"as recorded":     func(n int) int { return n },
				"in small pieces": func(n int) int { return 1 + r.IntN(min(n, 4000)) },
				"in two":          func(n int) int { return 1 + n/2 },
			} {
				if got := replay(t, events, cut); got != want {
					t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
				}
			}
			if small := c.Total() < 20000; small {
				if got := replay(t, events, func(int) int { return 1 }); got != want {
					t.Errorf("byte by byte:\n%s\nwant\n%s", got, want)
				}
			}
			// Only where the server hung up is there anything to report.
			if farewell := strings.Contains(c.Name, "idle_timeout"); farewell != strings.Contains(want, "violation") {
				t.Errorf("the history has a violation: %v", !farewell)
			}
			if strings.Contains(want, "untracked") {
				t.Error("the conversation could not be followed")
			}
		})
	}
}

// replayConn hands the recorded bytes of the server out.
type replayConn struct {
	net.Conn
	next []byte
}

func (c *replayConn) Read(p []byte) (int, error) {
	if len(c.next) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.next)
	c.next = c.next[n:]
	return n, nil
}

func (c *replayConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *replayConn) LocalAddr() net.Addr              { return nil }
func (c *replayConn) RemoteAddr() net.Addr             { return nil }
func (c *replayConn) SetReadDeadline(time.Time) error  { return nil }
func (c *replayConn) SetWriteDeadline(time.Time) error { return nil }

var replays atomic.Int64

// replay takes the events through a guarded connection, each in pieces as cut
// says, and returns what the connection has seen.
func replay(t *testing.T, events []conversations.Event, cut func(n int) int) string {
	t.Helper()
	before := wrapconn.Stats()
	inner := &replayConn{}
	// A server of its own: connections that fail at the same time are a cause.
	c := wrapconn.New(inner, wrapconn.Options{History: wrapconn.MaxHistory, Mode: wrapconn.Observe, Server: fmt.Sprint("replay ", replays.Add(1))})
	buf := make([]byte, 1<<16)
	for _, e := range events {
		if e.End {
			if _, err := c.Read(buf); err != io.EOF {
				t.Fatalf("at the end of the stream: %v", err)
			}
		}
		for b := e.Bytes; len(b) > 0; {
			n := min(max(cut(len(b)), 1), len(b), len(buf))
			var got int
			var err error
			if e.Client {
				got, err = c.Write(b[:n])
			} else {
				inner.next = b[:n]
				got, err = c.Read(buf)
			}
			if got != n || err != nil {
				t.Fatalf("%d of %d bytes, %v", got, n, err)
			}
			b = b[n:]
		}
	}
	broken := c.Err() != nil
	if !broken {
		c.Malformed(errors.New("the history, please"))
	}
	r := c.Err()
	var out strings.Builder
	for _, h := range r.History {
		arrow := "◀──"
		if h.Direction == session.FromClient {
			arrow = "──▶"
		}
		fmt.Fprintf(&out, "%s  seq %-7s  %-28s %9d bytes", arrow, h.IDs(), h.Label(), h.Bytes)
		if h.Violation != session.None {
			fmt.Fprintf(&out, "   ← %s", h.Violation)
		}
		out.WriteByte('\n')
	}
	fmt.Fprintf(&out, "phase %s, %d commands", r.Evidence.Phase, r.Evidence.Commands)
	if broken {
		fmt.Fprintf(&out, ", violation %s: %s", r.Evidence.Violation, r.Cause.Slug)
	}
	after := wrapconn.Stats()
	if n := after.Untracked - before.Untracked; n > 0 {
		fmt.Fprintf(&out, ", untracked %d times", n)
	}
	if after.Panics != before.Panics {
		t.Fatal("the guard has panicked")
	}
	return out.String() + "\n"
}
