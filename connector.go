package seqguard

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/ngrok/sqlmw"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// connector makes guarded connections.
type connector struct {
	cfg    *mysql.Config // normalised; immutable
	opt    config
	driver *Driver // its own, so that db.Driver() tells pools apart
	tell   *telemetry
	single bool             // it makes one connection, and nobody closes it
	active bool             // guarded by tell.mu: it has a share in the registration of metrics
	shared driver.Connector // go-sql-driver's for all connections; nil if each needs its own
	hub    *wrapconn.TLSHub // of shared; nil without TLS, or if it is not looked into
	// inquire asks about reports; nil if nothing is asked.
	inquire func(*wrapconn.Report) func(context.Context) wrapconn.Answers

	metrics *poolMeter  // nil unless WithPoolMetrics
	watched atomic.Bool // somebody observes the state of its pool
}

var (
	_ driver.Connector = (*connector)(nil)
	_ io.Closer        = (*connector)(nil)
)

func newConnector(cfg *mysql.Config, o config, d *Driver) (*connector, error) {
	cfg, err := normalise(cfg)
	if err != nil {
		return nil, err
	}
	c := &connector{cfg: cfg, opt: o, driver: d, tell: d.shared().tell}
	if o.poolMetrics {
		c.metrics = newPoolMeter(o.meters, poolName(cfg, &o))
	}
	c.inquire = c.opt.inquire(cfg, &c.tell.inquiries)
	// The secret of a session of TLS 1.2 that is resumed is in no key log: it can
	// only be had through the cache, by a connection that has a tls.Config of its own.
	view := cfg.TLS != nil && !o.opaqueTLS
	// A driver that falls back to plaintext says so in the configuration that it has.
	alone := view && cfg.TLS.ClientSessionCache != nil || cfg.TLS != nil && cfg.AllowFallbackToPlaintext
	if o.middleware == nil && !alone && !o.attribute {
		own := cfg.Clone()
		own.DialFunc = dialFromContext
		if view {
			c.hub = wrapconn.ViewSharedTLS(own.TLS)
		}
		if c.shared, err = mysql.NewConnector(own); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// errProbe ends the connect of normalise before it dials.
var errProbe = errors.New("seqguard: probe")

// normalise returns a copy of cfg with the defaults that the driver gives it:
// network, address, and the TLS configuration that TLSConfig names. The driver
// does that in unexported code; what it came to is seen by a BeforeConnect of
// ours, which ends the attempt.
func normalise(cfg *mysql.Config) (*mysql.Config, error) {
	out, probe := cfg.Clone(), cfg.Clone()
	var seen *mysql.Config
	if err := probe.Apply(mysql.BeforeConnect(func(_ context.Context, c *mysql.Config) error {
		seen = c
		return errProbe
	})); err != nil {
		return nil, err
	}
	c, err := mysql.NewConnector(probe)
	if err != nil {
		return nil, err
	}
	if _, err := c.Connect(context.Background()); err != errProbe {
		return nil, errors.New("seqguard: this version of go-sql-driver/mysql does not call BeforeConnect before it dials")
	}
	out.Net, out.Addr, out.TLS, out.AllowFallbackToPlaintext = seen.Net, seen.Addr, seen.TLS, seen.AllowFallbackToPlaintext
	out.Logger = seen.Logger
	return out, nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.driver }

// Close implements io.Closer: sql.DB.Close calls it. It delivers what is queued,
// for a bounded time. The registration of metrics ends with the last connection,
// as another pool may have the same connector.
func (c *connector) Close() error {
	c.tell.retire(c)
	return nil
}

// Connect implements driver.Connector. Each connection gets a dialer and an
// interceptor of its own, so that the two know of each other without any shared
// state.
func (c *connector) Connect(ctx context.Context) (made driver.Conn, err error) {
	c.tell.hold(c)
	began := time.Now()
	defer func() {
		if made == nil { // it failed, or the application's code in it has panicked
			c.tell.release()
		}
	}()
	d := &dialer{ctx: ctx, dial: c.cfg.DialFunc, logger: c.cfg.Logger, hub: c.hub, opt: wrapconn.Options{
		Mode: c.opt.mode, History: c.opt.history, CallSites: c.opt.callSites, NoStacks: c.opt.noStacks, Operations: true, Abandoned: c.opt.abandoned, Pool: c.driver, HeldTooLong: c.opt.heldTooLong,
		OpaqueTLS: c.opt.opaqueTLS, NoPeek: !c.cfg.CheckConnLiveness, Database: c.cfg.DBName, OnReport: c.tell.delivery.Report,
		Inquire: c.inquire,
	}}
	if c.opt.attribute {
		d.opt.ID = rand.Text()
	}
	// What the driver keeps, a watcher of the context or the configuration of a
	// connection, must not keep the request that needed the connection first.
	defer d.forget()
	base, err := c.base(d)
	if err != nil {
		return nil, err
	}
	it := &interceptor{dialer: d, mode: c.opt.mode}
	mw, err := sqlmw.Driver(fixed{base}, it).(driver.DriverContext).OpenConnector("")
	if err != nil {
		return nil, err
	}
	conn, err := mw.Connect(withDialer(ctx, d))
	if err != nil {
		return nil, err
	}
	if c.metrics != nil {
		c.metrics.created(ctx, time.Since(began))
	}
	return newConn(conn, it, c), nil
}

// poolName is what the semantic conventions have for a pool without a name.
func poolName(cfg *mysql.Config, o *config) string {
	switch {
	case o.poolName != "":
		return o.poolName
	case cfg.DBName != "":
		return cfg.Addr + "/" + cfg.DBName
	}
	return cfg.Addr
}

// attributeName is that of the connection attribute of WithConnectionAttribute.
const attributeName = "seqguard_id"

// base returns go-sql-driver's connector for one connection. The one that all
// connections share finds their dialers in the context. A connection through TLS
// that may resume a session needs a configuration of its own; a middleware is
// promised a connector for each connection, and might not hand the context on.
func (c *connector) base(d *dialer) (driver.Connector, error) {
	if c.shared != nil {
		return c.shared, nil
	}
	cfg := c.cfg.Clone()
	cfg.DialFunc = d.dialContext
	if d.opt.ID != "" {
		cfg.ConnectionAttributes = strings.TrimPrefix(cfg.ConnectionAttributes+","+attributeName+":"+d.opt.ID, ",")
	}
	if cfg.TLS != nil && !c.opt.opaqueTLS {
		d.link = wrapconn.ViewTLS(cfg.TLS)
	}
	base, err := mysql.NewConnector(cfg)
	if err == nil && c.opt.middleware != nil {
		base = c.opt.middleware(base)
	}
	return base, err
}

// fixed is a driver that has one connector: the form in which sqlmw takes one.
type fixed struct{ connector driver.Connector }

func (f fixed) Open(string) (driver.Conn, error) { return f.connector.Connect(context.Background()) }

func (f fixed) OpenConnector(string) (driver.Connector, error) { return f.connector, nil }
