package owner_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/kit"
)

// preparedStatements is how many the server holds for the connection. Prepared_stmt_count would be that of all, and the server needs a moment to
// forget those of a connection that has ended.
func preparedStatements(t *testing.T, c *sql.Conn) int {
	t.Helper()
	status := func(variable string) (n int) {
		var name string
		if err := c.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE '"+variable+"'").Scan(&name, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	return status("Com_stmt_prepare") - status("Com_stmt_close")
}

// 4.5: closing a statement while the rows of another one are open is lawful on
// the wire, and no answer comes. The plain driver has no buffer for it, or loses
// the count of its packets; the guard refused it. Either way the statement stayed
// on the server for the life of the connection.
func TestFault4_05StatementClosedWhileRowsAreOpen(t *testing.T) {
	const closed = 20
	for _, tt := range []struct {
		name string
		end  func(rows *sql.Rows) error
	}{
		{"rows read to their end", func(rows *sql.Rows) error {
			n := 1
			for rows.Next() {
				n++
			}
			if n != 300 {
				return fmt.Errorf("%d rows, %w", n, orNil(rows.Err()))
			}
			return rows.Err()
		}},
		{"rows closed", func(rows *sql.Rows) error { return rows.Close() }},
		{"the next result, then closed", func(rows *sql.Rows) error {
			if !rows.NextResultSet() || !rows.Next() {
				return orNil(rows.Err())
			}
			return rows.Close()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forOwner(t, func(t *testing.T, dsn func(string) string) {
				db, reports := kit.Open(t, dsn("multiStatements=true"), nil)
				c := kit.Pin(t, db)
				before := preparedStatements(t, c)
				var statements []*sql.Stmt
				for range closed {
					s, err := c.PrepareContext(t.Context(), "SELECT ?")
					if err != nil {
						t.Fatal(err)
					}
					statements = append(statements, s)
				}
				if n := preparedStatements(t, c); n != before+closed {
					t.Fatalf("%d statements, and %d with the %d prepared ones", before, n, closed)
				}
				rows, err := c.QueryContext(t.Context(), numbers(300, 60_000, false)+"; SELECT 1")
				if err != nil {
					t.Fatal(err)
				}
				defer rows.Close()
				if !rows.Next() {
					t.Fatal(rows.Err())
				}
				for _, s := range statements {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
				if err := tt.end(rows); err != nil {
					t.Fatal(err)
				}
				if err := rows.Close(); err != nil {
					t.Fatal(err)
				}
				if n := preparedStatements(t, c); n != before {
					t.Errorf("%d statements are left", n-before)
				}
				reports.None(t)
			})
		})
	}
}

// The close may come from anywhere, at any moment of the rows.
func TestStatementsClosedBesideRows(t *testing.T) {
	forOwner(t, func(t *testing.T, dsn func(string) string) {
		db, reports := kit.Open(t, dsn("interpolateParams=true"), nil)
		c := kit.Pin(t, db)
		before := preparedStatements(t, c)
		const rounds = 20
		for range rounds {
			var statements []*sql.Stmt
			for range 8 {
				s, err := c.PrepareContext(context.Background(), "SELECT ?")
				if err != nil {
					t.Fatal(err)
				}
				statements = append(statements, s)
			}
			rows, err := c.QueryContext(context.Background(), numbers(200, 100, false))
			if err != nil {
				t.Fatal(err)
			}
			errs := make(chan error, 1)
			go func() {
				var first error
				for _, s := range statements {
					if err := s.Close(); err != nil && first == nil {
						first = err
					}
				}
				errs <- first
			}()
			n := 0
			for rows.Next() {
				n++
			}
			if err := rows.Err(); err != nil || n != 200 {
				t.Fatalf("%d rows, %v", n, err)
			}
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		if n := preparedStatements(t, c); n != before {
			t.Errorf("%d statements are left", n-before)
		}
		reports.None(t)
	})
}
