package causes_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// The case that the project began with: the server gives up waiting for the
// login while this process is stalled.
func TestLoginStalledLocally(t *testing.T) {
	beside(t, []string{"", "tls=skip-verify"}, func(tls string) {
		t.Run("tls="+tls, func(t *testing.T) {
			server := mysqltest.Start(t, "mysql9", "--connect-timeout=2")
			nth, got, due := 1, uint8(1), uint8(2)
			if tls != "" {
				nth, got, due = 2, 2, 3 // the SSLRequest is a packet, too
			}
			db, c := kit.Open(t, server.DSN(tls), func(cfg *mysql.Config) { kit.Stall(cfg, nth, 3*time.Second) })
			err := db.PingContext(kit.Timeout(t, 20*time.Second))
			r := kit.WantCause(t, err, c, "login_stalled_locally")
			kit.WantServerError(t, err, 1159)
			e := r.Evidence
			if e.Actual != got || e.Expected != due {
				t.Errorf("id %d where %d was due, want %d and %d", e.Actual, e.Expected, got, due)
			}
			if e.LoginAfter < 2900*time.Millisecond || e.LoginAfter > 6*time.Second {
				t.Errorf("greeting → login %v, want about 3 s", e.LoginAfter)
			}
			for _, want := range []string{"1159", "connect_timeout"} {
				if !strings.Contains(fmt.Sprintf("%+v", err), want) {
					t.Errorf("the error does not say %q", want)
				}
			}
			if r.Owner == nil || r.Owner.Kind.String() != "connect" {
				t.Errorf("operation %v, want the connect", r.Owner)
			}
		})
	})
}

func TestLoginDelayedOnTheWay(t *testing.T) {
	server := mysqltest.Start(t, "mysql9", "--connect-timeout=2")
	relay := mysqltest.NewRelay(t, server.Addr, mysqltest.OnPacket(mysqltest.FromClient, 0, mysqltest.Action{Hold: 3 * time.Second}))
	db, c := kit.Open(t, relay.DSN(""), nil)
	err := db.PingContext(kit.Timeout(t, 20*time.Second))
	kit.WantCause(t, err, c, "login_delayed_on_the_way")
	kit.WantServerError(t, err, 1159)
}

// Nothing here was late, and the report must not say so: the ClientHello was on its way for longer than connect_timeout. MariaDB's word for it is that of a
// handshake that fails, too, so the text has all three. (MySQL 9.7 waits on.)
func TestHandshakeDelayedOnTheWay(t *testing.T) {
	for _, name := range []string{"mariadb1011", "mariadb118"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := mysqltest.Start(t, name, "--connect-timeout=2")
			relay := mysqltest.NewRelay(t, server.Addr, func(p mysqltest.RelayPacket) mysqltest.Action {
				if p.From == mysqltest.FromClient && p.Raw {
					return mysqltest.Action{Hold: 3 * time.Second}
				}
				return mysqltest.Action{}
			})
			db, c := kit.Open(t, relay.DSN("tls=skip-verify"), nil)
			r := kit.WantCause(t, db.PingContext(kit.Timeout(t, 20*time.Second)), c, "tls_failed")
			for _, s := range []cause.Slug{"login_stalled_locally", "login_delayed_on_the_way"} {
				if !slices.Contains(r.Cause.Alternatives, s) {
					t.Errorf("%v, and not %s", r.Cause.Alternatives, s)
				}
			}
			if !strings.Contains(r.Cause.Explanation, "not over within its connect_timeout") || strings.Contains(r.Cause.Explanation, "had been here") {
				t.Error(r.Cause.Explanation)
			}
		})
	}
}

// ERR 4031 is sent by MySQL only; MariaDB resets the connection without a word.
func TestIdleTimeoutPinned(t *testing.T) {
	mysqltest.ForEachServerBeside(t, func(t *testing.T, server *mysqltest.Instance) {
		for _, tls := range []string{"", "tls=skip-verify"} {
			t.Run("tls="+tls, func(t *testing.T) {
				ctx := kit.Timeout(t, 30*time.Second)
				db, c := kit.Open(t, server.DSN(tls), nil)
				conn, err := db.Conn(ctx)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				kit.AwaitIdleEnd(t, server, conn, "wait_timeout=1")
				_, err = conn.ExecContext(ctx, "SELECT 1")
				if !errors.Is(err, driver.ErrBadConn) {
					t.Errorf("nothing was written, so the error must be driver.ErrBadConn: %v", err)
				}
				// The application has got an error, so it is one and not a notice:
				// for MariaDB's wordless end, which a pool's user never hears of, too.
				want := cause.Slug("idle_timeout")
				if server.Kind == mysqltest.MariaDB {
					want = "closed_while_idle" // a balancer resets as well, so it is not known
				}
				r := kit.WantCause(t, err, c, want)
				if r.Cause.Severity != cause.Error || !strings.Contains(r.Cause.Explanation, "holds this connection itself") {
					t.Errorf("severity %s: %s", r.Cause.Severity, r.Cause.Explanation)
				}
				if server.Kind == mysqltest.MySQL {
					kit.WantServerError(t, err, 4031)
				}
			})
		}
	})
}

func TestIdleTimeoutPool(t *testing.T) {
	mysqltest.ForEachServerBeside(t, func(t *testing.T, server *mysqltest.Instance) {
		ctx := kit.Timeout(t, 30*time.Second)
		db, c := kit.Open(t, server.DSN(""), nil)
		db.SetMaxOpenConns(1)
		kit.AwaitIdleEnd(t, server, db, "wait_timeout=1")
		var n int
		if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&n); err != nil || n != 1 {
			t.Errorf("the pool must go on with another connection: %v", err)
		}
		if server.Kind == mysqltest.MariaDB {
			c.None(t)
			return
		}
		if r := c.Only(t); r.Cause.Slug != "idle_timeout" || r.Cause.Severity != cause.Notice {
			t.Errorf("%s of severity %s, want a notice of idle_timeout", r.Cause.Slug, r.Cause.Severity)
		}
	})
}

// An idle connection that was killed: the next query succeeds on another one.
func TestLiveness(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		ctx := kit.Timeout(t, 30*time.Second)
		db, c := kit.Open(t, server.DSN(""), nil)
		db.SetMaxOpenConns(1)
		var id, again int
		if err := db.QueryRowContext(ctx, "SELECT connection_id()").Scan(&id); err != nil {
			t.Fatal(err)
		}
		kit.Kill(t, server, id)
		if err := db.QueryRowContext(ctx, "SELECT connection_id()").Scan(&again); err != nil || again == id {
			t.Errorf("after KILL of idle connection %d: connection %d, %v", id, again, err)
		}
		kit.Kill(t, server, again)
		if err := db.Close(); err != nil { // says COM_QUIT to nobody
			t.Error(err)
		}
		c.None(t)
	})
}

func TestKillDuringQuery(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		ctx := kit.Timeout(t, 30*time.Second)
		// Under a name of its own: what other tests have killed a moment ago is
		// not its company.
		db, c := kit.Open(t, strings.Replace(server.DSN(""), "127.0.0.1", "localhost", 1), nil)
		conn, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var id int
		if err := conn.QueryRowContext(ctx, "SELECT connection_id()").Scan(&id); err != nil {
			t.Fatal(err)
		}
		kit.KillSoon(t, server, id)
		_, err = conn.ExecContext(ctx, kit.LongStatement)
		t.Logf("error: %v", err)
		if errors.Is(err, driver.ErrBadConn) {
			t.Errorf("the command was written: %v", err)
		}
		if kit.AnsweredKill(server, err) {
			return
		}
		r := c.Only(t)
		if r.Cause.Slug != "closed_before_answer" && r.Cause.Slug != "connection_killed" {
			t.Errorf("cause %s", r.Cause.Slug)
		}
	})
}

func TestShutdown(t *testing.T) {
	beside(t, []string{"mysql9", "mariadb1011"}, func(name string) {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.Start(t, name)
			ctx := kit.Timeout(t, 60*time.Second)
			db, c := kit.Open(t, server.DSN(""), nil)
			idle, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer idle.Close()
			busy, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer busy.Close()
			id := kit.ID(t, busy)
			done := make(chan error, 1)
			go func() {
				_, err := busy.ExecContext(ctx, kit.LongStatement)
				done <- err
			}()
			kit.AwaitStatement(t, server, id)
			server.Stop()
			busyErr := <-done
			_, idleErr := idle.ExecContext(ctx, "SELECT 1")
			t.Logf("busy: %v\nidle: %v", busyErr, idleErr)
			// MySQL ends the statement with an answer before it closes the connection.
			if idleErr == nil || busyErr == nil && server.Kind == mysqltest.MariaDB {
				t.Error("the connections must fail")
			}
			if !errors.Is(idleErr, driver.ErrBadConn) {
				t.Error("nothing was written on the idle one: it must be driver.ErrBadConn")
			}
			for _, r := range c.All() {
				t.Logf("%s\n%s", r, r.Timeline())
				switch r.Cause.Slug {
				case "server_shutdown", "closed_before_answer", "connection_lost_mid_answer":
				case "closed_while_idle":
					// The idle one, if it was found later than a second behind the other.
					if r.Owner.Kind != wrapconn.OpExec || r.Cause.Severity != cause.Error {
						t.Errorf("%s of severity %s during %s", r.Cause.Slug, r.Cause.Severity, r.Owner)
					}
				default:
					t.Errorf("cause %s", r.Cause.Slug)
				}
			}
		})
	})
}

// A server that is full refuses in place of the greeting, MariaDB once the slot
// for the administrator is taken, too.
func TestTooManyConnections(t *testing.T) {
	beside(t, []string{"mysql9", "mariadb1011"}, func(name string) {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.Start(t, name, "--max-connections=1")
			ctx := kit.Timeout(t, 30*time.Second)
			db, c := kit.Open(t, server.DSN(""), nil)
			var held []interface{ Close() error }
			defer func() {
				for _, h := range held {
					_ = h.Close()
				}
			}()
			var err error
			for range 20 { // MariaDB allows no limit under 10
				conn, e := db.Conn(ctx)
				if err = e; err != nil {
					break
				}
				held = append(held, conn)
			}
			t.Logf("after %d connections: %v", len(held), err)
			kit.WantServerError(t, err, 1040)
			if r := c.All(); len(r) == 0 || r[0].Cause.Slug != "refused_before_greeting" {
				t.Errorf("reports %v", r)
			}
			if !strings.Contains(fmt.Sprintf("%+v", err), "max_connections") {
				t.Errorf("the error does not say what to do: %v", err)
			}
		})
	})
}

func TestConnectionLostMidAnswer(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		relay := mysqltest.NewRelay(t, server.Addr, mysqltest.AtByte(mysqltest.FromServer, 20000, mysqltest.Cut))
		db, c := kit.Open(t, relay.DSN(""), nil)
		rows, err := db.QueryContext(kit.Timeout(t, 20*time.Second), "SELECT REPEAT('x', 300) FROM information_schema.columns, (SELECT 1 UNION SELECT 2) t LIMIT 1000")
		if err == nil {
			for rows.Next() {
			}
			err = rows.Err()
			_ = rows.Close()
		}
		r := kit.WantCause(t, err, c, "connection_lost_mid_answer")
		if !errors.Is(err, mysql.ErrInvalidConn) {
			t.Errorf("the driver's error must be found in it: %v", err)
		}
		if !r.Evidence.AnswerStarted {
			t.Error("the answer had started")
		}
	})
}

func TestContextErrorsAreTheDriversOwn(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		db, c := kit.Open(t, server.DSN(""), nil)
		if err := db.PingContext(t.Context()); err != nil { // the limit is that of a statement, and not of a dial
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		if _, err := db.ExecContext(ctx, "DO SLEEP(5)"); err != context.DeadlineExceeded {
			t.Errorf("%v, want context.DeadlineExceeded itself", err)
		}
		c.None(t)
	})
}
