//go:build !race

package owner_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// canned answers any query with a row of one number, in text or binary, and anything else with OK.
func canned(s *mysqltest.Session, cmd byte, body []byte) error {
	column := mysqltest.ColumnPayload(mysqltest.Column{Name: "n", Type: mysqltest.TypeLongLong})
	end := mysqltest.ResultEndPayload(mysqltest.StatusAutocommit, 0)
	send := func(payloads ...[]byte) error {
		var out []byte
		for i, p := range payloads {
			out = append(out, mysqltest.Packet(byte(i+1), p)...)
		}
		return s.WriteRaw(out)
	}
	switch {
	case cmd == mysqltest.ComQuery && body[0] == 'S' && body[1] == 'E':
		return send([]byte{1}, column, mysqltest.TextRowPayload(1), end)
	case cmd == mysqltest.ComStmtPrepare:
		ok := binary.LittleEndian.AppendUint32([]byte{0}, 1)
		return send(append(ok, 1, 0, 1, 0, 0, 0, 0), column, column)
	case cmd == mysqltest.ComStmtExecute:
		return send([]byte{1}, column, []byte{0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, end)
	case cmd == mysqltest.ComStmtClose:
		return nil
	}
	return mysqltest.AnswerOK(s, cmd, body)
}

// TestAllocations compares the guard with the plain driver, operation by operation.
func TestAllocations(t *testing.T) {
	dsn := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(canned)).DSN("")
	plain, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	guarded, reports := kit.Open(t, dsn, func(c *mysql.Config) { c.Logger = nil })
	ctx := context.Background()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, op := range []struct {
		name string
		run  func(c *sql.DB, s *sql.Stmt)
	}{
		{"SELECT 1", func(c *sql.DB, _ *sql.Stmt) { check(c.QueryRowContext(ctx, "SELECT 1").Scan(new(int))) }},
		{"prepared point select", func(_ *sql.DB, s *sql.Stmt) { check(s.QueryRowContext(ctx, 1).Scan(new(int))) }},
		{"exec", func(c *sql.DB, _ *sql.Stmt) { _, err := c.ExecContext(ctx, "DO 1"); check(err) }},
		{"query with a parameter", func(c *sql.DB, _ *sql.Stmt) { check(c.QueryRowContext(ctx, "SELECT ?", 1).Scan(new(int))) }},
		{"begin and commit", func(c *sql.DB, _ *sql.Stmt) { tx, err := c.BeginTx(ctx, nil); check(err); check(tx.Commit()) }},
		{"ping", func(c *sql.DB, _ *sql.Stmt) { check(c.PingContext(ctx)) }},
	} {
		var allocs [2]float64
		for i, db := range []*sql.DB{plain, guarded} {
			db.SetMaxOpenConns(1)
			s, err := db.PrepareContext(ctx, "SELECT ?")
			check(err)
			// The least of some tries: the runtime allocates now and then, too.
			for try := range 5 {
				if n := testing.AllocsPerRun(300, func() { op.run(db, s) }); try == 0 || n < allocs[i] {
					allocs[i] = n
				}
			}
			_ = s.Close()
		}
		t.Logf("%-24s plain %3.0f, guarded %3.0f", op.name, allocs[0], allocs[1])
		if allocs[1] > allocs[0]+4 {
			t.Errorf("%s: %.0f allocations, %.0f with the plain driver", op.name, allocs[1], allocs[0])
		}
	}
	reports.None(t)
}
