package contained_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// What a user of sql.Conn.Raw does wrong, and go-sql-driver panics over, is nothing that the server has said: the panic passes, no
// report blames the server, and the connection stays what it was.
func TestMisuseInRaw(t *testing.T) {
	server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
		switch cmd {
		case mysqltest.ComStmtPrepare:
			return mysqltest.SendPacket(mysqltest.Next, make([]byte, 12)).Run(s) // statement 0: no columns, no parameters
		case mysqltest.ComStmtClose:
			return nil
		case mysqltest.ComQuery:
			return mysqltest.SendResultSet(mysqltest.Next, []mysqltest.Column{{Name: "n", Type: mysqltest.TypeLongLong}, {Name: "v"}},
				[]any{"1", "a"}, []any{"one", "b"}, []any{"3", "c"}).Run(s)
		}
		return mysqltest.AnswerOK(s, cmd, body)
	}))
	plain := kit.PlainPool(t, server.DSN(""))
	defer plain.Close()
	for name, use := range map[string]func(*testing.T, kit.RawConn) string{
		"a closed statement": func(t *testing.T, c kit.RawConn) string {
			s, err := c.PrepareContext(t.Context(), "DO 1")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			exec := raised(func() { _, _ = s.(driver.StmtExecContext).ExecContext(t.Context(), nil) })
			query := raised(func() { _, _ = s.(driver.StmtQueryContext).QueryContext(t.Context(), nil) })
			return fmt.Sprint(exec, " ", query)
		},
		"too few places for a row": func(t *testing.T, c kit.RawConn) string {
			rows, err := c.QueryContext(t.Context(), "SELECT", nil)
			if err != nil {
				t.Fatal(err)
			}
			p := raised(func() { _ = rows.Next(make([]driver.Value, 1)) })
			return fmt.Sprint(p, rows.Close())
		},
		// It is an error, and go-sql-driver goes on behind it.
		"rows behind one that cannot be read": func(t *testing.T, c kit.RawConn) string {
			rows, err := c.QueryContext(t.Context(), "SELECT", nil)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			dest := make([]driver.Value, 2)
			for range 4 {
				out = append(out, fmt.Sprint(rows.Next(dest)))
			}
			return fmt.Sprint(out, rows.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			guarded, reports := kit.Open(t, server.DSN(""), nil)
			outcome := func(db *sql.DB) (out []string) {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				conn, err := db.Conn(ctx)
				if err != nil {
					t.Fatal(err)
				}
				kit.Raw(t, conn, func(c kit.RawConn) { out = append(out, use(t, c)) })
				out = append(out, fmt.Sprint(conn.PingContext(ctx)), fmt.Sprint(conn.Close()))
				return append(out, fmt.Sprint(db.Stats().OpenConnections))
			}
			want := outcome(plain)
			if got := outcome(guarded); !slices.Equal(got, want) {
				t.Errorf("%q; the plain driver: %q", got, want)
			}
			reports.None(t)
		})
	}
}
