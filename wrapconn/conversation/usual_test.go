package conversation

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// longWay takes each packet as one that is not usual.
type longWay struct{ *frames }

func (l longWay) Packet(h wire.Header, prefix []byte) { l.packet(h, prefix) }

// byBothWays are two conversations of this process that are told the same, one of
// which takes no packet the short way.
type byBothWays struct {
	*testing.T
	short, long *Conversation
	now         time.Duration
}

func newByBothWays(t *testing.T) *byBothWays {
	cfg := Config{Start: epoch, History: 32}
	b := &byBothWays{T: t, short: New(cfg), long: New(cfg)}
	if b.short.x != nil {
		t.Fatal("it has extras, and never goes the short way")
	}
	for _, f := range []*frames{&b.long.client.frames, &b.long.server.frames} {
		f.r.Init(longWay{f})
	}
	return b
}

// each tells both, and compares all that they know.
func (b *byBothWays) each(tell func(c *Conversation, now time.Duration)) {
	b.Helper()
	b.now += time.Millisecond
	for _, c := range []*Conversation{b.short, b.long} {
		tell(c, b.now)
	}
	s, l := b.short, b.long
	for what, pair := range map[string][2]any{
		"tracker": {s.tracker, l.tracker}, "marks": {s.marks, l.marks}, "last words": {s.said, l.said}, "counts": {s.counts, l.counts},
		"state": {s.State(), l.State()}, "evidence": {s.Evidence(b.now), l.Evidence(b.now)}, "inside": {inside(s), inside(l)},
		"findings": {s.Take(), l.Take()},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			b.Fatalf("%s: the short way leaves\n%+v\nthe long one\n%+v", what, pair[0], pair[1])
		}
	}
	shown, forgotten := s.History()
	want, before := l.History()
	if !reflect.DeepEqual(shown, want) || forgotten != before {
		b.Fatalf("history: the short way leaves\n%+v, %d\nthe long one\n%+v, %d", shown, forgotten, want, before)
	}
}

// TestUsualPackets: what the short way of the usual packets leaves is what the long
// way would, in lawful conversations and with faults in them, however they are cut.
func TestUsualPackets(t *testing.T) {
	r := rand.New(rand.NewPCG(28, 11))
	eof := mysqltest.EOFPayload(0, 2)
	refused := mysqltest.ERRPayload(1064, "42000", "no")
	exchanges := []func() []segment{
		selectOne, classic,
		func() []segment { return prepared() },
		func() []segment { return prepared(eof) },
		func() []segment {
			return []segment{fromClient(0, []byte{0x0e}), fromServer(1, mysqltest.OKPayload(0, 0, 2, 0))}
		},
		func() []segment { return []segment{query("SELEKT"), fromServer(1, refused)} },
		func() []segment { // breaks off among its rows
			return []segment{query("SELECT 1"), fromServer(1, []byte{1}, column, mysqltest.TextRowPayload(1), refused)}
		},
		func() []segment { // two results
			return []segment{query("CALL p()"), fromServer(1, []byte{1}, column, mysqltest.TextRowPayload(1), mysqltest.ResultEndPayload(10, 0),
				mysqltest.OKPayload(0, 0, 2, 0))}
		},
		func() []segment { // nobody has asked for that
			return []segment{fromServer(byte(r.IntN(3)), mysqltest.OKPayload(0, 0, 2, 0))}
		},
		func() []segment { return []segment{query("SELECT 1"), query("SELECT 2")} },
	}
	logins := [][]segment{plainLogin(), loginOf(1 << 24)} // with and without CLIENT_DEPRECATE_EOF
	usual := 0
	for range 3000 {
		b := newByBothWays(t)
		talk := join(logins[r.IntN(len(logins))])
		for range 1 + r.IntN(6) {
			n := len(exchanges)
			if r.IntN(3) > 0 {
				n -= 2 // mostly lawful
			}
			talk = append(talk, exchanges[r.IntN(n)]()...)
		}
		for i, s := range talk {
			p := append([]byte(nil), s.bytes...)
			if i > 2 && r.IntN(12) == 0 {
				p[r.IntN(len(p))] = byte(r.IntN(256))
			}
			for len(p) > 0 {
				n := len(p)
				if r.IntN(3) == 0 {
					n = 1 + r.IntN(n)
				}
				if s.dir == session.FromClient && b.short.BetweenCommands() {
					b.each(func(c *Conversation, now time.Duration) { c.BeforeCommand(now) })
				}
				b.each(func(c *Conversation, now time.Duration) { c.Bytes(s.dir, p[:n], now) })
				p = p[n:]
			}
		}
		usual += int(b.short.State().Commands)
		b.each(func(c *Conversation, now time.Duration) {
			c.End(session.FromServer, cause.StreamReset, errors.New("reset"), now)
		})
	}
	if usual < 3000 {
		t.Errorf("only %d commands were followed", usual)
	}
}
