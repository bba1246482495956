package seqguard

import (
	"context"
	"errors"
	"net"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Guard changes cfg so that the connections which the plain driver makes with it
// are guarded on the wire. It is for code that must get go-sql-driver's own
// connector or connection, and so cannot use [NewConnector].
//
//	err := seqguard.Guard(cfg)
//	connector, err := mysql.NewConnector(cfg)
//
// Violations of the protocol are reported, and in Enforce mode a command is not
// written while something waits to be read. Guard does less than NewConnector:
//
//   - The driver's errors are not wrapped, so the cause is only in the telemetry,
//     the log and the callback.
//   - It does not know who uses a connection. So misuse by two goroutines is not
//     refused, and reports have no call site.
//   - A broken connection can go back to the pool once.
//   - Options about operations, about who holds a connection, or about a single one
//     have no effect: WithCallSites, WithStallStacks, WithAbandoned,
//     WithHeldTooLong, WithPoolMetrics, WithConnectionAttribute.
//
// Call Guard last: cfg must be complete. DialFunc is wrapped, dial functions of
// mysql.RegisterDialContext are honoured, a KeyLogWriter is still served.
// Parameters that begin with "seqguard" are taken out of cfg.Params and win over
// opts. cfg may be used for any number of connectors. Guard returns an error if
// the driver would refuse cfg, for a bad parameter, and for WithMiddleware, which
// has no place here. Metrics stay registered from the first connection on.
func Guard(cfg *mysql.Config, opts ...Option) error {
	o := newConfig(opts)
	if o.middleware != nil {
		return errors.New("seqguard: Guard has no place for WithMiddleware: wrap the connector that mysql.NewConnector returns")
	}
	cut, err := cutParams(cfg, &o)
	if err != nil {
		return err
	}
	n, err := normalise(cut)
	if err != nil {
		return err
	}
	g := &guard{dialer: dialer{dial: cfg.DialFunc, logger: n.Logger, opt: wrapconn.Options{
		Mode: o.mode, History: o.history, OpaqueTLS: o.opaqueTLS, NoPeek: !n.CheckConnLiveness, Database: cfg.DBName,
	}}}
	d := &Driver{&driverState{opts: opts}}
	g.connector = &connector{tell: d.shared().tell}
	g.dialer.opt.OnReport = g.connector.tell.delivery.Report
	cfg.Params = cut.Params
	asked := n.Clone() // before the connections of the application are guarded
	asked.DialFunc = cfg.DialFunc
	g.dialer.opt.Inquire = o.inquire(asked, &g.connector.tell.inquiries)
	if n.TLS != nil && !o.opaqueTLS {
		cfg.TLS, cfg.AllowFallbackToPlaintext = n.TLS, n.AllowFallbackToPlaintext
		g.hub = wrapconn.ViewSharedTLS(cfg.TLS)
	}
	cfg.DialFunc = g.dial
	return nil
}

// guard dials for all connections of one mysql.Config.
type guard struct {
	dialer    dialer // what the connections have in common
	connector *connector
	hub       *wrapconn.TLSHub // nil without TLS, or if it is not looked into
}

func (g *guard) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d, dialing := g.dialer, wrapconn.Dialing()
	inner, err := d.connect(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	// The connector is nobody's and is never retired: its share in the
	// registration of metrics stays, the connection's own is not needed.
	g.connector.tell.hold(g.connector)
	g.connector.tell.release()
	c := d.guard(inner, network, addr, dialing)
	if g.hub != nil {
		g.hub.Attach(c)
	}
	return c.NetConn(), nil
}
