package owner_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
)

// noTable is an UPDATE that can only fail. In the plain driver it succeeded when a row with number 1 was taken for its answer.
const noTable = "UPDATE nosuchtable SET a = 1"

// TestRowsOpenAndExec has rows open in a transaction and an Exec at every position in them. With the plain driver every one of
// 5,148 such transactions was lost to a busy buffer, and at row 252 of rows that arrive one by one the Exec returned no error.
func TestRowsOpenAndExec(t *testing.T) {
	for _, result := range []struct {
		name       string
		rows, size int
		late       bool // flushed one by one, and each is awaited: the driver's buffer is empty when the Exec comes
		every      int  // an Exec after every so many rows
	}{
		{name: "small", rows: 3, size: 5, every: 1},
		{name: "many", rows: 300, size: 60, every: 1},
		{name: "big", rows: 60, size: 60_000, every: 1},
		{name: "one by one", rows: 300, size: 60_000, late: true, every: 1},
	} {
		if result.late && testing.Short() {
			result.every = 7 // 252 is among them
		}
		t.Run(result.name, func(t *testing.T) {
			forOwner(t, func(t *testing.T, dsn func(string) string) {
				db, reports := kit.Open(t, dsn("interpolateParams=true"), nil)
				db.SetMaxOpenConns(1)
				step := kit.Watchdog(t)
				ctx := context.Background()
				for _, q := range []string{"DROP TABLE IF EXISTS rows_open", "CREATE TABLE rows_open (v int)"} {
					if _, err := db.Exec(q); err != nil {
						t.Fatal(err)
					}
				}
				tx, err := db.BeginTx(ctx, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer tx.Rollback()
				if _, err := tx.Exec("INSERT INTO rows_open VALUES (1)"); err != nil {
					t.Fatal(err)
				}
				refused, n := 0, 0
				rows, err := tx.QueryContext(ctx, numbers(result.rows, result.size, result.late))
				if err != nil {
					t.Fatal(err)
				}
				exec := func() {
					step()
					_, err := tx.ExecContext(ctx, noTable)
					if err := refusal(err, "owner/rows_test.go"); err != nil {
						t.Fatalf("after row %d: %v", n, err)
					}
					refused++
				}
				exec()
				for rows.Next() {
					var number int
					var pad string
					if err := rows.Scan(&number, &pad); err != nil {
						t.Fatal(err)
					}
					if n++; number != n || len(pad) != result.size || strings.Trim(pad, "x") != "" {
						t.Fatalf("row %d says %d and has %d bytes", n, number, len(pad))
					}
					if n%result.every == 0 {
						exec()
					}
				}
				if err := rows.Err(); err != nil || n != result.rows {
					t.Fatalf("%d rows of %d: %v", n, result.rows, err)
				}
				if _, err := tx.Exec("INSERT INTO rows_open VALUES (2)"); err != nil {
					t.Fatalf("after the rows: %v", err)
				}
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
				var sum int
				if err := db.QueryRow("SELECT SUM(v) FROM rows_open").Scan(&sum); err != nil || sum != 3 {
					t.Errorf("after the commit: %d, %v", sum, err)
				}
				if got := len(reports.All()); got != refused {
					t.Errorf("%d reports of %d refusals", got, refused)
				}
				t.Logf("%d rows of %d bytes, all read; %d times refused", n, result.size, refused)
			})
		})
	}
}

// numbers is a query for rows of a number and a pad. late makes the server pause at each row, so that it has flushed it.
func numbers(rows, size int, late bool) string {
	pause := ""
	if late {
		pause = " WHERE SLEEP(0.0005) = 0"
	}
	return fmt.Sprintf("WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r WHERE n < %d) SELECT n, REPEAT('x', %d) FROM r%s", rows, size, pause)
}

// TestEveryOperationWhileRowsAreOpen tries whatever a connection offers while a result is out.
func TestEveryOperationWhileRowsAreOpen(t *testing.T) {
	forOwner(t, func(t *testing.T, dsn func(string) string) {
		db, reports := kit.Open(t, dsn("multiStatements=true"), nil)
		c := kit.Pin(t, db)
		ctx := kit.Timeout(t, 30*time.Second)
		stmt, err := c.PrepareContext(ctx, "SELECT ?")
		if err != nil {
			t.Fatal(err)
		}
		closed, err := c.PrepareContext(ctx, "SELECT ?")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := c.QueryContext(ctx, numbers(500, 1000, false)+"; SELECT 7")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		uses := map[string]func() error{
			"exec":                  func() error { _, err := c.ExecContext(ctx, noTable); return err },
			"exec with a parameter": func() error { _, err := c.ExecContext(ctx, noTable+" WHERE b = ?", 1); return err },
			"query":                 func() error { return c.QueryRowContext(ctx, "SELECT 1").Scan(new(int)) },
			"query with parameter":  func() error { return c.QueryRowContext(ctx, "SELECT ?", 1).Scan(new(int)) },
			"prepare":               func() error { _, err := c.PrepareContext(ctx, "SELECT 1"); return err },
			"statement query":       func() error { return stmt.QueryRowContext(ctx, 1).Scan(new(int)) },
			"statement exec":        func() error { _, err := stmt.ExecContext(ctx, 1); return err },
			"ping":                  func() error { return c.PingContext(ctx) },
			"begin":                 func() error { _, err := c.BeginTx(ctx, nil); return err },
			"begin with isolation": func() error {
				_, err := c.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
				return err
			},
			"raw exec": func() error {
				return c.Raw(func(dc any) error { _, err := dc.(kit.RawConn).ExecContext(ctx, noTable, nil); return err })
			},
			"raw begin": func() error {
				return c.Raw(func(dc any) error { _, err := dc.(kit.RawConn).Begin(); return err }) //nolint:staticcheck // a way in like the others
			},
		}
		refused := 0
		attempt := func(when string) {
			for name, use := range uses {
				refused++
				if err := refusal(use(), "owner/rows_test.go"); err != nil {
					t.Errorf("%s, %s: %v", when, name, err)
				}
			}
		}
		attempt("before the first row")
		n := 0
		for rows.Next() {
			if n++; n == 250 {
				attempt("halfway")
			}
		}
		if n != 500 || rows.Err() != nil {
			t.Fatalf("%d rows, %v", n, rows.Err())
		}
		// The first result is read, a further one is not.
		attempt("between two results")
		var seven int
		if !rows.NextResultSet() || !rows.Next() {
			t.Fatalf("the second result: %v", rows.Err())
		}
		if err := rows.Scan(&seven); err != nil || seven != 7 {
			t.Fatalf("the second result: %d, %v", seven, err)
		}
		attempt("in the second result")
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if err := stmt.QueryRowContext(ctx, 8).Scan(&seven); err != nil || seven != 8 {
			t.Errorf("after the rows: %d, %v", seven, err)
		}
		if err := closed.Close(); err != nil {
			t.Errorf("closing a statement after the rows: %v", err)
		}
		if got := len(reports.All()); got != refused {
			t.Errorf("%d reports of %d refusals", got, refused)
		}
	})
}
