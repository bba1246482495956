package reports_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// bigResult fills every buffer on the way: more than 40 MB.
const bigResult = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 210) SELECT RANDOM_BYTES(1000) FROM n a, n b"

// where are the moments of an answer at which a connection can be killed. enter comes to it, leave goes on from there.
var where = map[string]func(ctx context.Context, t *testing.T, c *sql.Conn) (leave func() error){
	"idle": func(ctx context.Context, t *testing.T, c *sql.Conn) func() error {
		return func() error { _, err := c.ExecContext(ctx, "DO 1"); return err }
	},
	"in an answer": func(ctx context.Context, t *testing.T, c *sql.Conn) func() error {
		rows, err := c.QueryContext(ctx, bigResult)
		if err != nil {
			t.Fatal(err)
		}
		if !rows.Next() {
			t.Fatal(rows.Err())
		}
		return func() error { return toEnd(rows) }
	},
	"between results": func(ctx context.Context, t *testing.T, c *sql.Conn) func() error {
		rows, err := c.QueryContext(ctx, "SELECT 1; "+kit.LongStatement)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
		}
		return func() error { return toEnd(rows) }
	},
}

// toEnd reads all results to their end.
func toEnd(rows *sql.Rows) error {
	defer rows.Close()
	for {
		for rows.Next() {
		}
		if !rows.NextResultSet() {
			return rows.Err()
		}
	}
}

// atWork waits until a server runs the second statement of the connection, if it has one.
func atWork(t *testing.T, server *mysqltest.Instance, observer *sql.DB, id int) {
	t.Helper()
	kit.Eventually(t, func() bool {
		var n int
		err := observer.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE id = ? AND info LIKE '%BENCHMARK%'", id).Scan(&n)
		return err == nil && n == 1
	}, "%s has not begun with the second statement", server.Name)
}

// Number 34, pingcap/tidb 46398 and 57840, on the servers that are the measure: what KILL and KILL QUERY do to a connection that is idle, in
// the middle of an answer, or between two results. The one ends it, and whatever name that gets speaks of a KILL; the other leaves
// it as it is, and is nothing to report.
func TestReport34Kills(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		observer, err := sql.Open("mysql", server.RootDSN(""))
		if err != nil {
			t.Fatal(err)
		}
		defer observer.Close()
		for at, enter := range where {
			for _, kill := range []string{"KILL", "KILL QUERY"} {
				t.Run(kill+" "+at, func(t *testing.T) {
					db, reports := kit.Open(t, server.DSN("multiStatements=true"), nil)
					ctx := kit.Timeout(t, time.Minute)
					c := kit.Pin(t, db)
					id := kit.ID(t, c)
					leave := enter(ctx, t, c)
					if at == "between results" {
						atWork(t, server, observer, id)
					}
					if kill == "KILL" {
						kit.Kill(t, server, id)
						wantKilled(t, leave(), reports)
						return
					}
					if _, err := observer.ExecContext(ctx, fmt.Sprintf("KILL QUERY %d", id)); err != nil {
						t.Fatal(err)
					}
					err := leave()
					var me *mysql.MySQLError
					switch {
					case errors.As(err, &me) && me.Number == 1317 && at != "idle":
					case err == nil && at != "in an answer": // MySQL ends a BENCHMARK with a row
					default:
						t.Errorf("%v", err)
					}
					var one int
					if err := c.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil || one != 1 {
						t.Errorf("behind it: %d, %v", one, err)
					}
					reports.None(t)
				})
			}
		}
	})
}

// wantKilled checks that the one report names a KILL, first or as one of what it may have been, and doubts nothing else.
func wantKilled(t *testing.T, err error, reports *kit.Collector) {
	t.Helper()
	var me *mysql.MySQLError
	if errors.As(err, &me) || err == nil {
		// Both servers may answer before they end the connection: see kit.AnsweredKill.
		reports.None(t)
		return
	}
	r := reports.Only(t)
	name := string(r.Cause.Slug)
	if !slices.Contains([]string{"connection_killed", "closed_while_idle", "closed_before_answer", "connection_lost_mid_answer", "ended_together"}, name) || !speaksOfKill(r) {
		t.Errorf("%v: %s\n%s", err, r, r.Timeline())
	}
}

func speaksOfKill(r *wrapconn.Report) bool {
	return r.Cause.Slug == "connection_killed" || slices.Contains(r.Cause.Alternatives, "connection_killed")
}

// The same report, as TiDB has it: the statement that is killed gets an ordinary answer, and the connection ends behind it; and a KILL
// QUERY ends one that is idle. Both are an end while nothing was outstanding.
func TestReport34KilledBehindAnAnswer(t *testing.T) {
	for name, answer := range map[string]mysqltest.Step{
		"ERR 1317":      mysqltest.SendERR(1, 1317, "70100", "Query execution was interrupted"),
		"the result":    mysqltest.SendResultSet(1, []mysqltest.Column{column}, []any{1}),
		"nothing to do": mysqltest.SendOK(1),
	} {
		t.Run(name, func(t *testing.T) {
			end, happen := mysqltest.Later(mysqltest.Close())
			db, reports := kit.Open(t, mysqltest.Serve(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ExpectCommand(mysqltest.ComQuery), answer, end).DSN(""), nil)
			c := kit.Pin(t, db)
			ctx := kit.Timeout(t, 20*time.Second)
			_, err := c.ExecContext(ctx, "SELECT 1")
			if name == "ERR 1317" {
				kit.WantServerError(t, err, 1317)
			} else if err != nil {
				t.Fatal(err)
			}
			reports.None(t)
			happen()
			_, err = c.ExecContext(ctx, "DO 1")
			if r := kit.WantCause(t, err, reports, "closed_while_idle"); !speaksOfKill(r) {
				t.Errorf("not a word of a KILL: %s", r)
			}
		})
	}
}
