package reports_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Number 38, gastownhall/beads 1438, 1443 and 4473: several result sets on one connection, of which some are not read when the next command
// comes. That is refused by name, and what it is refused on stays in order: no other user of the pool gets a bad connection.
func TestReport38ResultsLeftOpen(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		db, reports := kit.Open(t, server.DSN(""), nil)
		db.SetMaxOpenConns(1)
		ctx := kit.Timeout(t, 30*time.Second)
		for _, q := range []string{"DROP PROCEDURE IF EXISTS report38", "CREATE PROCEDURE report38() BEGIN SELECT 1 UNION SELECT 2; SELECT 3; END"} {
			if _, err := db.ExecContext(ctx, q); err != nil {
				t.Fatal(err)
			}
		}
		for _, read := range []string{"nothing", "a row", "a result"} {
			c := kit.Pin(t, db)
			id := kit.ID(t, c)
			rows, err := c.QueryContext(ctx, "CALL report38()")
			if err != nil {
				t.Fatal(err)
			}
			for read != "nothing" && rows.Next() && read == "a result" {
			}
			_, err = c.ExecContext(ctx, "DO 1")
			var misuse *seqguard.OwnershipError
			if !errors.As(err, &misuse) {
				t.Errorf("%s read: %v, want an OwnershipError", read, err)
			}
			if slug := string(reports.Only(t).Cause.Slug); !slices.Contains([]string{"result_still_open", "more_results_unread"}, slug) {
				t.Errorf("%s read: %s", read, slug)
			}
			reports.Reset()
			if err := rows.Close(); err != nil {
				t.Errorf("%s read: the close: %v", read, err)
			}
			if got := kit.ID(t, c); got != id {
				t.Errorf("%s read: another connection", read)
			}
			if err := c.Close(); err != nil {
				t.Errorf("%s read: %v", read, err)
			}
			if got := kit.ID(t, db); got != id {
				t.Errorf("%s read: the connection did not go back to the pool", read)
			}
			reports.None(t)
		}
	})
}

// session is a client of its own on a guarded connection, which go-sql-driver has logged in.
type session struct {
	*wrapconn.Conn
	t       *testing.T
	reports *kit.Collector
}

func login(t *testing.T, server *mysqltest.Instance) *session {
	t.Helper()
	cfg, err := mysql.ParseDSN(server.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, reports: &kit.Collector{}}
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		inner, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		s.Conn = wrapconn.New(inner, wrapconn.Options{Server: addr, OnReport: s.reports.Add})
		return s.NetConn(), nil
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := connector.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return s
}

// command sends one and returns the answer, when it is complete.
func (s *session) command(payload string) (answer []byte) {
	s.t.Helper()
	if err := s.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.Write(mysqltest.Packet(0, []byte(payload))); err != nil {
		s.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for !s.Idle() {
		n, err := s.Read(buf)
		if err != nil {
			s.t.Fatal(err)
		}
		answer = append(answer, buf[:n]...)
	}
	return answer
}

// The same report: a pooler between the application and the server resets connections by COM_RESET_CONNECTION, which no method of
// go-sql-driver sends. It ends the transaction and the statements, and is no reason for a report; what comes behind it is judged afresh.
func TestReport38ResetConnection(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		s := login(t, server)
		for range 3 {
			prepared := s.command("\x16SELECT ?")
			id := prepared[5:9]
			if prepared[4] != 0 {
				t.Fatalf("not prepared: % x", prepared)
			}
			s.command("\x03START TRANSACTION")
			if !s.Snapshot().InTransaction {
				t.Error("no transaction was begun")
			}
			s.command("\x1f")
			if s.Snapshot().InTransaction {
				t.Error("the transaction has outlived COM_RESET_CONNECTION")
			}
			// The statement is gone: ERR 1243 is an ordinary answer.
			answer := s.command("\x17" + string(id) + "\x00\x01\x00\x00\x00\x00\x01\x08\x00\x01\x00\x00\x00\x00\x00\x00\x00")
			if answer[4] != 0xff || binary.LittleEndian.Uint16(answer[5:]) != 1243 {
				t.Errorf("executed behind the reset: % x", answer[:min(len(answer), 40)])
			}
			if answer := s.command("\x03SELECT 1"); answer[4] != 1 {
				t.Errorf("behind it: % x", answer)
			}
		}
		s.reports.None(t)
	})
}
