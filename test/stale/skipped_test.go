package stale_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestSkippedRowsThatFail: rows that are skipped end in an ERR. go-sql-driver goes on to skip them when database/sql closes them, and reads
// what nobody owes it. That is no second user of the connection, and it does not wait: an ERR ends an answer.
func TestSkippedRowsThatFail(t *testing.T) {
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		waited := time.Hour
		for range 5 { // the machine may be busy
			waited = min(waited, skippedRowsThatFail(t, secure))
		}
		if waited > time.Second/2 {
			t.Errorf("the driver waited for %s", waited)
		}
	})
}

func skippedRowsThatFail(t *testing.T, secure bool) (waited time.Duration) {
	db, reports := kit.Scripted(t, secure, mysqltest.ServeForever(func(s *mysqltest.Session, _ byte, _ []byte) error {
		b := resultSet("1")
		end := len(b) - len(mysqltest.Packet(4, mysqltest.ResultEndPayload(mysqltest.StatusAutocommit, 0)))
		return s.WriteRaw(append(b[:end], mysqltest.Packet(4, mysqltest.ERRPayload(1242, "21000", "Subquery returns more than 1 row"))...))
	}))
	ctx := kit.Timeout(t, 30*time.Second)
	rows, err := db.QueryContext(ctx, "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	if rows.NextResultSet() {
		t.Error("there is no further result")
	}
	var said *mysql.MySQLError
	if err := rows.Err(); !errors.As(err, &said) || said.Number != 1242 {
		t.Errorf("%v, want the server's error", err)
	}
	if err := rows.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	_ = db.Close()
	r := reports.Only(t)
	if r.Cause.Slug != "read_nothing_due" {
		t.Errorf("%+v", r)
	}
	return r.Evidence.NothingDue
}
