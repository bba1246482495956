package testimony

import (
	"syscall"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Transport asks the kernel about a socket. It never waits, also while another
// goroutine reads from the socket or writes to it. The zero value is returned
// for a socket that has been closed, for one that is not TCP, and on systems
// other than Linux.
func Transport(raw syscall.RawConn) cause.Transport { return query(raw).transport }

// Arrival is what the kernel says of a TCP connection on which this process has
// written nothing yet: how long what it has to read has been waiting for it. Its
// zero value is that of a connection of which nothing is known.
type Arrival struct {
	Known    bool
	LeastRTT time.Duration
	// Made is how long ago the handshake of TCP was over.
	Made time.Duration
	// Data: the peer has sent something. Since is how long ago the last of it came.
	Data  bool
	Since time.Duration
	// Ended: the peer has closed or reset the connection.
	Ended bool
}

// Arrived asks the kernel about a connection that was just made. It never waits.
func Arrived(raw syscall.RawConn) Arrival { return query(raw).arrival }

// answer is what one question tells.
type answer struct {
	transport cause.Transport
	arrival   Arrival
}

func query(raw syscall.RawConn) (a answer) {
	if raw == nil {
		return a
	}
	// Control, not Read: it does not wait for the socket to become readable.
	if err := raw.Control(func(fd uintptr) { a = tcpInfo(fd) }); err != nil {
		return answer{}
	}
	return a
}
