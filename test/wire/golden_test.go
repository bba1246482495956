package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

var update = flag.Bool("update", false, "record the conversations under testdata anew, from real servers")

const conversations = "testdata/conversations"

// event is one Read or Write of a client, or the end of the server's bytes.
type event struct {
	client bool
	end    bool
	bytes  []byte
}

// TestGoldenConversations replays what real servers and go-sql-driver have said
// to each other. What a connection makes of it is in the same file, behind the
// bytes; it must not depend on how the bytes come.
//
// A file has a line for each Read (<) and Write (>): bytes in hex, and "61*9"
// for a byte that is repeated. Reads that have but one repeated byte are one
// line. Behind the line "=" stands the history, without times.
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
	files, err := filepath.Glob(filepath.Join(conversations, "*.txt"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d conversations, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			recorded, want, _ := strings.Cut(string(text), "=\n")
			events := parseEvents(t, recorded)
			r := rand.New(rand.NewPCG(1, uint64(len(text))))
			for name, cut := range map[string]func(int) int{
				"as recorded":     func(n int) int { return n },
				"in small pieces": func(n int) int { return 1 + r.IntN(min(n, 4000)) },
				"in two":          func(n int) int { return 1 + n/2 },
			} {
				if got := replay(t, events, cut); got != want {
					t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
				}
			}
			if small := total(events) < 20000; small {
				if got := replay(t, events, func(int) int { return 1 }); got != want {
					t.Errorf("byte by byte:\n%s\nwant\n%s", got, want)
				}
			}
			// Only where the server hung up is there anything to report.
			if farewell := strings.Contains(file, "idle_timeout"); farewell != strings.Contains(want, "violation") {
				t.Errorf("the history has a violation: %v", !farewell)
			}
			if strings.Contains(want, "untracked") {
				t.Error("the conversation could not be followed")
			}
		})
	}
}

func total(events []event) (n int) {
	for _, e := range events {
		n += len(e.bytes)
	}
	return n
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
func replay(t *testing.T, events []event, cut func(n int) int) string {
	t.Helper()
	before := wrapconn.Stats()
	inner := &replayConn{}
	// A server of its own: connections that fail at the same time are a cause.
	c := wrapconn.New(inner, wrapconn.Options{History: wrapconn.MaxHistory, Mode: wrapconn.Observe, Server: fmt.Sprint("replay ", replays.Add(1))})
	buf := make([]byte, 1<<16)
	for _, e := range events {
		if e.end {
			if _, err := c.Read(buf); err != io.EOF {
				t.Fatalf("at the end of the stream: %v", err)
			}
		}
		for b := e.bytes; len(b) > 0; {
			n := min(max(cut(len(b)), 1), len(b), len(buf))
			var got int
			var err error
			if e.client {
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

// The text of the bytes.

// shortest is how many repetitions are written as such.
const shortest = 16

func encode(b []byte) string {
	var out []string
	for plain := []byte(nil); ; {
		n := 0
		for n < len(b) && b[n] == b[0] {
			n++
		}
		if len(b) > 0 && n < shortest {
			plain, b = append(plain, b[:n]...), b[n:]
			continue
		}
		if len(plain) > 0 {
			out, plain = append(out, hex.EncodeToString(plain)), nil
		}
		if len(b) == 0 {
			return strings.Join(out, " ")
		}
		out, b = append(out, fmt.Sprintf("%02x*%d", b[0], n)), b[n:]
	}
}

func decode(s string) ([]byte, error) {
	var b []byte
	for _, w := range strings.Fields(s) {
		digits, count, repeated := strings.Cut(w, "*")
		piece, err := hex.DecodeString(digits)
		if err != nil {
			return nil, err
		}
		if repeated {
			n, err := strconv.Atoi(count)
			if err != nil || n > 1<<25 {
				return nil, fmt.Errorf("%q is no number of repetitions", count)
			}
			piece = bytes.Repeat(piece, n)
		}
		b = append(b, piece...)
	}
	return b, nil
}

func parseEvents(t *testing.T, text string) []event {
	t.Helper()
	var out []event
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		if mark == "#" {
			continue
		}
		b, err := decode(rest)
		if err != nil || mark != "<" && mark != ">" && mark != "!" {
			t.Fatalf("%.60q: %v", line, err)
		}
		out = append(out, event{client: mark == ">", end: mark == "!", bytes: b})
	}
	return out
}

func formatEvents(events []event) string {
	var out strings.Builder
	for _, e := range events {
		switch {
		case e.end:
			out.WriteString("!\n")
		case e.client:
			fmt.Fprintf(&out, "> %s\n", encode(e.bytes))
		default:
			fmt.Fprintf(&out, "< %s\n", encode(e.bytes))
		}
	}
	return out.String()
}

func TestEventText(t *testing.T) {
	long := bytes.Repeat([]byte{'a'}, 1000)
	events := []event{{client: true, bytes: []byte{1, 2, 3}}, {bytes: append(append([]byte{9}, long...), 7, 7)}, {bytes: long}, {end: true}}
	if got := parseEvents(t, formatEvents(events)); !bytes.Equal(got[1].bytes, events[1].bytes) || len(got) != 4 || !got[3].end || !got[0].client {
		t.Errorf("%s", formatEvents(events))
	}
}
