//go:build !unix

package kit

import (
	"net"
	"time"
)

// Readable reports whether there is something to read on c. Here nobody can look without taking it out: what was sent is given a moment.
func Readable(*net.TCPConn) bool {
	time.Sleep(20 * time.Millisecond) // nobody can look
	return true
}
