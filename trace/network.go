package trace

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// server adds the address as the user wrote it: also to metrics, whose
// attributes must be few.
func (a *attrs) server(address string) {
	if host, port, ok := hostPort(address); ok {
		a.str(semconv.ServerAddressKey, host)
		a.num(semconv.ServerPortKey, port)
		return
	}
	a.str(semconv.ServerAddressKey, address) // the path of a socket, or a name that only a dialer understands
}

// hostPort splits an address that has a port.
func hostPort(s string) (host string, port int64, ok bool) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(p, 10, 16)
	return host, int64(n), err == nil && n > 0
}

func (a *attrs) network(r *wrapconn.Report) {
	a.server(r.Server)
	a.transport(r)
	a.endpoint(r.Peer, semconv.NetworkPeerAddressKey, semconv.NetworkPeerPortKey)
	a.endpoint(r.Local, semconv.NetworkLocalAddressKey, semconv.NetworkLocalPortKey)
}

// transport says what the connection is made of. The name of a custom network
// says nothing about it, so the connection itself is asked first.
func (a *attrs) transport(r *wrapconn.Report) {
	network := r.Network
	if r.Peer != nil {
		network = r.Peer.Network()
	}
	switch {
	case strings.HasPrefix(network, "tcp"):
		a.add(semconv.NetworkTransportTCP)
	case strings.HasPrefix(network, "unix"):
		a.add(semconv.NetworkTransportUnix)
	case network == "pipe":
		a.add(semconv.NetworkTransportPipe)
	}
}

// endpoint adds one end of the connection. An unnamed socket has no address.
func (a *attrs) endpoint(addr net.Addr, address, port attribute.Key) {
	if addr == nil {
		return
	}
	switch s := addr.String(); {
	case strings.HasPrefix(addr.Network(), "tcp"):
		if ap, err := netip.ParseAddrPort(s); err == nil {
			a.str(address, ap.Addr().String())
			a.positive(port, int64(ap.Port()))
		}
	case strings.HasPrefix(addr.Network(), "unix") && s != "@":
		a.str(address, s)
	}
}

// client says whose connection it is, and from where it was seen, if it is not
// this process's own. What a client says of itself proves nothing.
func (a *attrs) client(e *cause.Evidence) {
	c := e.Client
	if c.Local || c == (cause.Client{}) {
		return
	}
	if host, port, ok := hostPort(c.Address); ok {
		a.str(semconv.ClientAddressKey, host)
		a.num(semconv.ClientPortKey, port)
	}
	a.str(semconv.UserNameKey, c.User)
	a.str(KeyClientProgram, c.Program)
	a.str(KeyClientLibrary, c.Name)
	a.str(KeyClientVersion, c.Version)
	a.str(KeyVantage, e.Vantage.String())
}
