package conversation

import (
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// A lawful conversation is followed to its end, and nothing is found.
func TestLawful(t *testing.T) {
	for name, cfg := range map[string]Config{"ours": {}, "another's": another()} {
		t.Run(name, func(t *testing.T) {
			w := newWatch(cfg)
			w.say(join(plainLogin(), selectOne(), prepared())...)
			if !w.Idle() {
				t.Fatalf("%s", w.Phase())
			}
			w.End(session.FromServer, cause.StreamEOF, nil, w.now)
			fine(t, w.Conversation)
			s := w.State()
			if s.Commands != 4 || s.Phase != session.PhaseClosed || s.LastByte != w.now || s.Findings != 0 {
				t.Errorf("%+v", s)
			}
			if len(w.packets) != 18 {
				t.Errorf("%d packets:\n%s", len(w.packets), w.list(true))
			}
		})
	}
}

// Any cut of the same bytes gives the same.
func TestCutAtEveryByte(t *testing.T) {
	all := join(plainLogin(), selectOne(), prepared(), []segment{query("nonsense"), fromServer(1, mysqltest.ERRPayload(1064, "42000", "no"))},
		[]segment{query("LOAD"), fromServer(1, []byte("\xfbfile")), fromClient(2, []byte("a,b"), nil), fromServer(4, mysqltest.OKPayload(1, 0, 2, 0))},
		[]segment{fromClient(0, []byte{1})})
	for name, cfg := range map[string]Config{"ours": {}, "another's": another()} {
		whole := newWatch(cfg)
		whole.say(all...)
		if fine(t, whole.Conversation); whole.Phase() != session.PhaseQuit {
			t.Fatal(whole.Phase())
		}
		for i, s := range all {
			for n := 1; n < len(s.bytes); n++ {
				w := newWatch(cfg)
				w.say(all[:i]...)
				w.say(segment{s.dir, s.bytes[:n]}, segment{s.dir, s.bytes[n:]})
				w.say(all[i+1:]...)
				if w.list(false) != whole.list(false) || inside(w.Conversation) != inside(whole.Conversation) || w.State().Client != whole.State().Client {
					t.Fatalf("%s, segment %d cut at %d:\n%s%s\nwhole:\n%s%s", name, i, n, w.list(false), inside(w.Conversation), whole.list(false), inside(whole.Conversation))
				}
			}
		}
		w := newWatch(cfg)
		for _, s := range all {
			for i := range s.bytes {
				w.say(segment{s.dir, s.bytes[i : i+1]})
			}
		}
		// Rows that come in pieces are a run in the history, not in what is told.
		if w.list(false) != whole.list(false) || inside(w.Conversation) != inside(whole.Conversation) {
			t.Fatalf("%s, byte by byte:\n%s", name, w.list(false))
		}
	}
}

// The first violation is not the last word.
func TestAfterAFinding(t *testing.T) {
	wrong := []segment{query("SELECT 1"), fromServer(7, mysqltest.OKPayload(0, 0, 2, 0))}
	stray := fromServer(1, mysqltest.OKPayload(0, 0, 2, 0))
	all := join(plainLogin(), wrong, selectOne(), []segment{stray}, selectOne())

	w := newWatch(another())
	w.say(all...)
	found := w.Take()
	if len(found) != 2 || found[0].Evidence.Violation != session.SequenceMismatch || found[1].Evidence.Violation != session.Unsolicited {
		t.Fatalf("%+v", found)
	}
	if found[0].Number != 1 || found[1].Number != 2 || found[0].Survived {
		t.Errorf("%d and %d", found[0].Number, found[1].Number)
	}
	if f := found[1]; f.Evidence.Commands != 2 || len(f.History) == 0 || f.History[len(f.History)-1].Violation != session.Unsolicited {
		t.Errorf("the second: %+v", f)
	}
	if s := w.State(); s.Commands != 3 || !w.Idle() || !w.Ended() || s.Findings != 2 {
		t.Errorf("then: %+v", s)
	}

	// A client that gives the connection up hears of the first one alone.
	c := newWatch(Config{FirstOnly: true})
	c.say(all...)
	if f := only(t, c.Conversation); f.Evidence.Violation != session.SequenceMismatch {
		t.Errorf("%+v", f)
	}
}

// A peer that numbers everything in its own way does not make a finding of
// every packet.
func TestAlike(t *testing.T) {
	w := newWatch(another())
	w.say(plainLogin()...)
	for range 100 {
		w.say(query("DO 1"), fromServer(9, mysqltest.OKPayload(0, 0, 2, 0)))
	}
	if n := len(w.Take()); n != toldAlike {
		t.Errorf("%d findings", n)
	}
	if s := w.State(); s.Findings != 100 || s.Commands != 100 {
		t.Errorf("%+v", s)
	}
}

// Rows can be had one by one.
func TestEachRow(t *testing.T) {
	rows := [][]byte{{1}, column}
	for i := range 300 {
		rows = append(rows, mysqltest.TextRowPayload(i))
	}
	rows = append(rows, mysqltest.ResultEndPayload(2, 0))
	for each, want := range map[bool]int{false: 3 + 1 + 4, true: 3 + 1 + 303} {
		w := newWatch(Config{EachRow: each})
		w.say(join(plainLogin(), []segment{query("SELECT"), fromServer(1, rows...)})...)
		fine(t, w.Conversation)
		if len(w.packets) < want || len(w.packets) > want+1 {
			t.Errorf("each %v: %d packets, want %d", each, len(w.packets), want)
		}
	}
}
