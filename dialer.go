package seqguard

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// networks are those of RegisterDialContext.
var networks sync.Map // string → mysql.DialContextFunc

// RegisterDialContext registers a custom network, here and with go-sql-driver:
// the driver keeps its own registry private, so a network that only
// mysql.RegisterDialContext knows cannot be guarded.
func RegisterDialContext(network string, dial mysql.DialContextFunc) {
	networks.Store(network, dial)
	mysql.RegisterDialContext(network, dial)
}

// DeregisterDialContext removes a network of RegisterDialContext.
func DeregisterDialContext(network string) {
	networks.Delete(network)
	mysql.DeregisterDialContext(network)
}

// dialer dials one connection and guards it.
type dialer struct {
	ctx  context.Context // of Connect: the one that the driver hands on may be derived
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	opt  wrapconn.Options
	link *wrapconn.TLSLink // nil without TLS, or if it is not looked into
	conn *wrapconn.Conn    // after the dial
}

// dialContext is the mysql.Config.DialFunc of one connection.
func (d *dialer) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	inner, err := d.dialInner(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if tc, ok := inner.(*net.TCPConn); ok {
		// The driver does this for a *net.TCPConn; what it gets is ours.
		if err := tc.SetKeepAlive(true); err != nil {
			_ = inner.Close()
			return nil, fmt.Errorf("seqguard: enabling TCP keep-alive: %w", err)
		}
	}
	d.opt.Network, d.opt.Server = network, addr
	d.conn = wrapconn.New(inner, d.opt)
	if d.link != nil {
		d.link.Attach(d.conn)
	}
	// The connect has been under way since before there was a connection; its
	// end is in interceptor.ConnectorConnect.
	if _, err := d.conn.Begin(d.ctx, wrapconn.OpConnect); err != nil {
		_ = inner.Close()
		return nil, err
	}
	return d.conn.NetConn(), nil
}

func (d *dialer) dialInner(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.dial != nil {
		return d.dial(ctx, network, addr)
	}
	if f, ok := networks.Load(network); ok {
		return f.(mysql.DialContextFunc)(ctx, addr)
	}
	switch network {
	case "tcp", "tcp4", "tcp6", "unix":
		var nd net.Dialer
		return nd.DialContext(ctx, network, addr)
	}
	return nil, fmt.Errorf("seqguard: network %q is known neither to package net nor here; if it was registered with "+
		"mysql.RegisterDialContext, whose registry is private, register it with seqguard.RegisterDialContext instead, or set Config.DialFunc", network)
}
