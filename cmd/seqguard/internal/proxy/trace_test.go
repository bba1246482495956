package proxy

import (
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
				p.look(b)
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
