package reports_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// hiding is a wrapper as tracing agents have it: it knows the interfaces that run statements, and hides ResetSession and IsValid, so
// that database/sql never has the driver look whether a connection is alive.
type hiding struct{ driver.Connector }

func (h hiding) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := h.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full := c.(kit.RawConn)
	return struct {
		driver.Conn
		driver.ConnBeginTx
		driver.ConnPrepareContext
		driver.ExecerContext
		driver.QueryerContext
	}{full, full, full, full, full}, nil
}

// Number 8, newrelic/go-agent 1000 and DataDog/dd-trace-go 908: with such a wrapper above it, the plain driver writes to a connection that
// the server has long since ended. The look before the command is not hidden: nothing is written, and the pool takes another connection.
func TestReport08WrapperHidesReset(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		for name, use := range map[string]func(context.Context, *sql.DB) error{
			"exec":  func(ctx context.Context, db *sql.DB) error { _, err := db.ExecContext(ctx, "DO 1"); return err },
			"query": func(ctx context.Context, db *sql.DB) error { return db.QueryRowContext(ctx, "SELECT 1").Scan(new(int)) },
			"begin": func(ctx context.Context, db *sql.DB) error {
				tx, err := db.BeginTx(ctx, nil)
				if err == nil {
					err = tx.Rollback()
				}
				return err
			},
			"prepare": func(ctx context.Context, db *sql.DB) error {
				return db.QueryRowContext(ctx, "SELECT ?", 1).Scan(new(int))
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ctx := kit.Timeout(t, 30*time.Second)
				cfg, err := mysql.ParseDSN(server.DSN(""))
				if err != nil {
					t.Fatal(err)
				}
				cfg.Logger = &mysql.NopLogger{}
				reports := &kit.Collector{}
				connector, err := seqguard.NewConnector(cfg, seqguard.WithOnReport(reports.Add))
				if err != nil {
					t.Fatal(err)
				}
				db := sql.OpenDB(hiding{connector})
				defer db.Close()
				db.SetMaxOpenConns(1)
				kit.AwaitIdleEnd(t, server, db, "wait_timeout = 1")
				if err := use(ctx, db); err != nil {
					t.Errorf("the application notices: %v", err)
				}
				for _, r := range reports.All() {
					if r.Cause.Slug != "idle_timeout" && r.Cause.Slug != "closed_while_idle" {
						t.Errorf("%s", r)
					}
				}
			})
		}
	})
}

// Number 10, go-sql-driver/mysql 604 and sidorares/node-mysql2 4075: after a failover the pool's connections lead to a server that has
// become read only, and rejectReadOnly turns its answer into driver.ErrBadConn. That is as with the plain driver, and nothing to report.
func TestReport10RejectReadOnly(t *testing.T) {
	server := mysqltest.Start(t, "mysql9")
	admin, _ := kit.Open(t, server.RootDSN(""), nil)
	for _, q := range []string{"CREATE TABLE report10 (a INT)", "SET GLOBAL super_read_only = ON"} {
		if _, err := admin.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	for _, params := range []string{"rejectReadOnly=true", "rejectReadOnly=true&interpolateParams=true", ""} {
		t.Run(params, func(t *testing.T) {
			plain, err := sql.Open("mysql", server.DSN(params))
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			db, reports := kit.Open(t, server.DSN(params), nil)
			_, want := plain.Exec("INSERT INTO report10 VALUES (?)", 1)
			_, got := db.Exec("INSERT INTO report10 VALUES (?)", 1)
			if want == nil || fmt.Sprint(got) != fmt.Sprint(want) || errors.Is(got, driver.ErrBadConn) != errors.Is(want, driver.ErrBadConn) {
				t.Errorf("%v; the plain driver: %v", got, want)
			}
			reports.None(t)
		})
	}
}

// Number 21, letsencrypt/boulder 6914: contexts end in the course of queries, all the time. The application gets the context's error,
// nobody another one's rows, and nothing is reported: it was the client's own decision.
func TestReport21ContextsEndInTheirQueries(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		db, reports := kit.Open(t, server.DSN(""), nil)
		db.SetMaxOpenConns(5)
		var all sync.WaitGroup
		for n := range 40 {
			all.Go(func() {
				var got int
				var dial *net.OpError // a dial ends by its socket's deadline, which is that of the context, or by the context: whichever package net sees first
				err := db.QueryRowContext(kit.Timeout(t, time.Duration(n)*2*time.Millisecond), "SELECT SLEEP(0.05) + ?", n).Scan(&got)
				switch {
				case err == nil && got != n:
					t.Errorf("asked for %d, got %d", n, got)
				case err != nil && !errors.Is(err, context.DeadlineExceeded) && !(errors.As(err, &dial) && dial.Op == "dial" && dial.Timeout()):
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		for n := range 40 {
			var got int
			if err := db.QueryRowContext(kit.Timeout(t, 20*time.Second), "SELECT ?", n).Scan(&got); err != nil || got != n {
				t.Errorf("asked for %d, got %d, %v", n, got, err)
			}
		}
		reports.None(t)
	})
}
