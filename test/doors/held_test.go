package doors

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// A server ends the connection behind ERR 1153. What meets that end is the close of the prepared statement, whose error database/sql
// drops. Whoever holds the connection must not be left with a bare "driver: bad connection" for the next statement.
func TestHeldConnAfterARefusal(t *testing.T) {
	server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
		switch cmd {
		case mysqltest.ComStmtPrepare:
			if err := s.WritePacket(1, []byte{0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}); err != nil {
				return err
			}
			return s.WritePacket(2, mysqltest.ColumnPayload(mysqltest.Column{Name: "?", Type: mysqltest.TypeVarString}))
		case mysqltest.ComStmtExecute:
			if err := s.WritePacket(1, mysqltest.ERRPayload(1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes")); err != nil {
				return err
			}
			return s.Conn.Close()
		}
		return mysqltest.AnswerOK(s, cmd, body)
	}))
	db := open(t, seqguard.DriverName, server.DSN(""))
	for range 5 { // the end may come so late that the next statement is the first to meet it, on its way even
		conn, err := db.Conn(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(ctx(t), "DO LENGTH(?)", "x"); err == nil || !strings.Contains(err.Error(), "1153") {
			t.Errorf("the refused statement: %v", err)
		}
		_, err = conn.ExecContext(ctx(t), "DO 1")
		_ = conn.Close()
		var pe *seqguard.ProtocolError
		if !errors.As(err, &pe) || pe.Report.Cause.Slug != "packet_too_large" || !strings.Contains(err.Error(), "The command before was larger") || errors.Is(err, driver.ErrBadConn) && pe.Report.Cause.Executed.String() != "no" {
			t.Errorf("the next one: %v", err)
		}
	}
}

// A statement that was prepared on a sql.Conn says what ended the connection, and is what it is with the plain driver. database/sql
// would take driver.ErrBadConn from it, run it again on the sql.Conn that it has closed for that, and leave sql.ErrConnDone.
func TestStatementOfAHeldConn(t *testing.T) {
	for _, name := range []string{"mysql9", "mariadb118"} {
		server := mysqltest.Shared(t, name)
		root := open(t, "mysql", server.RootDSN(""))
		for _, query := range []bool{false, true} {
			for _, driverName := range []string{"mysql", seqguard.DriverName} {
				guarded := driverName == seqguard.DriverName
				db := open(t, driverName, server.DSN(""))
				conn, err := db.Conn(ctx(t))
				if err != nil {
					t.Fatal(err)
				}
				stmt, err := conn.PrepareContext(ctx(t), "SELECT ?")
				if err != nil {
					t.Fatal(err)
				}
				id := kit.ID(t, conn)
				if _, err := root.Exec(fmt.Sprintf("KILL %d", id)); err != nil {
					t.Fatal(err)
				}
				kit.AwaitEnd(t, server, id)
				use := func() error {
					if !query {
						_, err := stmt.ExecContext(ctx(t), 1)
						return err
					}
					rows, err := stmt.QueryContext(ctx(t), 1)
					if err == nil {
						_ = rows.Close()
					}
					return err
				}
				first, second := use(), use()
				if !errors.Is(first, mysql.ErrInvalidConn) || errors.Is(first, driver.ErrBadConn) || errors.Is(first, sql.ErrConnDone) || !errors.Is(second, sql.ErrConnDone) {
					t.Errorf("%s, %s: %v, then %v", name, driverName, first, second)
				}
				var pe *seqguard.ProtocolError
				if guarded && (!errors.As(first, &pe) || pe.Report.Cause.Executed.String() != "no") {
					t.Errorf("%s: %v", name, first)
				}
				_ = conn.Close()
				if err := db.PingContext(ctx(t)); err != nil { // the pool has let go of it
					t.Errorf("%s, %s: %v", name, driverName, err)
				}
			}
		}
	}
}
