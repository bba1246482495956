//go:build linux

package testimony_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// told flushes, and returns the one report.
func told(t *testing.T, c *kit.Collector) *seqguard.Report {
	t.Helper()
	if err := seqguard.Flush(kit.Timeout(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.Only(t)
}

func wantText(t *testing.T, r *seqguard.Report, says ...string) {
	t.Helper()
	for _, s := range says {
		if !strings.Contains(r.String(), s) {
			t.Errorf("it does not say %q:\n%s", s, r)
		}
	}
}

// TestPostMortem: what the server says after a failure, on real ones.
func TestPostMortem(t *testing.T) {
	for _, name := range real {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := mysqltest.Start(t, name, "--connect-timeout=7", "--wait-timeout=1234", "--net-read-timeout=41", "--max-allowed-packet=32M")
			t.Run("the statement waits for a lock", func(t *testing.T) {
				// Not SLEEP, which MySQL ends with the connection.
				admin, _ := kit.Open(t, server.DSN("multiStatements=true"), nil)
				lock := kit.Pin(t, admin)
				if _, err := lock.ExecContext(t.Context(), "CREATE TABLE stock (id INT PRIMARY KEY, n INT) ENGINE=InnoDB; INSERT INTO stock VALUES (1, 1); BEGIN; UPDATE stock SET n = 2"); err != nil {
					t.Fatal(err)
				}
				for _, statement := range []bool{false, true} {
					spans := tracetest.NewInMemoryExporter()
					db, c := kit.Open(t, server.DSN("readTimeout=1s"), nil, seqguard.WithPostMortem(seqguard.PostMortem{Statement: statement}),
						seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))))
					if _, err := db.Exec("UPDATE stock SET n = 17171717"); err == nil {
						t.Fatal("no error")
					}
					r := told(t, c)
					p := r.Evidence.PostMortem
					if r.Cause.Slug != "peer_unresponsive" || !p.ThreadFound || p.ThreadCommand != "Query" || p.ConnectTimeout != 7*time.Second ||
						p.WaitTimeout != 1234*time.Second || p.NetReadTimeout != 41*time.Second || p.MaxAllowedPacket != 32<<20 || p.Uptime <= 0 || p.ReadOnly || p.Offline {
						t.Errorf("%s: %+v", r.Cause.Slug, p)
					}
					if statement != strings.Contains(p.Statement, "17171717") || statement != (p.Statement != "") {
						t.Errorf("asked for the statement: %t, and it is %q", statement, p.Statement)
					}
					wantText(t, r, "Asked over a new connection", "and the connection's thread is still there: Query for", "pdating\"", "The statement still runs there", "executed: unknown")
					if !statement && strings.Contains(r.String()+fmt.Sprintf("%+v", spans.GetSpans()), "17171717") {
						t.Error("the text of the statement is told")
					}
					attrs := fmt.Sprint(spans.GetSpans()[0].Attributes)
					for _, key := range []string{"seqguard.server.uptime_ms", "seqguard.server.thread.state", "seqguard.server.wait_timeout_ms", "seqguard.server.aborted_clients"} {
						if !strings.Contains(attrs, key) {
							t.Errorf("the span has no %s", key)
						}
					}
				}
			})
			t.Run("the thread is gone", func(t *testing.T) {
				db, c := kit.Open(t, server.DSN(""), nil, seqguard.WithPostMortem(seqguard.PostMortem{}))
				conn := kit.Pin(t, db)
				var id int
				if err := conn.QueryRowContext(t.Context(), "SELECT connection_id()").Scan(&id); err != nil {
					t.Fatal(err)
				}
				kit.Kill(t, server, id)
				if _, err := conn.ExecContext(t.Context(), "DO 1"); err == nil {
					t.Fatal("no error")
				}
				r := told(t, c)
				if p := r.Evidence.PostMortem; !p.ThreadKnown || p.ThreadFound || p.Failure != "" {
					t.Errorf("%s: %+v", r.Cause.Slug, p)
				}
				wantText(t, r, "the connection's thread is gone")
			})
			t.Run("real limits in place of defaults", func(t *testing.T) {
				// The clock of this test is the server's connect_timeout, so it is short here.
				server := mysqltest.Start(t, name, "--connect-timeout=2")
				db, c := kit.Open(t, server.DSN(""), func(cfg *mysql.Config) { kit.Stall(cfg, 1, 2500*time.Millisecond) }, seqguard.WithPostMortem(seqguard.PostMortem{Limit: 2 * time.Second}))
				if err := db.Ping(); err == nil {
					t.Fatal("no error")
				}
				// The dial function of the pool is the post-mortem's too: it is as slow.
				r := told(t, c)
				if p := r.Evidence.PostMortem; r.Cause.Slug != "login_stalled_locally" || p.Failure != "no answer in time" {
					t.Errorf("%s: %+v", r.Cause.Slug, p)
				}
			})
			t.Run("it is gone", func(t *testing.T) {
				server := mysqltest.Start(t, name)
				db, c := kit.Open(t, server.DSN(""), nil, seqguard.WithPostMortem(seqguard.PostMortem{}))
				conn := kit.Pin(t, db)
				id, done := kit.ID(t, conn), make(chan struct{})
				time.AfterFunc(300*time.Millisecond, func() {
					defer close(done)
					kit.AwaitStatement(t, server, id)
					server.Kill()
				})
				defer func() { <-done }()
				if _, err := conn.ExecContext(t.Context(), kit.LongStatement); err == nil {
					t.Fatal("no error")
				}
				r := told(t, c)
				if p := r.Evidence.PostMortem; p.Failure != "connection refused" {
					t.Errorf("%+v", p)
				}
				wantText(t, r, "the server did not answer: connection refused")
			})
			t.Run("it was restarted", func(t *testing.T) {
				server := mysqltest.Start(t, name)
				db, c := kit.Open(t, server.DSN(""), nil, seqguard.WithPostMortem(seqguard.PostMortem{}))
				conn := kit.Pin(t, db)
				time.Sleep(4 * time.Second) // older than the new one by more than the tolerance
				server.Kill()
				server.Restart(t)
				if _, err := conn.ExecContext(t.Context(), "DO 1"); err == nil {
					t.Fatal("no error")
				}
				wantText(t, told(t, c), "less than this connection was old: it was restarted")
			})
		})
	}
}

// TestPostMortemIsBounded: a server that greets nobody costs a post-mortem its limit,
// other reports nothing, and its own connections are not looked into.
func TestPostMortemIsBounded(t *testing.T) {
	const limit = 1500 * time.Millisecond
	script := []mysqltest.Step{mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ExpectCommand(mysqltest.ComQuery), mysqltest.Close()}
	over := make(chan struct{})
	hang := []mysqltest.Step{mysqltest.WaitFor(over)}
	server := mysqltest.ServeConns(t, script, hang, script)
	defer close(over)
	var dials atomic.Int32
	db, c := kit.Open(t, server.DSN(""), func(cfg *mysql.Config) {
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			dials.Add(1)
			return conn, err
		}
	}, seqguard.WithPostMortem(seqguard.PostMortem{Limit: limit}))
	fail := func() {
		t.Helper()
		conn := kit.Pin(t, db)
		began := time.Now()
		if _, err := conn.ExecContext(t.Context(), "DO 1"); err == nil {
			t.Fatal("no error")
		}
		if d := time.Since(began); d >= limit {
			t.Errorf("the operation took %v: it waited for the post-mortem", d)
		}
		_ = conn.Close()
	}
	fail()
	kit.Eventually(t, func() bool { return dials.Load() >= 2 }, "nobody asks") // it is being asked: the next connection is the third
	fail()
	// The second one is not asked about so soon after the first, and is told at once.
	kit.Eventually(t, func() bool { return len(c.All()) > 0 }, "nothing is told")
	if first := c.All()[0]; first.Evidence.PostMortem.Asked {
		t.Errorf("the report that waits held up the other one: %+v", first.Evidence.PostMortem)
	}
	if err := seqguard.Flush(kit.Timeout(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	all := c.All()
	if len(all) != 2 || all[1].Evidence.PostMortem.Failure != "no answer in time" || all[1].Evidence.PostMortem.After > 5*time.Second {
		t.Errorf("%d reports, the last: %+v", len(all), all[len(all)-1].Evidence.PostMortem)
	}
}

// TestPostMortemThatHangs: a dial function that never comes back is called once, and
// not again for each failure.
func TestPostMortemThatHangs(t *testing.T) {
	script := []mysqltest.Step{mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ExpectCommand(mysqltest.ComQuery), mysqltest.Close()}
	server := mysqltest.ServeConns(t, script, script, script)
	type own struct{}
	over := make(chan struct{})
	defer close(over)
	var asked atomic.Int32
	db, c := kit.Open(t, server.DSN(""), func(cfg *mysql.Config) {
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if ctx.Value(own{}) == nil {
				asked.Add(1)
				<-over
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}, seqguard.WithPostMortem(seqguard.PostMortem{Limit: 100 * time.Millisecond, Every: time.Nanosecond}))
	for range 3 {
		conn, err := db.Conn(context.WithValue(t.Context(), own{}, true))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), "DO 1"); err == nil {
			t.Fatal("no error")
		}
		_ = conn.Close()
		if err := seqguard.Flush(kit.Timeout(t, 20*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	all := c.All()
	if n := asked.Load(); n != 1 || len(all) != 3 {
		t.Fatalf("asked %d times, %d reports", n, len(all))
	}
	for i, r := range all {
		if p := r.Evidence.PostMortem; p.Asked != (i == 0) || i == 0 && p.Failure != "no answer in time" {
			t.Errorf("%d: %+v", i, p)
		}
	}
}

// TestPostMortemInTheDSN: it is off, unless it is asked for.
func TestPostMortemInTheDSN(t *testing.T) {
	server := mysqltest.Shared(t, "mysql9")
	for value, want := range map[string]bool{"": false, "&seqguardPostMortem=on": true, "&seqguardPostMortem=off": false} {
		db, c := kit.Open(t, server.DSN("readTimeout=3s"+value), nil)
		_, _ = db.Exec("DO SLEEP(6)")
		if p := told(t, c).Evidence.PostMortem; p.Asked != want || p.Failure != "" {
			t.Errorf("%q: %+v", value, p)
		}
	}
}
