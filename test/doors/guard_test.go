package doors

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func guarded(t testing.TB, dsn string, change func(*mysql.Config), opts ...seqguard.Option) driver.Connector {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = &mysql.NopLogger{}
	if change != nil {
		change(cfg)
	}
	if err := seqguard.Guard(cfg, opts...); err != nil {
		t.Fatal(err)
	}
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The plain driver's connector, guarded on the wire, also through TLS that its connections share and compression; many logins
// at once find their own secrets.
func TestGuard(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		for _, params := range []string{"", "tls=skip-verify", "compress=true", "tls=skip-verify&compress=true", "tls=preferred"} {
			t.Run(params, func(t *testing.T) {
				c := &kit.Collector{}
				connector := guarded(t, server.DSN(params), nil, seqguard.WithOnReport(c.Add))
				if _, ok := connector.Driver().(*mysql.MySQLDriver); !ok {
					t.Errorf("the connector is of %T", connector.Driver())
				}
				before := seqguard.Stats()
				const n = 8
				guards(t, n, func() {
					db := openDB(t, connector)
					db.SetMaxIdleConns(0)
					var wg sync.WaitGroup
					for range n {
						wg.Go(func() {
							var x int
							if err := db.QueryRowContext(ctx(t), "SELECT 41 + ?", 1).Scan(&x); err != nil || x != 42 {
								t.Errorf("%d, %v", x, err)
							}
						})
					}
					wg.Wait()
				})
				if after := seqguard.Stats(); after.Opaque != before.Opaque {
					t.Errorf("%d connections could not be seen", after.Opaque-before.Opaque)
				}
				c.None(t)
			})
		}
	})
}

// A stale answer is not read, and the report of it comes; the error is the driver's own.
func TestGuardRefusesStaleAnswers(t *testing.T) {
	ok := mysqltest.Packet(1, mysqltest.OKPayload(0, 0, 2, 0))
	server := mysqltest.Serve(t, mysqltest.Login(mysqltest.GreetingOptions{}),
		// In one piece: without a check of the connection nothing looks for the second before the next command.
		mysqltest.ExpectCommand(0x03), mysqltest.SendRaw(slices.Concat(ok, ok)), mysqltest.ExpectClose())
	c := &kit.Collector{}
	db := openDB(t, guarded(t, server.DSN("maxAllowedPacket=1000000&checkConnLiveness=false"), nil, seqguard.WithOnReport(c.Add)))
	conn, err := db.Conn(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx(t), "DO 1"); err != nil {
		t.Fatal(err)
	}
	_, err = conn.ExecContext(ctx(t), "DO 2")
	var pe *seqguard.ProtocolError
	if err == nil || errors.As(err, &pe) {
		t.Errorf("%v", err)
	}
	if err := seqguard.Flush(ctx(t)); err != nil {
		t.Fatal(err)
	}
	all := c.All()
	if len(all) == 0 || all[0].Cause.Slug != "unsolicited_packet" && all[0].Cause.Slug != "stale_answer" {
		t.Fatalf("reports %v", all)
	}
}

// What the configuration had is kept.
func TestGuardKeepsTheConfiguration(t *testing.T) {
	server := mysqltest.Shared(t, "mysql9")
	var log strings.Builder
	dialed := 0
	connector := guarded(t, server.DSN("seqguardMode=observe&sql_mode=ANSI"), func(cfg *mysql.Config) {
		cfg.TLS = &tls.Config{InsecureSkipVerify: true, KeyLogWriter: &log} // #nosec G402 -- a server of the test
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialed++
			var nd net.Dialer
			return nd.DialContext(ctx, network, addr)
		}
		if err := cfg.Apply(mysql.BeforeConnect(func(_ context.Context, cfg *mysql.Config) error {
			cfg.Passwd = "secret"
			return nil
		})); err != nil {
			t.Fatal(err)
		}
		cfg.Passwd = "stale"
	})
	guards(t, 1, func() { works(t, openDB(t, connector)) })
	if dialed != 1 || !strings.Contains(log.String(), "CLIENT_") {
		t.Errorf("dialed %d times; key log %q", dialed, log.String())
	}
}

func TestGuardErrors(t *testing.T) {
	for name, change := range map[string]func(*mysql.Config) []seqguard.Option{
		"seqguardMode": func(cfg *mysql.Config) []seqguard.Option {
			cfg.Params = map[string]string{"seqguardMode": "off"}
			return nil
		},
		"no-such-config": func(cfg *mysql.Config) []seqguard.Option { cfg.TLSConfig = "no-such-config"; return nil },
		"WithMiddleware": func(*mysql.Config) []seqguard.Option {
			return []seqguard.Option{seqguard.WithMiddleware(func(c driver.Connector) driver.Connector { return c })}
		},
	} {
		cfg := mysql.NewConfig()
		opts := change(cfg)
		before := cfg.Clone()
		if err := seqguard.Guard(cfg, opts...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if cfg.DialFunc != nil || !reflect.DeepEqual(cfg.Params, before.Params) {
			t.Errorf("%s: the configuration was changed all the same", name)
		}
	}
}
