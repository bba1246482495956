package seqguard_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// This file is the specification of the registered driver: what a program may
// rely on after it has changed the one word. It runs on a scripted server, with
// Go alone; the same on real servers, under load and with every fault, is in
// test/.

func TestTheNameIsRegistered(t *testing.T) {
	if !slices.Contains(sql.Drivers(), "mysql-seqguard") {
		t.Errorf("sql.Drivers() = %q", sql.Drivers())
	}
	if seqguard.DriverName != "mysql-seqguard" {
		t.Errorf("DriverName = %q", seqguard.DriverName)
	}
}

func TestOpenConnectsNothing(t *testing.T) {
	db, err := sql.Open(seqguard.DriverName, "user:password@tcp(192.0.2.1:3306)/shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// A mistake in the DSN is told by sql.Open, not by the first query.
func TestBadDSNIsToldByOpen(t *testing.T) {
	for dsn, words := range map[string]string{
		"no slash":                 "slash",
		"tcp(db:3306)/?charset=":   "",
		"/shop?seqguardMode=off":   "seqguardMode",
		"/shop?seqguardModus=x":    "seqguardModus",
		"/shop?seqguardHistory=-1": "seqguardHistory",
	} {
		_, err := sql.Open(seqguard.DriverName, dsn)
		_, plain := sql.Open("mysql", dsn)
		if err == nil && plain != nil || err != nil && plain == nil && !strings.Contains(dsn, "seqguard") {
			t.Errorf("%s: %v, the plain driver says %v", dsn, err, plain)
		}
		if words != "" && (err == nil || !strings.Contains(err.Error(), words)) {
			t.Errorf("%s: %v does not say %q", dsn, err, words)
		}
	}
}

// echoing answers "SELECT n" with n.
func echoing(t *testing.T, opts ...seqguard.Option) (*sql.DB, *kit.Collector) {
	t.Helper()
	return kit.Scripted(t, false, kit.Echo(nil), opts...)
}

func TestHealthyTrafficIsUnchangedAndSilent(t *testing.T) {
	db, reports := echoing(t)
	ctx := kit.Timeout(t, 20*time.Second)
	var n string
	if err := db.QueryRowContext(ctx, "SELECT 42").Scan(&n); err != nil || n != "42" {
		t.Errorf("SELECT 42: %q, %v", n, err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, "DO 1"); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	reports.None(t)
}

// An ERR that answers a statement is the driver's own *mysql.MySQLError, and no
// report: nothing is wrong with the conversation.
func TestServerErrorsAreTheDriversOwn(t *testing.T) {
	db, reports := kit.Scripted(t, false, mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
		if cmd != mysqltest.ComQuery {
			return mysqltest.AnswerOK(s, cmd, body)
		}
		return s.WritePacket(mysqltest.Next, mysqltest.ERRPayload(1146, "42S02", "Table 'shop.nosuch' doesn't exist"))
	}))
	_, err := db.ExecContext(kit.Timeout(t, 20*time.Second), "DELETE FROM nosuch")
	if me, ok := err.(*mysql.MySQLError); !ok || me.Number != 1146 {
		t.Errorf("%T %v", err, err)
	}
	reports.None(t)
}

// A second statement while rows are open is refused before a byte is written:
// the error names both, is not driver.ErrBadConn, and the rows can be read on.
func TestASecondStatementIsRefusedWhileRowsAreOpen(t *testing.T) {
	db, reports := echoing(t)
	ctx := kit.Timeout(t, 20*time.Second)
	c := kit.Pin(t, db)
	rows, err := c.QueryContext(ctx, "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ExecContext(ctx, "DO 1")
	var oe *seqguard.OwnershipError
	if !errors.As(err, &oe) || oe.ErrorType() != "result_still_open" || errors.Is(err, driver.ErrBadConn) {
		t.Errorf("%T %v", err, err)
	}
	if n := strings.Count(err.Error(), "driver_test.go:"); n < 2 {
		t.Errorf("%d call sites in %v", n, err)
	}
	n := ""
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			t.Error(err)
		}
	}
	if n != "1" || rows.Err() != nil {
		t.Errorf("the rows were hurt: %q, %v", n, rows.Err())
	}
	if _, err := c.ExecContext(ctx, "DO 1"); err != nil {
		t.Errorf("after the rows: %v", err)
	}
	reports.Only(t)
}

// A pooled connection on which something waits is discarded before a byte of the
// next command is written; the pool takes another one and its user hears
// nothing.
func TestAStaleAnswerIsNeverRead(t *testing.T) {
	var stale atomic.Bool
	stale.Store(true)
	sent := make(chan struct{}, 1)
	db, reports := kit.Scripted(t, false, kit.Echo(func(s *mysqltest.Session, query string) error {
		if !stale.CompareAndSwap(true, false) {
			return nil
		}
		err := s.WritePacket(1, mysqltest.OKPayload(7, 0, mysqltest.StatusAutocommit, 0)) // nobody asked for it
		sent <- struct{}{}
		return err
	}))
	ctx := kit.Timeout(t, 20*time.Second)
	var n string
	// The extra OK may come with the answer, or after it; whichever it is, no later statement gets it.
	first := db.QueryRowContext(ctx, "SELECT 1").Scan(&n)
	<-sent
	if err := db.QueryRowContext(ctx, "SELECT 2").Scan(&n); err != nil || n != "2" {
		t.Errorf("SELECT 2: %q, %v (the first: %v)", n, err, first)
	}
	if r := reports.Only(t); r.Cause.Severity.String() != "data_integrity" {
		t.Errorf("severity %s", r.Cause.Severity)
	}
}

// When a connection breaks, the error is the driver's with the report around it.
func TestABrokenConnectionIsExplained(t *testing.T) {
	db, reports := kit.Scripted(t, false, mysqltest.Steps(mysqltest.ExpectPacket(), mysqltest.Close()))
	_, err := db.ExecContext(kit.Timeout(t, 20*time.Second), "UPDATE t SET a = 1")
	if !errors.Is(err, mysql.ErrInvalidConn) {
		t.Errorf("errors.Is(err, mysql.ErrInvalidConn) is false: %v", err)
	}
	if errors.Is(err, driver.ErrBadConn) {
		t.Errorf("the statement was written, so database/sql must not run it again: %v", err)
	}
	var pe *seqguard.ProtocolError
	if !errors.As(err, &pe) {
		t.Fatalf("no report in %v", err)
	}
	r := reports.Only(t)
	if pe.ErrorType() != "closed_before_answer" || r.Cause.Slug != pe.Report.Cause.Slug {
		t.Errorf("%s in the error, %s in the report", pe.ErrorType(), r.Cause.Slug)
	}
	if r.Cause.RetrySafe {
		t.Errorf("an UPDATE whose answer is missing is called safe to repeat")
	}
	if f, ok := r.Owner.Site(); !ok || !strings.HasSuffix(f.File, "driver_test.go") {
		t.Errorf("call site %v", f)
	}
}

// Observe reports the same and changes nothing: no refusal, no wrapping.
func TestObserveChangesNothing(t *testing.T) {
	db, reports := kit.Scripted(t, false, mysqltest.Steps(mysqltest.ExpectPacket(), mysqltest.Close()), seqguard.WithMode(seqguard.Observe))
	_, err := db.ExecContext(kit.Timeout(t, 20*time.Second), "UPDATE t SET a = 1")
	if err != mysql.ErrInvalidConn {
		t.Errorf("%T %v, want mysql.ErrInvalidConn itself", err, err)
	}
	reports.Only(t)
}

// A context that ends gives the context's error, as with the plain driver.
func TestAContextThatEndsGivesItsOwnError(t *testing.T) {
	db, _ := kit.Scripted(t, false, mysqltest.Steps(mysqltest.ExpectPacket(), mysqltest.ExpectClose()))
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := db.ExecContext(ctx, "DO SLEEP(10)"); err != context.DeadlineExceeded {
		t.Errorf("%T %v", err, err)
	}
}
