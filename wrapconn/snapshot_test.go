package wrapconn

import (
	"sync"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// A connection from the dial to the end, as a snapshot tells it.
func TestSnapshot(t *testing.T) {
	m := &queueConn{}
	c := New(m, Options{Server: "db:3306", Network: "tcp", Database: "shop", Operations: true, CallSites: true})
	defer c.Close()
	if s := c.Snapshot(); s.Phase != session.PhaseGreeting || s.Connection != 0 || s.Owner != nil || s.Idle < 0 || len(s.History) != 0 {
		t.Errorf("before the greeting: %+v", s)
	}
	ctx := t.Context()
	begin := func(kind OpKind) {
		t.Helper()
		if _, err := c.Begin(ctx, kind); err != nil {
			t.Fatal(err)
		}
	}
	begin(OpConnect)
	pass(t, c, m, loginSegments(), whole)
	c.End(false)

	s := c.Snapshot()
	if s.Server != "db:3306" || s.Network != "tcp" || s.Database != "shop" || s.ServerVersion == "" || s.Connection == 0 {
		t.Errorf("whose connection: %+v", s)
	}
	if s.Phase != session.PhaseReady || s.Pending != 0 || s.Commands != 0 || s.TLS != cause.TLSNone || s.Compressed || s.Owner != nil {
		t.Errorf("after the login: %+v", s)
	}
	if len(s.History) != 3 || s.History[2].Kind != session.KindOK || s.Received == 0 || s.Sent != uint64(len(m.written)) {
		t.Errorf("what passed: %+v", s)
	}

	begin(OpQuery)
	x := selectOne().parts
	pass(t, c, m, x[:1], whole)
	s = c.Snapshot()
	if s.Owner == nil || s.Owner.Kind != OpQuery || s.Leased || s.Owner.Age < 0 || s.Owner.Context == ctx {
		t.Errorf("a query is under way: %+v", s.Owner)
	}
	if s.Phase != session.PhaseCommand || s.Command != session.ComQuery || s.Commands != 1 || s.Pending != 1 || s.Expected != 1 {
		t.Errorf("its command is out: %+v", s)
	}
	c.End(true)
	if s = c.Snapshot(); s.Owner == nil || s.Owner.Kind != OpQuery || !s.Leased {
		t.Errorf("its rows are out: %+v", s.Owner)
	}
	c.Drop()
	if s = c.Snapshot(); s.Owner != nil || s.Leased {
		t.Errorf("its rows are closed: %+v", s.Owner)
	}

	begin(OpRead)
	m.queue = append(m.queue, mysqltest.Packet(7, mysqltest.OKPayload(0, 0, 2, 0)))
	_, _ = c.Read(make([]byte, 100))
	c.End(false)
	if s = c.Snapshot(); s.Broken == "" {
		t.Errorf("after a wrong number: %+v", s)
	}
}

// A snapshot may be taken at any moment of the traffic.
func TestSnapshotRace(t *testing.T) {
	c, m := loggedIn(t, Options{Server: t.Name(), CallSites: true})
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				s := c.Snapshot()
				if s.Owner != nil && s.Owner.Kind != OpQuery {
					t.Errorf("owner %s", s.Owner)
				}
			}
		})
	}
	x := selectOne().parts
	for range 500 {
		if _, err := c.Begin(t.Context(), OpQuery); err != nil {
			t.Fatal(err)
		}
		pass(t, c, m, x, whole)
		c.End(true)
		c.Drop()
		c.Forget()
	}
	close(done)
	wg.Wait()
}
