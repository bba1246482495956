package kit

import (
	"database/sql"
	"database/sql/driver"
	"testing"
)

// RawConn is what go-sql-driver's connection offers to a user of sql.Conn.Raw.
type RawConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// Raw calls use with the connection that lies under c.
func Raw(t testing.TB, c *sql.Conn, use func(RawConn)) {
	t.Helper()
	if err := c.Raw(func(dc any) error { use(dc.(RawConn)); return nil }); err != nil {
		t.Fatal(err)
	}
}
