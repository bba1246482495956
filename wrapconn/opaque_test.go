package wrapconn

import (
	"math"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/internal/witness"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// goneConn is queueConn whose peer is gone: what is written fails.
type goneConn struct {
	queueConn
	gone bool
}

func (m *goneConn) Write(p []byte) (int, error) {
	if m.gone {
		return 0, syscall.ECONNRESET
	}
	return m.queueConn.Write(p)
}

func (c *Conn) hideForTest() {
	c.mu.Lock()
	defer c.unlock()
	c.talk.Opaque("for the test", c.now())
}

// A pool closes a connection that its server has ended: the good-bye cannot be written, and
// nothing has failed. Where packets are not seen, it must not be taken for a command.
func TestGoodByeThatCannotBeWritten(t *testing.T) {
	for name, hide := range map[string]bool{"seen": false, "opaque": true} {
		m, told := &goneConn{}, &reports{}
		c := New(m, Options{Operations: true, OnReport: told.add})
		c.TryBegin(t.Context(), OpConnect)
		pass(t, c, &m.queueConn, loginSegments(), whole)
		c.End(false)
		if hide {
			c.hideForTest()
		}
		m.gone = true
		c.TryBegin(t.Context(), OpClose)
		if _, err := c.Write(mysqltest.Packet(0, []byte{byte(session.ComQuit)})); err == nil {
			t.Fatalf("%s: it was written", name)
		}
		for _, r := range told.all() {
			t.Errorf("%s: %s: %s", name, r.Cause.Slug, r.Cause.Explanation)
		}
	}
}

// So it is with the statements of such a connection, which the pool closes before.
func TestStatementsOfAConnectionThatEndedUnseen(t *testing.T) {
	for name, tx := range map[string]bool{"idle": false, "in a transaction": true} {
		m, told := &goneConn{}, &reports{}
		c := New(m, Options{Operations: true, OnReport: told.add})
		c.TryBegin(t.Context(), OpConnect)
		pass(t, c, &m.queueConn, loginSegments(), whole)
		c.End(false)
		c.hideForTest()
		c.Transaction(tx)
		m.gone = true
		c.TryBegin(t.Context(), OpStmtClose)
		if _, err := c.Write(mysqltest.Packet(0, []byte{byte(session.ComStmtClose), 1, 0, 0, 0})); err == nil {
			t.Fatalf("%s: it was written", name)
		}
		if got := len(told.all()); (got > 0) != tx {
			t.Errorf("%s: %d reports", name, got)
		}
		if c.Err() == nil {
			t.Errorf("%s: the connection may be used again", name)
		}
	}
}

// What came of a login that cannot be seen, only its client knows: the first bytes behind it
// may be a refusal.
func TestLoginThatIsNotSeen(t *testing.T) {
	const server = "unseenlogin.test:3306"
	met := time.Now()
	id := observed.Ended(server, witness.End{At: met.Add(-time.Millisecond)})
	loggedIn := func() bool {
		return observed.Around(server, id, met.Add(-time.Second), time.Now()).LoggedInAfter > 0
	}
	m := &queueConn{}
	c := New(m, Options{Operations: true, Server: server})
	c.TryBegin(t.Context(), OpConnect)
	pass(t, c, m, loginSegments()[:2], whole)
	c.hideForTest()
	pass(t, c, m, loginSegments()[2:], whole)
	if loggedIn() {
		t.Error("bytes that cannot be seen count as a login that succeeded")
	}
	c.Pooled()
	if !loggedIn() {
		t.Error("a login of which its client has said that it is over does not count")
	}
}

// A readTimeout may be as long as a Duration can be, which is beyond the last time that
// UnixNano can tell: such a limit has not run out.
func TestDeadlinesFarOff(t *testing.T) {
	c := New(deadlineConn{}, Options{})
	for _, tt := range []struct {
		name string
		at   time.Time
		late bool
	}{
		{"none", time.Time{}, false},
		{"the longest Duration from now", time.Now().Add(math.MaxInt64), false},
		{"the year 9999", time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), false},
		{"the year 1", time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), true},
		{"a moment ago", time.Now().Add(-time.Second), true},
		{"an hour from now", time.Now().Add(time.Hour), false},
	} {
		if _ = c.SetReadDeadline(tt.at); c.late() != tt.late {
			t.Errorf("%s: late %v", tt.name, c.late())
		}
	}
}

type deadlineConn struct{ net.Conn }

func (deadlineConn) SetReadDeadline(time.Time) error { return nil }
func (deadlineConn) RemoteAddr() net.Addr            { return nil }
func (deadlineConn) LocalAddr() net.Addr             { return nil }
