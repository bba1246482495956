package causes_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// The last words that take a server with limits.

// appAccount makes an account that offline_mode and limits are for: those with all rights have CONNECTION_ADMIN.
func appAccount(t *testing.T, server *mysqltest.Instance) (root *sql.DB) {
	t.Helper()
	root, _ = kit.Open(t, server.RootDSN(""), nil)
	for _, q := range []string{"CREATE USER app@'%' IDENTIFIED BY 'secret'", "GRANT SELECT, INSERT ON gotest.* TO app@'%'"} {
		if _, err := root.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// hungry takes more memory than the least limit there is.
const hungry = "SELECT t.c FROM (SELECT GROUP_CONCAT(x ORDER BY x) c FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT REPEAT('x', 1000) x FROM n a, n b LIMIT 20000) u GROUP BY x) t"

// MySQL's ERR 4082 and 4081 are the answer to a statement, and then the connection is closed: whoever uses it next is told why.
func TestFault3_07MemoryLimits(t *testing.T) {
	server := mysqltest.Start(t, "mysql9", "--global-connection-memory-tracking=ON", "--performance-schema=ON") // it counts memory
	root := appAccount(t, server)
	for code, variable := range map[uint16]string{4082: "connection_memory_limit = 2097152", 4081: "global_connection_memory_limit = 16777216"} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			name, _, _ := strings.Cut(variable, " ")
			if _, err := root.Exec("SET GLOBAL " + variable); err != nil {
				t.Fatal(err)
			}
			defer func() { _, _ = root.Exec("SET GLOBAL " + name + " = DEFAULT") }()
			db, c := kit.Open(t, server.DSNFor("app", "secret", ""), nil)
			conn := kit.Pin(t, db)
			id := kit.ID(t, conn)
			ctx := kit.Timeout(t, 30*time.Second)
			var text string
			err := conn.QueryRowContext(ctx, hungry).Scan(&text)
			kit.WantServerError(t, err, code)
			c.None(t)
			kit.AwaitEnd(t, server, id)
			_, err = conn.ExecContext(ctx, "DO 1")
			r := kit.WantCause(t, err, c, "server_farewell")
			if !strings.Contains(r.Cause.Explanation, fmt.Sprint("ERR ", code)) || !strings.Contains(r.Cause.Advice, "memory_limit") {
				t.Error(r)
			}
		})
	}
}

// A server whose init_connect fails for an account answers the first command with ERR 1184 and hangs up: the pool must not get
// that connection again, and whoever keeps it is told why.
func TestInitConnectFails(t *testing.T) {
	for _, name := range []string{"mysql9", "mariadb118"} {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.Start(t, name)
			root := appAccount(t, server)
			if _, err := root.Exec("SET GLOBAL init_connect = 'SELECT nonsense'"); err != nil {
				t.Fatal(err)
			}
			ctx := kit.Timeout(t, 30*time.Second)
			db, c := kit.Open(t, server.DSNFor("app", "secret", ""), nil)
			for range 5 { // each on a connection of its own, without anything that the next user meets
				_, err := db.ExecContext(ctx, "DO 1")
				kit.WantServerError(t, err, 1184)
			}
			c.None(t)
			if open := db.Stats().OpenConnections; open != 0 {
				t.Errorf("the pool has %d of them", open)
			}
			conn, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, err = conn.ExecContext(ctx, "DO 1")
			kit.WantServerError(t, err, 1184)
			_, err = conn.ExecContext(ctx, "DO 1")
			r := kit.WantCause(t, err, c, "server_farewell")
			if !strings.Contains(r.Cause.Explanation, "init_connect") || !strings.Contains(r.Cause.Advice, "SELECT @@init_connect") {
				t.Error(r)
			}
		})
	}
}

// offline_mode and an orderly stop of MySQL, with somebody who wants to connect at that moment.
func TestServerGoesAway(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(server *mysqltest.Instance, root *sql.DB)
		told func(error) bool
		says []string
	}{
		{"offline_mode", func(_ *mysqltest.Instance, root *sql.DB) { _, _ = root.Exec("SET GLOBAL offline_mode = ON") }, func(err error) bool {
			var me *mysql.MySQLError
			return errors.As(err, &me) && me.Number == 3032
		}, []string{"ERR 3032", "offline_mode=ON cuts connections without a word"}},
		{"SIGTERM", func(server *mysqltest.Instance, _ *sql.DB) { server.Stop() }, func(err error) bool {
			return errors.Is(err, syscall.ECONNREFUSED)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := mysqltest.Start(t, "mysql9")
			root := appAccount(t, server)
			db, reports := kit.Open(t, server.DSNFor("app", "secret", ""), func(cfg *mysql.Config) { cfg.Timeout = 5 * time.Second })
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			// One is busy, two are held and idle. (MySQL, SIGTERM: a statement that runs is ended with a row or an ERR 1053.)
			ended := make(chan error, 3)
			gone := make(chan struct{})
			var busy int
			for n := range 3 {
				conn := kit.Pin(t, db)
				if n == 0 {
					busy = kit.ID(t, conn)
				}
				go func() {
					q := "DO 1"
					if n == 0 {
						q = kit.LongStatement
					} else {
						<-gone
					}
					_, err := conn.ExecContext(ctx, q)
					ended <- err
				}()
			}
			kit.AwaitStatement(t, server, busy)
			time.Sleep(200 * time.Millisecond) // who has just got a connection from the pool hears nothing of its end
			go func() { c.do(server, root); close(gone) }()
			// Somebody dials until he is told, or refused.
			db.SetMaxIdleConns(-1)
			kit.Within(t, time.Minute, func() bool {
				conn, err := db.Conn(ctx)
				if err == nil {
					_ = conn.Close()
				}
				return c.told(err)
			}, "nobody is told")
			var answered int
			for range 3 {
				var me *mysql.MySQLError
				if err := <-ended; errors.As(err, &me) || err == nil {
					answered++ // the statement was ended before the connection was
				}
			}
			all := reports.All()
			named := 0
			for _, r := range all {
				if r.Cause.Slug != "server_shutdown" {
					// Its login was cut off, not a statement.
					if !r.Evidence.Phase.Connecting() {
						t.Errorf("named %s: %s", r.Cause.Slug, r)
					}
					continue
				}
				named++
				for _, s := range c.says {
					if !strings.Contains(r.Cause.Explanation, s) {
						t.Errorf("it does not say %q: %s", s, r)
					}
				}
			}
			if named < 2 || named+answered < 3 {
				t.Errorf("%d reports of a server that goes away, %d answers", named, answered)
			}
			t.Logf("%d reports, %d of a server that goes away; %d answers", len(all), named, answered)
		})
	}
}
