package conversation

import (
	"slices"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// TestLateGreeting: the time for which the greeting lay unread, and that which the
// write of the login took, are the client's.
func TestLateGreeting(t *testing.T) {
	const ms = time.Millisecond
	s := plainLogin()
	c := New(Config{})
	want := func(what string, now, pause, login, write time.Duration) {
		t.Helper()
		if e := c.Evidence(now); e.OwnPause != pause || e.LoginAfter != login || e.WriteTook != write || e.GreetingLay != 2*time.Second || !e.GreetingTimed {
			t.Errorf("%s: pause %v, login after %v, write %v, unread %v", what, e.OwnPause, e.LoginAfter, e.WriteTook, e.GreetingLay)
		}
	}
	c.FirstRead(5 * ms)
	c.GreetingCame(2 * time.Second)
	want("before the greeting is told", 8*ms, 2*time.Second, 0, 0)
	c.Bytes(s[0].dir, s[0].bytes, 10*ms)
	want("greeting read", 20*ms, 2010*ms, 0, 0)
	c.Bytes(s[1].dir, s[1].bytes, 30*ms)
	want("login told", 30*ms, 2020*ms, 20*ms, 0)
	c.LoginWritten(0, 530*ms)
	want("login written", 540*ms, 2520*ms, 520*ms, 500*ms)
	c.Bytes(s[2].dir, s[2].bytes, 600*ms)
	c.LoginWritten(0, 900*ms) // another goroutine had read the answer by then
	if m := c.marks; m.ownPause != 2520*ms || m.writing != 500*ms {
		t.Errorf("answered before the write was over: pause %v, write %v", m.ownPause, m.writing)
	}
}

// TestLoginNotWritten: a login of which a part was not written has not been sent.
func TestLoginNotWritten(t *testing.T) {
	const ms = time.Millisecond
	s := plainLogin()
	c := New(Config{})
	c.Bytes(s[0].dir, s[0].bytes, 10*ms)
	c.Bytes(s[1].dir, s[1].bytes, 30*ms)
	c.LoginWritten(1, 3030*ms)
	if e := c.Evidence(3040 * ms); e.SinceLogin != 0 || e.LoginAfter != 0 || e.OwnPause != 3020*ms || e.WriteTook != 3000*ms {
		t.Errorf("sent %v ago, %v after the greeting; pause %v, write %v", e.SinceLogin, e.LoginAfter, e.OwnPause, e.WriteTook)
	}
}

// TestAwaited: within the login, who has to go on, and when the client wrote last.
func TestAwaited(t *testing.T) {
	const ms = time.Millisecond
	s := plainLogin()
	c := New(Config{})
	want := func(what string, now, wrote time.Duration, awaited bool) {
		t.Helper()
		if e := c.Evidence(now); e.WroteAfter != wrote || e.Awaited != awaited {
			t.Errorf("%s: written %v after the greeting, awaited %v", what, e.WroteAfter, e.Awaited)
		}
	}
	c.Bytes(s[0].dir, s[0].bytes, 10*ms)
	want("greeting read", 20*ms, 0, true)
	c.Bytes(s[1].dir, s[1].bytes, 30*ms)
	want("login written", 2000*ms, 20*ms, false)
	other := "\xfemysql_native_password\x0001234567890123456789\x00"
	late := "\xff\x87\x04#08S01Got timeout reading communication packets"
	c.Bytes(session.FromServer, slices.Concat([]byte{byte(len(other)), 0, 0, 2}, []byte(other), []byte{byte(len(late)), 0, 0, 3}, []byte(late)), 2500*ms)
	found := c.Found()
	if !found || !c.found[0].Evidence.Awaited || c.found[0].Evidence.WroteAfter != 20*ms {
		t.Errorf("an AuthSwitchRequest and ERR 1159 in one piece: %v, %+v", found, c.found)
	}

	c = New(Config{})
	c.Bytes(s[0].dir, s[0].bytes, 10*ms)
	c.Bytes(s[1].dir, s[1].bytes, 30*ms)
	c.Bytes(session.FromServer, []byte("\x02\x00\x00\x02\x01\x03"), 40*ms)
	want("caching_sha2_password has the password: the OK is the server's", 50*ms, 20*ms, false)
}

// TestTicketsAskForNothing: TLS sends its tickets when the handshake is over, often behind the login. Who has read them waits for the server as before
// (met behind a relay that held the login for 3 s: "this process kept the server waiting for 2.2 s").
func TestTicketsAskForNothing(t *testing.T) {
	const ms = time.Millisecond
	for _, turn := range []bool{false, true} {
		m := marks{greeting: ms, login: 30 * ms, write: 30 * ms, read: 31 * ms, turn: turn, heard: 2000}
		e := cause.Evidence{Phase: session.PhaseAuth}
		m.evidence(&e, 2231*ms, 2478)
		want := time.Duration(0)
		if turn {
			want = 2200 * ms
		}
		if e.OwnPause != want {
			t.Errorf("the client's turn: %v; pause %v, want %v", turn, e.OwnPause, want)
		}
	}
}
