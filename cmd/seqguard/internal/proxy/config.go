package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/keylog"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
)

// Config is what a proxy is to do.
type Config struct {
	Server      string        // host:port, or the path of a Unix socket
	DialTimeout time.Duration // of the connection to the server
	Header      int           // version of the PROXY protocol header to send, 0 for none
	Max         int           // connections at once, 0 for no limit
	Grace       time.Duration // for connections that are busy when the proxy is to end
	KeyWait     time.Duration // for the secrets of a TLS connection

	// Terminate: TLS of clients ends here with this certificate, and begins anew
	// towards the server with ServerTLS. Nil: it is passed through.
	Terminate *tls.Certificate
	ServerTLS *tls.Config
	// Keys are the secrets of TLS that is passed through; nil if there are none.
	Keys *keylog.Follower

	History  int
	OnReport func(*report.Violation) // called one at a time
	Log      func(format string, args ...any)
}

// held is how much of a TLS connection is kept while its secrets are waited for: the
// fewer there are, the more, and all together 64 MiB at the most (beyond a thousand
// connections in the middle of their handshakes, 64 KiB each).
func held(connections int) int { return min(max(64<<20/(connections+1), 64<<10), 4<<20) }

// Listen listens on host:port, or on the path of a Unix socket.
func Listen(address string) (net.Listener, error) {
	network, address := Network(address)
	l, err := net.Listen(network, address)
	if network == "unix" && errors.Is(err, syscall.EADDRINUSE) && leftBehind(address) {
		_ = os.Remove(address)
		l, err = net.Listen(network, address)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	return l, nil
}

// leftBehind reports whether path is a socket on which nobody listens, as a process that
// is killed leaves it.
func leftBehind(path string) bool {
	if fi, err := os.Lstat(path); err != nil || fi.Mode().Type() != fs.ModeSocket {
		return false
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// Network tells a path from host:port.
func Network(address string) (network, rest string) {
	if rest, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", rest
	}
	if strings.ContainsRune(address, '/') {
		return "unix", address
	}
	return "tcp", address
}

// CheckAddress says what is wrong with an address.
func CheckAddress(address string) error {
	network, rest := Network(address)
	if strings.Contains(address, "://") {
		return fmt.Errorf("%q is a URL: host:port is enough, or the path of a socket", address)
	}
	if network == "unix" {
		if rest == "" {
			return fmt.Errorf("%q: the path of the socket is missing", address)
		}
		return nil
	}
	if scheme, _, ok := strings.Cut(rest, "("); ok { // as in the DSN of go-sql-driver
		return fmt.Errorf("%q: without %s( and ), please: host:port, or the path of a socket", address, scheme)
	}
	_, port, err := net.SplitHostPort(rest)
	if err != nil || port == "" {
		return fmt.Errorf("%q is neither host:port nor the path of a socket", address)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q: %q is not a port", address, port)
	}
	return nil
}

// Same reports whether connecting to server would reach who listens at listen, as far
// as that is plain from the two addresses.
func Same(listen, server string) bool {
	n1, a1 := Network(listen)
	n2, a2 := Network(server)
	if n1 != n2 || n1 == "unix" {
		return n1 == n2 && filepath.Clean(a1) == filepath.Clean(a2)
	}
	h1, p1, _ := net.SplitHostPort(a1)
	h2, p2, _ := net.SplitHostPort(a2)
	port1, _ := net.LookupPort("tcp", p1)
	port2, _ := net.LookupPort("tcp", p2)
	if port1 != port2 || port1 == 0 {
		return false
	}
	return strings.EqualFold(h1, h2) || here(h1)&here(h2) != 0
}

// here is by which families host reaches this machine, whatever machine it is: 1 for IPv4,
// 2 for IPv6. To listen at no address in particular is to listen at all of them.
func here(host string) (families int) {
	switch host {
	case "", "::":
		return 1 | 2
	case "localhost", "127.0.0.1", "0.0.0.0":
		return 1
	case "::1":
		return 2
	}
	return 0
}

var _ io.Closer = (*Proxy)(nil)
