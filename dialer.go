package seqguard

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/mysqldial"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// RegisterDialContext is mysql.RegisterDialContext.
//
// Deprecated: networks that are registered with the driver are guarded. Use
// mysql.RegisterDialContext.
func RegisterDialContext(network string, dial mysql.DialContextFunc) {
	mysql.RegisterDialContext(network, dial)
}

// DeregisterDialContext is mysql.DeregisterDialContext.
//
// Deprecated: use mysql.DeregisterDialContext.
func DeregisterDialContext(network string) { mysql.DeregisterDialContext(network) }

// dialer dials one connection and guards it.
type dialer struct {
	ctx    context.Context // of Connect: the one that the driver hands on may be derived
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	opt    wrapconn.Options
	logger mysql.Logger      // the driver's; nil in tests
	link   *wrapconn.TLSLink // of a connection with a tls.Config of its own; else nil
	hub    *wrapconn.TLSHub  // of connections that share one; else nil
	conn   *wrapconn.Conn    // after the dial
}

// dialerKey is the key of a context's dialer.
type dialerKey struct{}

func withDialer(ctx context.Context, d *dialer) context.Context {
	return context.WithValue(ctx, dialerKey{}, d)
}

// dialFromContext is the mysql.Config.DialFunc of connections that share a
// connector.
func dialFromContext(ctx context.Context, network, addr string) (net.Conn, error) {
	d, ok := ctx.Value(dialerKey{}).(*dialer)
	if !ok {
		return nil, errors.New("seqguard: this version of go-sql-driver/mysql does not hand the context of Connect to DialFunc")
	}
	return d.dialContext(ctx, network, addr)
}

// forget drops what belongs to the request that asked for the connection.
func (d *dialer) forget() {
	d.ctx = nil
	if d.conn != nil {
		d.conn.Forget()
	}
}

// dialContext is the mysql.Config.DialFunc of one connection.
func (d *dialer) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	dialing := wrapconn.Dialing()
	inner, err := d.connect(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.conn = d.guard(inner, network, addr, dialing)
	switch {
	case d.link != nil:
		d.link.Attach(d.conn)
	case d.hub != nil:
		d.hub.Attach(d.conn)
	}
	// The connect has been under way since before there was a connection; its
	// end is in interceptor.ConnectorConnect.
	if _, err := d.conn.Begin(d.ctx, wrapconn.OpConnect); err != nil {
		_ = inner.Close()
		return nil, err
	}
	return d.conn.NetConn(), nil
}

// connect dials as the driver would.
func (d *dialer) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	inner, err := d.dialInner(ctx, network, addr)
	if err != nil {
		wrapconn.DialFailed(addr, err)
		return nil, err
	}
	if tc, ok := inner.(*net.TCPConn); ok {
		// The driver does this for a *net.TCPConn, and only logs an error; what it
		// gets is ours.
		if err := tc.SetKeepAlive(true); err != nil && d.logger != nil {
			d.logger.Print(err)
		}
	}
	return inner, nil
}

func (d *dialer) guard(inner net.Conn, network, addr string, dialing time.Time) *wrapconn.Conn {
	opt := d.opt
	opt.Network, opt.Server, opt.Dialing = network, addr, dialing
	return wrapconn.New(inner, opt)
}

func (d *dialer) dialInner(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.dial != nil {
		return d.dial(ctx, network, addr)
	}
	// As in the driver: what is registered wins, also for a network that package
	// net knows.
	registered, err := mysqldial.Lookup(network)
	if err != nil {
		return nil, err
	}
	if registered != nil {
		return registered(ctx, addr)
	}
	var nd net.Dialer
	return nd.DialContext(ctx, network, addr)
}
