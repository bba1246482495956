package seqguard

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

func newTestConnector(t *testing.T, dsn string, set func(*mysql.Config), opts ...Option) *connector {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(cfg)
	}
	c, err := NewConnector(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*connector)
}

// go-sql-driver's connector is made once for all connections, unless something in
// it must belong to one connection.
func TestConnectorIsShared(t *testing.T) {
	for _, tt := range []struct {
		name, dsn string
		set       func(*mysql.Config)
		opts      []Option
		shared    bool
	}{
		{"plaintext", "user@tcp(db)/", nil, nil, true},
		{"TLS", "user@tcp(db)/?tls=skip-verify", nil, nil, true},
		{"TLS that is not looked into", "user@tcp(db)/?tls=skip-verify&seqguardTLS=opaque", nil, nil, true},
		// The driver notes in its configuration that it has fallen back, and goes on so.
		{"TLS or plaintext", "user@tcp(db)/?tls=preferred", nil, nil, false},
		{"TLS with sessions", "user@tcp(db)/", func(cfg *mysql.Config) {
			cfg.TLS = &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)} // #nosec G402 -- never used
		}, nil, false},
		{"middleware", "user@tcp(db)/", nil, []Option{WithMiddleware(func(c driver.Connector) driver.Connector { return c })}, false},
	} {
		c := newTestConnector(t, tt.dsn, tt.set, tt.opts...)
		a, err := c.base(&dialer{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := c.base(&dialer{})
		if err != nil {
			t.Fatal(err)
		}
		if (a == b) != tt.shared {
			t.Errorf("%s: one connector %v, want %v", tt.name, a == b, tt.shared)
		}
	}
}

// Connections that are made at the same time through one connector have their
// own contexts and their own guards, and none keeps its context.
func TestConnectionsOfOneConnectorAreApart(t *testing.T) {
	type key struct{}
	s := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(mysqltest.AnswerOK))
	var mu sync.Mutex
	dialed := map[any]int{}
	c := newTestConnector(t, "user@tcp("+s.Addr+")/", func(cfg *mysql.Config) {
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			mu.Lock()
			dialed[ctx.Value(key{})]++
			mu.Unlock()
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		}
	})
	const n = 8
	wires := make([]*wrapconn.Conn, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			dc, err := c.Connect(context.WithValue(context.Background(), key{}, i))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = dc.Close() })
			it := dc.(*conn).it
			wires[i] = it.wire
			if it.dialer != nil {
				t.Error("the dialer, and with it the context of the connect, is kept")
			}
		})
	}
	wg.Wait()
	seen := map[*wrapconn.Conn]bool{}
	for i, w := range wires {
		if w == nil || seen[w] || dialed[i] != 1 {
			t.Errorf("connection %d: guard %p, dialed %d times", i, w, dialed[i])
		}
		seen[w] = true
	}
}

// TestMiddlewareOfItsOwnConnections: a connection that was not dialed through what the middleware was given cannot be guarded.
// That is an error which says so, and the connection is closed.
func TestMiddlewareOfItsOwnConnections(t *testing.T) {
	own := &ownConnections{}
	c := newTestConnector(t, "user@tcp(db)/", nil, WithMiddleware(func(driver.Connector) driver.Connector { return own }))
	conn, err := c.Connect(t.Context())
	if conn != nil || err == nil || !strings.Contains(err.Error(), "WithMiddleware") {
		t.Errorf("connection %v, error %v", conn, err)
	}
	if own.open != 0 {
		t.Errorf("%d connections are left open", own.open)
	}
}

// ownConnections makes connections to nowhere.
type ownConnections struct{ open int }

func (o *ownConnections) Connect(context.Context) (driver.Conn, error) { o.open++; return o, nil }
func (o *ownConnections) Driver() driver.Driver                        { return mysql.MySQLDriver{} }
func (o *ownConnections) Prepare(string) (driver.Stmt, error)          { return nil, driver.ErrBadConn }
func (o *ownConnections) Begin() (driver.Tx, error)                    { return nil, driver.ErrBadConn }
func (o *ownConnections) Close() error                                 { o.open--; return nil }
