//go:build linux

package testimony_test

import (
	"context"
	"database/sql"
	"runtime"
	"strings"
	"testing"
	"time"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

const twoRows = "SELECT 1 UNION ALL SELECT 2"

// drops are ways to drop rows without a Close. What keeps them from the garbage
// collector is empty where nothing does.
var drops = []struct {
	name, kept string
	drop       func(ctx context.Context, db *sql.DB) error
}{
	{"Query", "", func(_ context.Context, db *sql.DB) error {
		rows, err := db.Query(twoRows)
		if err == nil {
			rows.Next()
		}
		return err
	}},
	{"Query with arguments", "", func(_ context.Context, db *sql.DB) error {
		_, err := db.Query("SELECT ? UNION ALL SELECT 2", 1)
		return err
	}},
	{"a context that cannot end", "", func(ctx context.Context, db *sql.DB) error {
		_, err := db.QueryContext(context.WithoutCancel(ctx), twoRows)
		return err
	}},
	{"QueryRow without Scan", "", func(_ context.Context, db *sql.DB) error {
		return db.QueryRow(twoRows).Err()
	}},
	{"of a sql.Conn", "", func(ctx context.Context, db *sql.DB) error {
		c, err := db.Conn(ctx)
		if err == nil {
			_, err = c.QueryContext(context.Background(), twoRows)
		}
		return err
	}},
	{"a context that can end", "a goroutine of database/sql, which waits for the end of the context and closes them then", func(ctx context.Context, db *sql.DB) error {
		_, err := db.QueryContext(ctx, twoRows)
		return err
	}},
	{"in a transaction", "a goroutine of database/sql, which waits for the end of the transaction and closes them then", func(_ context.Context, db *sql.DB) error {
		tx, err := db.Begin()
		if err == nil {
			_, err = tx.Query(twoRows)
		}
		return err
	}},
	{"of a prepared statement", "the pool, which remembers the rows of its statements (DB.dep)", func(_ context.Context, db *sql.DB) error {
		s, err := db.Prepare(twoRows)
		if err == nil {
			_, err = s.Query()
		}
		return err
	}},
}

// collect frees what is garbage, and what becomes garbage by that, and returns when what was to be called for it has been.
func collect() {
	for range 3 {
		called := make(chan struct{})
		runtime.AddCleanup(new([64]byte), func(c chan struct{}) { close(c) }, called)
		for waits := true; waits; {
			runtime.GC()
			select {
			case <-called:
				waits = false
			default:
			}
		}
	}
}

// Rows that were dropped are named with the line that opened them as soon as they are
// garbage; and it is known in which cases database/sql itself keeps them.
func TestRowsNeverClosed(t *testing.T) {
	for _, name := range real {
		server := mysqltest.Shared(t, name)
		for _, c := range drops {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				db, reports := kit.Open(t, server.DSN(""), nil)
				ctx, cancel := context.WithCancel(kit.Timeout(t, 30*time.Second))
				defer cancel()
				for range 3 { // rows that are closed are no finding, and leave the connection as it was
					listSlowly(t, ctx, db).Close()
				}
				if err := c.drop(ctx, db); err != nil {
					t.Fatal(err)
				}
				collect()
				if c.kept != "" {
					reports.None(t)
					if n := db.Stats().InUse; n != 1 {
						t.Errorf("%d connections are held, want 1", n)
					}
					return
				}
				r := waitFor(t, reports, "rows_never_closed")
				if r.Cause.Severity != cause.Notice || !strings.Contains(r.Cause.Explanation, "query at testimony/rows_test.go:") || !strings.Contains(r.Summary(), "query at testimony/rows_test.go:") {
					t.Errorf("%s: %s\n%s", r.Cause.Severity, r.Cause.Explanation, r.Summary())
				}
				collect()
				if n := len(reports.All()); n != 1 {
					t.Errorf("%d reports", n)
				}
				found := false
				for _, g := range wrapconn.LookAt(wrapconn.OverviewOptions{Server: server.Addr}).Holders {
					found = found || g.RowsLost && g.State() == "rows never closed" && strings.HasPrefix(g.Site(), "testimony/rows_test.go:")
				}
				if !found {
					t.Error("the holder is not listed as one whose rows are lost")
				}
			})
		}
	}
}

// Healthy use never looks like it, whatever the garbage collector does meanwhile.
func TestRowsNeverClosedIsNotSaidOfOthers(t *testing.T) {
	ctx := kit.Timeout(t, 30*time.Second)
	db, reports := kit.Open(t, mysqltest.Shared(t, "mysql9").DSN("multiStatements=true"), nil)
	db.SetMaxOpenConns(3)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				runtime.GC()
			}
		}
	}()
	defer close(stop)
	use := []func() error{
		func() error { var n int; return db.QueryRowContext(ctx, twoRows).Scan(&n) },
		func() error {
			rows, err := db.Query("SELECT 1; SELECT 2 UNION ALL SELECT 3")
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			for rows.NextResultSet() {
				for rows.Next() {
				}
			}
			return rows.Err()
		},
		func() error { // given up by its context
			ctx, cancel := context.WithCancel(ctx)
			rows, err := db.QueryContext(ctx, twoRows)
			cancel()
			_ = rows
			return err
		},
		func() error { // closed before its end
			rows, err := db.Query(twoRows)
			if err != nil {
				return err
			}
			rows.Next()
			return rows.Close()
		},
	}
	for i := range 200 {
		if err := use[i%len(use)](); err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "canceled") {
			t.Fatal(err)
		}
	}
	_ = db.Close()
	runtime.GC()
	if err := seqguard.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for _, r := range reports.All() {
		if r.Cause.Slug == "rows_never_closed" {
			t.Errorf("%s", r)
		}
	}
}
