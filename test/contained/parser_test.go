package contained_test

import (
	"context"
	"database/sql/driver"
	"testing"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// stumbling stands for a driver that runs past the end of an answer. go-sql-driver 1.10.1 does on some, and those have no place here:
// what ends a program is not needed to test that it does not. It is made to stumble by a call, behind an answer that is in order.
type stumbling struct{ driver.Connector }

func (s stumbling) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return stumblingConn{c.(kit.RawConn)}, nil
}

type stumblingConn struct{ kit.RawConn }

func (c stumblingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if _, err := c.RawConn.ExecContext(ctx, query, args); err != nil {
		return nil, err
	}
	var none *mysql.Config
	_ = none.FormatDSN() // a nil pointer, in a function of the driver's
	return nil, nil
}

func (stumblingConn) CheckNamedValue(*driver.NamedValue) error { return nil }

// What the driver's own code raises becomes the error of the operation, and the connection is given up.
func TestParserPanics(t *testing.T) {
	server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(mysqltest.AnswerOK))
	db, c := kit.Open(t, server.DSN(""), nil, seqguard.WithMiddleware(func(inner driver.Connector) driver.Connector { return stumbling{inner} }))
	var err error
	if p := raised(func() { _, err = db.Exec("DO 1") }); p != nil {
		t.Fatalf("a panic: %v", p)
	}
	kit.WantCause(t, err, c, "malformed_packet")
	if n := db.Stats().OpenConnections; n != 0 {
		t.Errorf("%d connections are left open", n)
	}
}
