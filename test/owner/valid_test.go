package owner_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// TestPoolGetsNoUnfinishedConnection: what is less than an answer, or more, keeps a connection out of the pool, and is told if it is
// more than the ordinary end.
func TestPoolGetsNoUnfinishedConnection(t *testing.T) {
	ok := mysqltest.Packet(1, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0))
	farewell := mysqltest.Packet(0, mysqltest.ERRPayload(4031, "HY000", "The client was disconnected by the server because of inactivity."))
	for _, what := range []struct {
		name     string
		extra    []byte // behind the answer, a moment later
		close    bool
		severity cause.Severity
		quiet    bool
	}{
		{name: "an answer", extra: ok, severity: cause.DataIntegrity},
		{name: "a part of a packet", extra: ok[:3], severity: cause.DataIntegrity},
		{name: "a farewell", extra: farewell, close: true, severity: cause.Notice},
		{name: "the end", close: true, quiet: true},
	} {
		t.Run(what.name, func(t *testing.T) {
			kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
				answered, sent := make(chan struct{}), make(chan struct{})
				sockets := new(kit.Sockets)
				db, reports := kit.ScriptedSockets(t, secure, sockets, kit.Echo(func(s *mysqltest.Session, _ string) error {
					<-answered
					defer close(sent)
					if err := s.WriteRaw(what.extra); len(what.extra) > 0 && err != nil {
						return err
					}
					if what.close {
						_ = s.Conn.Close()
					}
					return nil
				}))
				c := kit.Pin(t, db)
				closed := seqguard.Stats().Closed
				if err := c.QueryRowContext(context.Background(), "SELECT 1").Scan(new(int)); err != nil {
					t.Fatal(err)
				}
				close(answered)
				<-sent
				sockets.Await(t)
				kit.Raw(t, c, func(rc kit.RawConn) {
					if err := rc.ResetSession(context.Background()); !isBad(err) {
						t.Errorf("ResetSession: %v", err)
					}
					if rc.IsValid() {
						t.Error("the connection is still valid")
					}
				})
				_ = c.Close()
				if what.quiet {
					reports.None(t)
					if n := seqguard.Stats().Closed - closed; n != 1 {
						t.Errorf("%d quiet ends were counted", n)
					}
					return
				}
				if r := reports.Only(t); r.Cause.Severity != what.severity {
					t.Errorf("severity %s: %s", r.Cause.Severity, r)
				}
			})
		})
	}
}

// TestRowsOpenAreNotValid: a connection whose answer is not read to the end is valid only when it has been.
func TestRowsOpenAreNotValid(t *testing.T) {
	forOwner(t, func(t *testing.T, dsn func(string) string) {
		db, reports := kit.Open(t, dsn(""), nil)
		kit.Raw(t, kit.Pin(t, db), func(c kit.RawConn) {
			rows, err := c.QueryContext(context.Background(), numbers(500, 1000, false), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := rows.Next(make([]driver.Value, 2)); err != nil {
				t.Fatal(err)
			}
			if c.IsValid() {
				t.Error("valid with rows unread")
			}
			if err := c.ResetSession(context.Background()); err != driver.ErrBadConn {
				t.Errorf("reset with rows unread: %v", err)
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
			if !c.IsValid() {
				t.Error("not valid when the rows are closed")
			}
			if err := c.ResetSession(context.Background()); err != nil {
				t.Error(err)
			}
		})
		reports.None(t)
	})
}

// TestObserveRefusesNothing: the same is reported as in Enforce mode, and the driver does what it does, with errors that are its own.
func TestObserveRefusesNothing(t *testing.T) {
	forOwner(t, func(t *testing.T, dsn func(string) string) {
		told := map[seqguard.Mode]*seqguard.Report{}
		for _, mode := range []seqguard.Mode{seqguard.Enforce, seqguard.Observe} {
			db, reports := kit.Open(t, dsn(""), func(cfg *mysql.Config) { cfg.Logger = &mysql.NopLogger{} }, seqguard.WithMode(mode))
			c := kit.Pin(t, db)
			// With a context that can end, the plain driver waits for its end here.
			ctx := context.Background()
			rows, err := c.QueryContext(ctx, numbers(200, 100, false))
			if err != nil {
				t.Fatal(err)
			}
			if !rows.Next() {
				t.Fatal(rows.Err())
			}
			_, err = c.ExecContext(ctx, noTable)
			switch mode {
			case seqguard.Enforce:
				if err := refusal(err, "owner/valid_test.go"); err != nil {
					t.Error(err)
				}
			case seqguard.Observe:
				if err != mysql.ErrBusyBuffer {
					t.Errorf("not the driver's own error: %v", err)
				}
			}
			for rows.Next() {
			}
			if mode == seqguard.Observe && !own(rows.Err()) {
				t.Errorf("not the driver's own error: %v", rows.Err())
			}
			if mode == seqguard.Enforce && rows.Err() != nil {
				t.Errorf("the owner's rows: %v", rows.Err())
			}
			_ = rows.Close()
			if all := reports.All(); len(all) == 0 {
				t.Fatalf("%s: no report", mode)
			} else {
				told[mode] = all[0]
			}
			if _, err := c.ExecContext(ctx, "DO 1"); mode == seqguard.Observe && !own(err) {
				t.Errorf("not the driver's own error: %v", err)
			}
			_ = c.Close()
			var one int
			if err := db.QueryRow("SELECT 1").Scan(&one); err != nil || one != 1 {
				t.Errorf("%s: the pool afterwards: %d, %v", mode, one, err)
			}
		}
		e, o := told[seqguard.Enforce], told[seqguard.Observe]
		if e.Cause.Slug != o.Cause.Slug || e.Conflict != o.Conflict || e.Owner.Kind != o.Owner.Kind || e.Intruder.Kind != o.Intruder.Kind {
			t.Errorf("Enforce told %s of %s by %s, Observe %s of %s by %s", e.Cause.Slug, e.Owner, e.Intruder, o.Cause.Slug, o.Owner, o.Intruder)
		}
	})
}

// own reports whether err is one of the driver's or database/sql's, unwrapped.
func own(err error) bool {
	switch err {
	case nil, mysql.ErrBusyBuffer, mysql.ErrInvalidConn, mysql.ErrPktSync, mysql.ErrPktSyncMul, mysql.ErrMalformPkt, driver.ErrBadConn, sql.ErrConnDone:
		return true
	}
	_, server := err.(*mysql.MySQLError)
	return server
}
