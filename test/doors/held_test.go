package doors

import (
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	seqguard "github.com/seqguard/mysql-seqguard"
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
