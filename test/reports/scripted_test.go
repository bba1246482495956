package reports_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

var column = mysqltest.Column{Name: "n"}

// echo answers "SELECT n" and the prepared "SELECT ?" with the number that was asked for.
func echo(s *mysqltest.Session, cmd byte, body []byte) error {
	write := func(first byte, payloads ...[]byte) error {
		for i, p := range payloads {
			if err := s.WritePacket(int(first)+i, p); err != nil {
				return err
			}
		}
		return nil
	}
	definition := mysqltest.ColumnPayload(column)
	switch cmd {
	case mysqltest.ComQuery:
		return s.WriteResultSet(mysqltest.Next, []mysqltest.Column{column}, []any{strings.TrimPrefix(string(body), "SELECT ")})
	case 0x16: // COM_STMT_PREPARE
		return write(1, []byte{0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0}, definition, definition)
	case 0x17: // COM_STMT_EXECUTE: the parameter stands at its end
		text := fmt.Sprint(binary.LittleEndian.Uint64(body[len(body)-8:]))
		return write(1, []byte{1}, definition, append([]byte{0, 0, byte(len(text))}, text...), mysqltest.ResultEndPayload(2, 0))
	}
	return mysqltest.AnswerOK(s, cmd, body)
}

// Number 5, matrixorigin/matrixone 27338: a server answers COM_STMT_CLOSE, which has no answer, and from then on each command gets that
// of its predecessor. The driver writes the close and the next command back to back, so what is too much may come behind the look
// into the socket. Whatever the delay, no value goes to another question.
func TestReport05AnswerToStmtClose(t *testing.T) {
	for name, extra := range map[string][]byte{
		"ERR, number 1": mysqltest.Packet(1, mysqltest.ERRPayload(1243, "HY000", "Unknown prepared statement handler")),
		"OK, number 1":  mysqltest.Packet(1, mysqltest.OKPayload(0, 0, 2, 0)),
		"OK, number 0":  mysqltest.Packet(0, mysqltest.OKPayload(0, 0, 2, 0)),
	} {
		for _, delay := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
			t.Run(fmt.Sprint(name, ", ", delay), func(t *testing.T) {
				t.Parallel()
				db, reports := kit.Scripted(t, false, mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
					// The client may have hung up over an earlier one.
					if cmd != 0x19 {
						_ = echo(s, cmd, body)
						return nil
					}
					time.Sleep(delay) // the fault
					_ = s.WriteRaw(extra)
					return nil
				}))
				for n := range 40 {
					var got int
					query, args := "SELECT ?", []any{n}
					if n%2 == 1 {
						query, args = fmt.Sprint("SELECT ", n), nil
					}
					if err := db.QueryRowContext(t.Context(), query, args...).Scan(&got); err == nil && got != n {
						t.Fatalf("asked for %d, got %d", n, got)
					}
				}
				all := reports.All()
				if len(all) == 0 {
					t.Error("nothing was told")
				}
				for _, r := range all {
					switch r.Cause.Slug {
					case "unsolicited_packet", "stale_answer", "mismatched_answer", "not_prepared", "continued_after_error", "server_farewell":
					default:
						t.Errorf("%s", r)
					}
				}
			})
		}
	}
}

// Number 12, vitessio/vitess 7222 and dolthub/dolt 6633: a gateway that is being drained answers each command with a well numbered ERR
// 1053, and keeps the connection. That is an ordinary answer; but who comes next gets another connection.
func TestReport12DrainingGateway(t *testing.T) {
	logins := 0
	server := mysqltest.ServeEvery(t, mysqltest.Do("login", func(s *mysqltest.Session) error {
		logins++
		return mysqltest.Login(mysqltest.GreetingOptions{}).Run(s)
	}), mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, _ []byte) error {
		return s.WritePacket(1, mysqltest.ERRPayload(1053, "08S01", "Server shutdown in progress"))
	}))
	db, reports := kit.Open(t, server.DSN(""), nil)
	db.SetMaxOpenConns(1)
	for range 3 {
		_, err := db.ExecContext(t.Context(), "DO 1")
		kit.WantServerError(t, err, 1053)
	}
	reports.None(t)
	if logins != 3 {
		t.Errorf("%d connections for three commands", logins)
	}
}

// Number 28, apache/doris 67520: a flag announces a further result that never comes. It is the peer that keeps silent, not the
// application that has left something unread.
func TestReport28AnnouncedAndNeverSent(t *testing.T) {
	server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ExpectPacket(),
		mysqltest.SendPacket(1, []byte{1}), mysqltest.SendPacket(2, mysqltest.ColumnPayload(column)), mysqltest.SendPacket(3, mysqltest.TextRowPayload("1")),
		mysqltest.SendPacket(4, mysqltest.ResultEndPayload(2|mysqltest.StatusMoreResults, 0)), mysqltest.ExpectClose())
	db, reports := kit.Open(t, server.DSN("multiStatements=true&readTimeout=1s"), nil)
	rows, err := db.QueryContext(t.Context(), "SELECT 1; SELECT 2")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
	}
	if rows.NextResultSet() {
		t.Error("there was a further result")
	}
	if err := rows.Err(); !errors.Is(err, mysql.ErrInvalidConn) {
		t.Errorf("%v, want that of the plain driver in it", err)
	}
	_ = rows.Close()
	r := reports.Only(t)
	if r.Cause.Slug != "peer_unresponsive" || !strings.Contains(r.Cause.Explanation, "announced a further one") {
		t.Errorf("%s", r)
	}
}

// Number 18, gastownhall/gastown 3623 and istio/istio 16455: a listener that accepts and never greets, and many who dial it at once.
// One storm is one thing to tell, with a count.
func TestReport18AcceptsAndNeverGreets(t *testing.T) {
	server := mysqltest.ServeEvery(t, mysqltest.ExpectClose())
	db, reports := kit.Open(t, server.DSN("timeout=1s"), nil)
	const dials = 30
	errs := make(chan error, dials)
	for range dials {
		go func() {
			c, err := db.Conn(kit.Timeout(t, 3*time.Second)) // a login is told of when it is older than a second
			if err == nil {
				_ = c.Close()
			}
			errs <- err
		}()
	}
	for range dials {
		if err := <-errs; !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, mysql.ErrInvalidConn) {
			t.Errorf("%v", err)
		}
	}
	for _, r := range reports.All() {
		if r.Cause.Slug != "no_greeting" || r.Cause.Executed != cause.ExecutedNo {
			t.Errorf("%s", r)
		}
	}
	if len(reports.All()) == 0 {
		t.Error("nothing was told")
	}
}
