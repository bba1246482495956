package report

import (
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// A stream of events that its own reader has had killed is no loss; one that
// somebody else, or nobody, has had killed is.
func TestOwnKill(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	reader := cause.Client{Address: "10.0.0.7:4711", User: "repl"}
	ended := func(change func(*conversation.Finding)) *conversation.Finding {
		f := &conversation.Finding{Time: now, Connection: 57, Evidence: cause.Evidence{
			Violation: session.Truncated, Phase: session.PhaseEvents, Direction: session.FromServer, Stream: cause.StreamEOF, Client: reader,
		}}
		change(f)
		return f
	}
	same := func(*conversation.Finding) {}
	for _, tt := range []struct {
		name   string
		by     cause.Client
		after  time.Duration
		server string
		change func(*conversation.Finding)
		own    bool
	}{
		{"by itself", cause.Client{Address: "10.0.0.7:4999", User: "repl"}, time.Millisecond, "db:3306", same, true},
		{"by another user", cause.Client{Address: "10.0.0.7:4999", User: "root"}, time.Millisecond, "db:3306", same, false},
		{"from elsewhere", cause.Client{Address: "10.0.0.8:4999", User: "repl"}, time.Millisecond, "db:3306", same, false},
		{"long ago", cause.Client{Address: "10.0.0.7:4999", User: "repl"}, time.Minute, "db:3306", same, false},
		{"on another server", cause.Client{Address: "10.0.0.7:4999", User: "repl"}, time.Millisecond, "other:3306", same, false},
		{"another connection", cause.Client{Address: "10.0.0.7:4999", User: "repl"}, time.Millisecond, "db:3306", func(f *conversation.Finding) { f.Connection++ }, false},
		{"a statement", cause.Client{Address: "10.0.0.7:4999", User: "repl"}, time.Millisecond, "db:3306", func(f *conversation.Finding) { f.Evidence.Phase = session.PhaseRows }, false},
	} {
		var k Kills
		f := ended(tt.change)
		if k.Own("db:3306", f) {
			t.Errorf("%s: own before it was asked for", tt.name)
		}
		k.Add(tt.server, conversation.Kill{Connection: 57, By: tt.by, Time: now.Add(-tt.after)})
		if got := k.Own("db:3306", f); got != tt.own {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
	var k Kills
	for i := range uint32(3 * maxKills) {
		k.Add("db:3306", conversation.Kill{Connection: i})
	}
	if n := len(k.asked); n > maxKills {
		t.Errorf("%d are kept", n)
	}
}
