package testimony

import (
	"syscall"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Transport asks the kernel about a socket. It never waits, also while another
// goroutine reads from the socket or writes to it. The zero value is returned
// for a socket that has been closed, for one that is not TCP, and on systems
// other than Linux.
func Transport(raw syscall.RawConn) (t cause.Transport) {
	if raw == nil {
		return t
	}
	// Control, not Read: it does not wait for the socket to become readable.
	if err := raw.Control(func(fd uintptr) { t = tcpInfo(fd) }); err != nil {
		return cause.Transport{}
	}
	return t
}
