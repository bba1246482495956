package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
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
	if network == "unix" {
		if rest == "" {
			return fmt.Errorf("%q: the path of the socket is missing", address)
		}
		return nil
	}
	if _, port, err := net.SplitHostPort(rest); err != nil || port == "" {
		return fmt.Errorf("%q is neither host:port nor the path of a socket", address)
	}
	return nil
}

var _ io.Closer = (*Proxy)(nil)
