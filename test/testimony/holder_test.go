//go:build linux

package testimony_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// waitFor returns the first report of a cause.
func waitFor(t *testing.T, c *kit.Collector, slug cause.Slug) *seqguard.Report {
	t.Helper()
	var found *seqguard.Report
	kit.Eventually(t, func() bool {
		for _, r := range c.All() {
			if r.Cause.Slug == slug {
				found = r
			}
		}
		return found != nil
	}, "no report of %s", slug)
	return found
}

// listSlowly leaves its rows open.
func listSlowly(t *testing.T, ctx context.Context, db *sql.DB) *sql.Rows {
	t.Helper()
	rows, err := db.QueryContext(ctx, "SELECT 1 UNION ALL SELECT 2")
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Next() {
		t.Fatal("no row")
	}
	return rows
}

// beginAndWait leaves a transaction open.
func beginAndWait(t *testing.T, ctx context.Context, db *sql.DB) *sql.Tx {
	t.Helper()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, "DO 1"); err != nil {
		t.Fatal(err)
	}
	return tx
}

func TestHeldTooLong(t *testing.T) {
	for _, name := range real {
		server := mysqltest.Shared(t, name)
		for hold, c := range map[string]struct {
			take func(*testing.T, context.Context, *sql.DB) func() error
			says string
		}{
			"rows open": {func(t *testing.T, ctx context.Context, db *sql.DB) func() error { return listSlowly(t, ctx, db).Close }, "query at testimony/holder_test.go:"},
			"idle in transaction": {func(t *testing.T, ctx context.Context, db *sql.DB) func() error {
				return beginAndWait(t, ctx, db).Rollback
			}, "exec at testimony/holder_test.go:"},
			"idle": {func(t *testing.T, ctx context.Context, db *sql.DB) func() error {
				c, err := db.Conn(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.PingContext(ctx); err != nil {
					t.Fatal(err)
				}
				return c.Close
			}, "ping at testimony/holder_test.go:"},
		} {
			t.Run(name+"/"+hold, func(t *testing.T) {
				t.Parallel()
				ctx := kit.Timeout(t, 30*time.Second)
				db, reports := kit.Open(t, server.DSN(""), nil, seqguard.WithHeldTooLong(500*time.Millisecond))
				if err := db.PingContext(ctx); err != nil {
					t.Fatal(err)
				}
				time.Sleep(1200 * time.Millisecond) // two looks of the guard, once a second each
				reports.None(t)                     // it lies in the pool
				giveBack := c.take(t, ctx, db)
				r := waitFor(t, reports, "held_too_long")
				if r.Cause.Severity != cause.Notice || !strings.Contains(r.Cause.Explanation, hold) || !strings.Contains(r.Cause.Explanation, c.says) {
					t.Errorf("%s: %s\nwant %q and %q", r.Cause.Severity, r.Cause.Explanation, hold, c.says)
				}
				time.Sleep(2200 * time.Millisecond) // two looks more
				if n := len(reports.All()); n != 1 {
					t.Errorf("%d reports of one holder", n)
				}
				if err := giveBack(); err != nil {
					t.Error(err)
				}
				time.Sleep(1200 * time.Millisecond) // a look
				if n := len(reports.All()); n != 1 {
					t.Errorf("%d reports after it was given back", n)
				}
			})
		}
	}
}

func TestPoolExhausted(t *testing.T) {
	for _, name := range real {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := kit.Timeout(t, 40*time.Second)
			db, reports := kit.Open(t, mysqltest.Shared(t, name).DSN(""), nil)
			db.SetMaxOpenConns(3)
			other, _ := kit.Open(t, mysqltest.Shared(t, name).DSN(""), nil)
			defer listSlowly(t, ctx, other).Close() // of another pool
			stop, err := seqguard.WatchPool(ctx, db)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			for range 2 {
				defer listSlowly(t, ctx, db).Close()
			}
			defer beginAndWait(t, ctx, db).Rollback()
			time.Sleep(2500 * time.Millisecond) // two looks of the watch, once a second each
			reports.None(t)                     // all are held, and nobody waits
			waiting, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			if err := db.PingContext(waiting); err == nil {
				t.Fatal("there was a fourth connection")
			}
			r := waitFor(t, reports, "pool_exhausted")
			t.Log(r.Cause.Explanation)
			for _, says := range []string{"3 of 3 held, 2 by testimony/holder_test.go:", ", oldest ", "2 by testimony/holder_test.go:", "(rows open)", "1 by testimony/holder_test.go:", "(idle in transaction)", "1 caller has"} {
				if !strings.Contains(r.Cause.Explanation, says) {
					t.Errorf("it does not say %q", says)
				}
			}
		})
	}
}

// TestHoldersOfNobody: what was given back is held by nobody.
func TestHoldersOfNobody(t *testing.T) {
	ctx := kit.Timeout(t, 20*time.Second)
	server := mysqltest.Shared(t, "mysql9")
	db, _ := kit.Open(t, server.DSN(""), nil)
	for range 3 {
		if err := db.PingContext(ctx); err != nil {
			t.Fatal(err)
		}
	}
	rows := listSlowly(t, ctx, db)
	mine := func() (n int) {
		for _, h := range wrapconn.Holders(nil) {
			if strings.HasPrefix(h.Site(), "testimony/holder_test.go:") && h.Server == server.Addr && h.State() == "rows open" {
				n++
			}
		}
		return n
	}
	if n := mine(); n != 1 {
		t.Errorf("%d holders, want 1", n)
	}
	rows.Close()
	if n := mine(); n != 0 {
		t.Errorf("%d holders after the rows were closed", n)
	}
}

func TestWatchPoolOfAnotherDriver(t *testing.T) {
	db, err := sql.Open("mysql", mysqltest.Shared(t, "mysql9").DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := seqguard.WatchPool(kit.Timeout(t, 10*time.Second), db); err == nil || !strings.Contains(err.Error(), "not one of this driver") {
		t.Errorf("%v", err)
	}
}
