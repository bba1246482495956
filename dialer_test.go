package seqguard_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func answersOK() []mysqltest.Step {
	return []mysqltest.Step{mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(mysqltest.AnswerOK)}
}

func works(t *testing.T, db *sql.DB) {
	t.Helper()
	if _, err := db.ExecContext(kit.Timeout(t, 20*time.Second), "DO 1"); err != nil {
		t.Fatal(err)
	}
}

func TestUnixSocket(t *testing.T) {
	db, c := kit.Open(t, mysqltest.ServeUnix(t, answersOK()...).DSN(""), nil)
	works(t, db)
	_ = db.Close()
	c.None(t)
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		if server.Socket == "" {
			t.Skip("the path of the server's unix socket is not known")
		}
		db, c := kit.Open(t, server.SocketDSN(""), nil)
		works(t, db)
		c.None(t)
	})
}

// A DialFunc of the user's is called as without us, for any network.
func TestDialFuncIsKept(t *testing.T) {
	server := mysqltest.Serve(t, answersOK()...)
	type key struct{}
	var network, addr string
	var value any
	db, c := kit.Open(t, "user:password@tunnel(far.away)/", func(cfg *mysql.Config) {
		cfg.DialFunc = func(ctx context.Context, n, a string) (net.Conn, error) {
			network, addr, value = n, a, ctx.Value(key{})
			var nd net.Dialer
			return nd.DialContext(ctx, server.Net, server.Addr)
		}
	})
	if err := db.PingContext(context.WithValue(kit.Timeout(t, 20*time.Second), key{}, "v")); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	if network != "tunnel" || addr != "far.away" || value != "v" {
		t.Errorf("dialled %q, %q with %v in the context", network, addr, value)
	}
	c.None(t)
}

// What a dial says is what the user gets.
func TestDialError(t *testing.T) {
	broken := errors.New("no route")
	db, c := kit.Open(t, "user@tunnel(far.away)/", func(cfg *mysql.Config) {
		cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) { return nil, broken }
	})
	if err := db.PingContext(kit.Timeout(t, 20*time.Second)); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	c.None(t)
}

// A token for a password, made for each connection.
func TestBeforeConnectChangesThePassword(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		for _, params := range []string{"", "tls=skip-verify"} {
			calls := 0
			db, c := kit.Open(t, server.DSNFor("gotest", "stale", params), func(cfg *mysql.Config) {
				if err := cfg.Apply(mysql.BeforeConnect(func(_ context.Context, cfg *mysql.Config) error {
					calls++
					cfg.Passwd = "secret"
					return nil
				})); err != nil {
					t.Fatal(err)
				}
			})
			works(t, db)
			if calls != 1 {
				t.Errorf("called %d times for one connection", calls)
			}
			c.None(t)
		}
	})
}

// A TLS configuration that BeforeConnect puts in place is not the one whose
// secrets are ours: the connection works, unseen.
func TestBeforeConnectReplacesTLS(t *testing.T) {
	server := mysqltest.Shared(t, "mysql9")
	before := seqguard.Stats()
	db, c := kit.Open(t, server.DSN("tls=skip-verify"), func(cfg *mysql.Config) {
		if err := cfg.Apply(mysql.BeforeConnect(func(_ context.Context, cfg *mysql.Config) error {
			cfg.TLS = &tls.Config{InsecureSkipVerify: true} // #nosec G402 -- a server of the test
			return nil
		})); err != nil {
			t.Fatal(err)
		}
	})
	conn, err := db.Conn(kit.Timeout(t, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 3 {
		var cipher, name string
		if err := conn.QueryRowContext(kit.Timeout(t, 20*time.Second), "SHOW STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher); err != nil || cipher == "" {
			t.Fatalf("cipher %q, %v", cipher, err)
		}
	}
	after := seqguard.Stats()
	if after.Opaque != before.Opaque+1 || after.Panics != before.Panics || after.Untracked != before.Untracked {
		t.Errorf("before %+v, after %+v", before, after)
	}
	c.None(t)
}

// The configuration's own key log is still written, beside ours.
func TestKeyLogIsKept(t *testing.T) {
	server := mysqltest.Shared(t, "mysql9")
	var log strings.Builder
	before := seqguard.Stats()
	db, c := kit.Open(t, server.DSN(""), func(cfg *mysql.Config) {
		cfg.TLS = &tls.Config{InsecureSkipVerify: true, KeyLogWriter: &log} // #nosec G402 -- a server of the test
	})
	works(t, db)
	if !strings.Contains(log.String(), "CLIENT_") {
		t.Errorf("the user's key log has %q", log.String())
	}
	if seqguard.Stats().Opaque != before.Opaque {
		t.Error("the connection is opaque")
	}
	c.None(t)
}

// tls=preferred on a server without TLS goes on in plaintext, and is seen.
func TestPreferredFallsBack(t *testing.T) {
	server := mysqltest.Serve(t, answersOK()...)
	before := seqguard.Stats()
	db, c := kit.Open(t, server.DSN("tls=preferred"), nil)
	works(t, db)
	works(t, db)
	_ = db.Close()
	if after := seqguard.Stats(); after.Opaque != before.Opaque || after.Untracked != before.Untracked {
		t.Errorf("before %+v, after %+v", before, after)
	}
	c.None(t)
	// tls=true does not.
	server = mysqltest.Serve(t, mysqltest.Greeting(mysqltest.GreetingOptions{}), mysqltest.ExpectClose())
	db, c = kit.Open(t, server.DSN("tls=true"), nil)
	if err := db.PingContext(kit.Timeout(t, 20*time.Second)); !errors.Is(err, mysql.ErrNoTLS) {
		t.Errorf("%v", err)
	}
	c.None(t)
}
