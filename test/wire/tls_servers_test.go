package wire_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// authority returns the CA of a private server and the client's certificate.
func authority(t *testing.T, server *mysqltest.Instance) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	if server.TLS == "" {
		t.Skip("NOT TESTED: certificates, on a server of SEQGUARD_TEST_SERVERS whose CA is not known")
	}
	pem, err := os.ReadFile(filepath.Join(server.TLS, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in ca.pem")
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(server.TLS, "client.pem"), filepath.Join(server.TLS, "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	return pool, cert
}

// visible checks that the packets inside of one connection of the pool are
// seen: those of a small result, of an error and of a prepared statement.
func visible(t *testing.T, db *sql.DB, c *kit.Collector, view cause.TLS) *seqguard.Report {
	t.Helper()
	ctx := kit.Timeout(t, 30*time.Second)
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	count(t, ctx, conn, 300, many(300))
	count(t, ctx, conn, 1, "SELECT ?", 1)
	_, err = conn.ExecContext(ctx, "SELECT FROM")
	kit.WantServerError(t, err, 1064)
	before := len(c.All())
	provoke(t, ctx, conn)
	r := c.All()[before]
	if r.Evidence.TLS != view {
		t.Errorf("TLS is %v, want %v; reason %q", r.Evidence.TLS, view, r.OpaqueReason)
	}
	if view == cause.TLSOpaque {
		return r
	}
	seen := map[session.Kind]int{}
	for _, p := range packets(r) {
		seen[p.kind]++
	}
	for kind, n := range map[session.Kind]int{session.KindCommand: 6, session.KindRow: 301, session.KindERR: 1, session.KindPrepareOK: 1, session.KindLogin: 1} {
		if seen[kind] < n {
			t.Errorf("%d packets of kind %q were seen, want %d\n%s", seen[kind], kind, n, r.Timeline())
		}
	}
	return r
}

func TestTLSConfigurations(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		for name, cfg := range map[string]*tls.Config{
			"default":                {},
			"1.2":                    {MaxVersion: tls.VersionTLS12},
			"1.3":                    {MinVersion: tls.VersionTLS13},
			"1.2 ChaCha20":           {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}},
			"1.2 AES-256":            {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}},
			"post-quantum first":     {MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256}},
			"no post-quantum shares": {CurvePreferences: []tls.CurveID{tls.CurveP256}},
		} {
			t.Run(name, func(t *testing.T) {
				cfg.InsecureSkipVerify = true
				db, c := kit.Open(t, server.DSN(""), func(m *mysql.Config) { m.TLS = cfg })
				visible(t, db, c, cause.TLSVisible)
			})
		}
	})
}

// MySQL does not take the group of the only key share that is sent, or takes no
// other than it, according to its build; one of the two forces a second
// ClientHello.
func TestTLSHelloRetryRequest(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		retried := 0
		for _, curves := range [][]tls.CurveID{
			{tls.X25519MLKEM768, tls.CurveP256}, {tls.X25519, tls.CurveP256}, {tls.CurveP521, tls.CurveP256}, {tls.CurveP256, tls.X25519},
		} {
			var hellos int
			db, c := kit.Open(t, server.DSN(""), func(m *mysql.Config) {
				m.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, CurvePreferences: curves,
					VerifyConnection: func(s tls.ConnectionState) error {
						if s.HelloRetryRequest {
							hellos++
						}
						return nil
					}}
			})
			visible(t, db, c, cause.TLSVisible)
			retried += hellos
		}
		t.Logf("%d of 4 connections needed a second ClientHello", retried)
		if server.Kind == mysqltest.MySQL && retried == 0 {
			t.Error("no HelloRetryRequest came")
		}
	})
}

func TestTLSParameter(t *testing.T) {
	for _, name := range mysqltest.Names {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.Shared(t, name)
			pool, cert := authority(t, server)
			custom := "seqguard-" + name
			if err := mysql.RegisterTLSConfig(custom, &tls.Config{RootCAs: pool}); err != nil {
				t.Fatal(err)
			}
			defer mysql.DeregisterTLSConfig(custom)
			for _, params := range []string{"tls=" + custom, "tls=skip-verify", "tls=preferred"} {
				t.Run(params, func(t *testing.T) {
					db, c := kit.Open(t, server.DSNFor("tlsonly", "secret", params), nil)
					visible(t, db, c, cause.TLSVisible)
				})
			}
			t.Run("mTLS", func(t *testing.T) {
				db, c := kit.Open(t, server.DSNFor("mtls", "secret", ""), func(m *mysql.Config) {
					m.TLS = &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}}
				})
				visible(t, db, c, cause.TLSVisible)
			})
		})
	}
}

// With preferred, a server that has no TLS is spoken to in plaintext.
func TestTLSPreferredWithoutTLS(t *testing.T) {
	for name, option := range map[string]string{"mysql9": "--tls-version=", "mariadb1011": "--skip-ssl", "mariadb118": "--skip-ssl"} {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.Start(t, name, option)
			db, c := kit.Open(t, server.DSN("tls=preferred"), nil)
			visible(t, db, c, cause.TLSNone)
			db, c = kit.Open(t, server.DSN("tls=skip-verify"), nil)
			if err := db.PingContext(kit.Timeout(t, 10*time.Second)); err != mysql.ErrNoTLS {
				t.Errorf("%v, want the driver's own ErrNoTLS", err)
			}
			c.None(t)
		})
	}
}

// A resumed session has no secrets in the key log of its own in TLS 1.2.
func TestTLSResumption(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
			t.Run(name, func(t *testing.T) {
				log := &keyLog{}
				resumed := 0
				db, c := kit.Open(t, server.DSN(""), func(m *mysql.Config) {
					m.TLS = &tls.Config{
						InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, KeyLogWriter: log,
						ClientSessionCache: tls.NewLRUClientSessionCache(8), ServerName: "server.seqguard.test",
						VerifyConnection: func(s tls.ConnectionState) error {
							if s.DidResume {
								resumed++
							}
							return nil
						},
					}
				})
				db.SetMaxIdleConns(-1) // a new connection each time
				for range 3 {
					visible(t, db, c, cause.TLSVisible)
				}
				if resumed == 0 {
					t.Error("no session was resumed")
				}
				if log.lines() == 0 {
					t.Error("the user's own KeyLogWriter was not served")
				}
			})
		}
	})
}

// keyLog is a user's KeyLogWriter.
type keyLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *keyLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *keyLog) lines() int { return bytes.Count(l.bytes(), []byte("\n")) }

func (l *keyLog) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// Everything that one can do, in every wrapping.
func TestVarietyWrapped(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		for _, params := range wrappings {
			t.Run(params, func(t *testing.T) {
				ctx := kit.Timeout(t, time.Minute)
				db, c := kit.Open(t, server.DSN("multiStatements=true&maxAllowedPacket=0&"+params), nil)
				conn, err := db.Conn(ctx)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				before := seqguard.Stats()
				variety(t, ctx, conn)
				big(t, ctx, conn)
				c.None(t)
				if s := seqguard.Stats(); s.Untracked != before.Untracked || s.Opaque != before.Opaque || s.Panics != before.Panics {
					t.Errorf("before %+v, after %+v", before, s)
				}
			})
		}
	})
}

var wrappings = []string{"tls=skip-verify", "compress=true", "tls=skip-verify&compress=true"}

// ERR 4031 waits on the idle connection; in TLS behind a record, compressed in a
// frame. In front of it may be session tickets.
func TestIdleTimeoutWrapped(t *testing.T) {
	server := mysqltest.Shared(t, "mysql9")
	for _, params := range wrappings {
		t.Run(params, func(t *testing.T) {
			ctx := kit.Timeout(t, 30*time.Second)
			for _, pinned := range []bool{true, false} {
				db, c := kit.Open(t, server.DSN(params), nil)
				db.SetMaxOpenConns(1)
				conn, err := db.Conn(ctx)
				if err != nil {
					t.Fatal(err)
				}
				u := kit.User(conn)
				if !pinned {
					_ = conn.Close()
					u = db
				}
				kit.AwaitIdleEnd(t, server, u, "wait_timeout=1")
				if pinned {
					_, err = conn.ExecContext(ctx, "DO 1")
					kit.WantCause(t, err, c, "idle_timeout")
					kit.WantServerError(t, err, 4031)
					_ = conn.Close()
					continue
				}
				if _, err := db.ExecContext(ctx, "DO 1"); err != nil {
					t.Errorf("the pool must go on with another connection: %v", err)
				}
				if r := c.Only(t); r.Cause.Slug != "idle_timeout" || r.Evidence.ServerError == nil {
					t.Errorf("%s\n%s", r, r.Timeline())
				}
			}
		})
	}
}

func TestKillWrapped(t *testing.T) {
	mysqltest.ForEachServerBeside(t, func(t *testing.T, server *mysqltest.Instance) {
		for _, params := range append(wrappings, "tls=skip-verify&opaque") {
			t.Run(params, func(t *testing.T) {
				opts := []seqguard.Option{seqguard.WithTLSView(params != "tls=skip-verify&opaque")}
				if params == "tls=skip-verify&opaque" {
					params = "tls=skip-verify"
				}
				ctx := kit.Timeout(t, 30*time.Second)
				db, c := kit.Open(t, server.DSN(params), nil, opts...)
				db.SetMaxOpenConns(1)
				id := connectionID(t, ctx, db)
				kit.Kill(t, server, id)
				if again := connectionID(t, ctx, db); again == id {
					t.Error("the killed connection was used")
				}
				c.None(t)
				id = connectionID(t, ctx, db)
				time.Sleep(1100 * time.Millisecond) // or it looks like the end of the server
				kit.KillSoon(t, server, id)
				_, err := db.ExecContext(ctx, kit.LongStatement)
				t.Logf("error: %v", err)
				if kit.AnsweredKill(server, err) {
					return
				}
				if r := c.Only(t); r.Cause.Slug != "closed_before_answer" && r.Cause.Slug != "connection_killed" {
					t.Errorf("%s\n%s", r, r.Timeline())
				}
			})
		}
	})
}

func connectionID(t *testing.T, ctx context.Context, db *sql.DB) (id int) {
	t.Helper()
	if err := db.QueryRowContext(ctx, "SELECT connection_id()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}
