package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// TestTraceOfTheStatement: a pooled connection serves one request after another. What
// happens to a statement without a traceparent is not of the trace of the one before.
func TestTraceOfTheStatement(t *testing.T) {
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	with, without := "\x03SELECT 1 /*traceparent='"+trace+"'*/", "\x03SELECT 1"
	prepare, execute := "\x16SELECT ? /*traceparent='"+trace+"'*/", "\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00"
	for _, c := range []struct {
		name     string
		commands []string
		answered bool
		want     bool
	}{
		{"it carries one", []string{without, with}, true, true},
		{"the one before did", []string{with, without}, true, false},
		{"the one before did, and has no answer", []string{with, without}, false, true},
		{"a ping", []string{with, "\x0e"}, true, false},
		{"what was prepared with it", []string{prepare, execute}, true, true},
		{"then another", []string{prepare, execute, without}, true, false},
	} {
		var p traceparent
		var talk conversation.Conversation
		talk.Init(conversation.Config{Start: time.Now(), Network: "tcp"})
		now := time.Duration(0)
		pass := func(d session.Direction, b []byte) {
			now += time.Millisecond
			if d == session.FromClient {
				p.look(b, int64(talk.State().Received))
			}
			talk.Bytes(d, b, now)
			if d == session.FromClient {
				p.behind(&talk)
			}
		}
		pass(session.FromServer, greetingPacket)
		pass(session.FromClient, loginPacket)
		pass(session.FromServer, okPacket)
		for i, q := range c.commands {
			b := mysqltest.Packet(0, []byte(q))
			pass(session.FromClient, b[:5]) // in two pieces
			if len(b) > 5 {
				pass(session.FromClient, b[5:])
			}
			switch {
			case i == len(c.commands)-1 || !c.answered:
			case q[0] == 0x16:
				pass(session.FromServer, mysqltest.Packet(1, []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}))
			default:
				pass(session.FromServer, mysqltest.Packet(1, []byte{0, 0, 0, 2, 0, 0, 0}))
			}
		}
		if st := talk.State(); st.Commands != uint64(len(c.commands)) {
			t.Fatalf("%s: %+v", c.name, st)
		}
		if got := p.value() != (traceIDs{}); got != c.want {
			t.Errorf("%s: a trace %t, want %t", c.name, got, c.want)
		}
	}
}

// TestTraceInPieces: a long statement comes in several reads, and the traceparent may lie
// across them.
func TestTraceInPieces(t *testing.T) {
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	want := traceIDs{"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", true}
	statement := "SELECT 1 /*tracestate='rojo=00f067aa0ba902b7',traceparent='" + trace + "'*/ FROM t"
	attribute := "SELECT traceparent\x00" + strings.Repeat("x", 400) + trace
	for _, s := range []string{statement, attribute} {
		for i := range len(s) + 1 {
			for j := i; j <= len(s); j += 1 + len(s)/40 {
				var p traceparent
				for _, piece := range []string{s[:i], s[i:j], s[j:]} {
					p.look([]byte(piece), 7)
				}
				if got := p.value(); got != want {
					t.Fatalf("%q %q %q: %v", s[:i], s[i:j], s[j:], got)
				}
			}
		}
		var p traceparent
		for i := range len(s) {
			p.look([]byte{s[i]}, 7)
		}
		if got := p.value(); got != want {
			t.Errorf("%q, byte by byte: %v", s, got)
		}
	}
	for name, pieces := range map[string][2]string{
		"another command": {"SELECT traceparent", "\x00\x00\x00\x00\x03SELECT '" + trace + "'"},
		"too far behind":  {"traceparent", strings.Repeat("x", traceBehind-traceLength+1) + trace},
		"no word":         {"SELECT tracepar", " '" + trace + "'"},
	} {
		var p traceparent
		p.look([]byte(pieces[0]), 7)
		if name == "another command" {
			p.look([]byte(pieces[1]), 8) // the server has answered
		} else {
			p.look([]byte(pieces[1]), 7)
		}
		if got := p.value(); got != (traceIDs{}) {
			t.Errorf("%s: %v", name, got)
		}
	}
	// A long statement behind a piece that may begin one: what was kept is no more than needed.
	var p traceparent
	p.look([]byte("INSERT INTO t VALUES ('trace"), 7)
	p.look([]byte(strings.Repeat("x", 1<<20)+"/*traceparent='"+trace+"'*/"), 7)
	if got := p.value(); got != want || p.tail != nil {
		t.Errorf("%v, %d bytes are kept", got, len(p.tail))
	}
	for flags, sampled := range map[string]bool{"00": false, "01": true, "02": false, "03": true, "0f": true} {
		var p traceparent
		p.look([]byte("/*traceparent='"+trace[:traceLength-2]+flags+"'*/"), 0)
		if got := p.value(); got.trace != want.trace || got.sampled != sampled {
			t.Errorf("flags %s: %v", flags, got)
		}
	}
}
