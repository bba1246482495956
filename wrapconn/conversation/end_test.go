package conversation

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// The end of either side, wherever it comes.
func TestEnds(t *testing.T) {
	login := plainLogin()
	half := fromServer(1, []byte{1}, column)
	inside := segment{session.FromServer, half.bytes[:len(half.bytes)-3]}
	cut := segment{session.FromClient, query("SELECT 1").bytes[:6]}
	for _, tt := range []struct {
		name               string
		said               []segment
		phase              session.Phase
		byClient, byServer bool // is it a finding?
	}{
		{"before the greeting", nil, session.PhaseGreeting, true, true},
		{"before the login", login[:1], session.PhaseLogin, true, true},
		{"before the OK", login[:2], session.PhaseAuth, true, true},
		{"idle", login, session.PhaseReady, false, false},
		{"in a command", join(login, []segment{cut}), session.PhaseReady, true, false},
		{"before the answer", join(login, []segment{query("SELECT 1")}), session.PhaseCommand, true, true},
		{"in the answer", join(login, []segment{query("SELECT 1"), half}), session.PhaseRows, true, true},
		{"in a packet of the answer", join(login, []segment{query("SELECT 1"), inside}), session.PhaseColumns, true, true},
		{"after COM_QUIT", join(login, []segment{fromClient(0, []byte{1})}), session.PhaseQuit, false, false},
	} {
		for _, dir := range []session.Direction{session.FromServer, session.FromClient} {
			for how, err := range map[cause.StreamEnd]error{cause.StreamEOF: io.EOF, cause.StreamReset: syscall.ECONNRESET} {
				t.Run(tt.name+"/"+dir.String()+"/"+how.String(), func(t *testing.T) {
					w := newWatch(another())
					w.say(tt.said...)
					w.End(dir, how, err, w.now+time.Second)
					// The other side follows: a consequence.
					w.End(1-dir, cause.StreamEOF, nil, w.now+2*time.Second)
					want := tt.byServer
					if dir == session.FromClient {
						want = tt.byClient
					}
					found := w.Take()
					if !want {
						if len(found) != 0 {
							t.Fatalf("%+v", found)
						}
					} else {
						if len(found) != 1 {
							t.Fatalf("%d findings", len(found))
						}
						e := found[0].Evidence
						if e.Violation != session.Truncated || e.Direction != dir || e.Stream != how || e.Phase != tt.phase || found[0].Err != err {
							t.Errorf("%s from %s, %s in %s, %v", e.Violation, e.Direction, e.Stream, e.Phase, found[0].Err)
						}
					}
					s := w.State()
					if dir == session.FromServer {
						s.ServerEnd, s.ClientEnd, s.ServerEndAt = s.ClientEnd, s.ServerEnd, s.ClientEndAt
						s.ServerEndAt, s.ClientEndAt = w.State().ClientEndAt, w.State().ServerEndAt
					}
					if s.ClientEnd != how || s.ClientEndAt != w.now+time.Second || s.ServerEnd != cause.StreamEOF || s.ServerEndAt != w.now+2*time.Second {
						t.Errorf("%+v", s)
					}
				})
			}
		}
	}
}

// A client that has given up waiting says so before it hangs up.
func TestGivenUp(t *testing.T) {
	w := newWatch(Config{})
	w.say(join(plainLogin(), []segment{query("SELECT SLEEP(9)")})...)
	w.Close()
	w.End(session.FromServer, cause.StreamTimeout, nil, w.now+time.Second)
	if f := only(t, w.Conversation); f.Evidence.Stream != cause.StreamTimeout || f.Evidence.SinceCommand != time.Second {
		t.Errorf("%+v", f.Evidence)
	}
	// What ends after this side's Close is its own doing.
	c := newWatch(Config{})
	c.say(join(plainLogin(), []segment{query("SELECT SLEEP(9)")})...)
	c.Close()
	c.End(session.FromServer, cause.StreamEOF, io.EOF, c.now)
	fine(t, c.Conversation)
}

// What a server says before it hangs up on a write is why.
func TestWriteFailed(t *testing.T) {
	broken := errors.New("broken pipe")
	t.Run("words", func(t *testing.T) {
		w := newWatch(another())
		w.say(join(plainLogin(), []segment{query("INSERT")})...)
		w.WriteFailed(3)
		w.say(fromServer(1, mysqltest.ERRPayload(1153, "08S01", "too large")))
		w.End(session.FromServer, cause.StreamBroken, broken, w.now)
		f := only(t, w.Conversation)
		if f.Evidence.ServerError == nil || f.Evidence.ServerError.Code != 1153 || f.Evidence.Phase != session.PhaseCommand || f.Evidence.Unsent != 3 {
			t.Errorf("%+v", f.Evidence)
		}
	})
	t.Run("none", func(t *testing.T) {
		w := newWatch(another())
		w.say(join(plainLogin(), []segment{query("INSERT")})...)
		w.WriteFailed(3)
		w.End(session.FromServer, cause.StreamBroken, broken, w.now)
		if f := only(t, w.Conversation); f.Evidence.ServerError != nil || f.Evidence.Stream != cause.StreamBroken || f.Err != broken {
			t.Errorf("%+v", f.Evidence)
		}
	})
	t.Run("it goes on", func(t *testing.T) {
		w := newWatch(another())
		w.say(plainLogin()...)
		w.WriteFailed(0)
		w.Resumed()
		w.say(selectOne()...)
		w.End(session.FromServer, cause.StreamEOF, nil, w.now)
		fine(t, w.Conversation)
	})
}

// B6: a binary log that is followed has no end, so leaving is how a replica stops.
func TestReplicaStops(t *testing.T) {
	following := join(plainLogin(), []segment{fromClient(0, []byte("\x12\x04\x00\x00\x00\x00\x00\x02\x00\x00\x00")), fromServer(1, []byte("\x00\x66\x6f\x6f\x62"))})
	for _, how := range []cause.StreamEnd{cause.StreamEOF, cause.StreamReset} {
		w := newWatch(another())
		w.say(following...)
		w.End(session.FromClient, how, nil, time.Second)
		w.End(session.FromServer, cause.StreamEOF, nil, 2*time.Second)
		fine(t, w.Conversation)
		// A source that stops is another matter.
		w = newWatch(another())
		w.say(following...)
		w.End(session.FromServer, how, nil, time.Second)
		w.End(session.FromClient, cause.StreamEOF, nil, 2*time.Second)
		if f := only(t, w.Conversation); f.Evidence.Phase != session.PhaseEvents || f.Evidence.Direction != session.FromServer {
			t.Errorf("%s: %+v", how, f.Evidence)
		}
	}
	// In the middle of an acknowledgement nobody stops.
	w := newWatch(another())
	w.say(following...)
	w.say(segment{session.FromClient, []byte{20, 0, 0, 0, 0xef}})
	w.End(session.FromClient, cause.StreamEOF, nil, time.Second)
	if f := only(t, w.Conversation); f.Evidence.Direction != session.FromClient {
		t.Errorf("%+v", f.Evidence)
	}
}
