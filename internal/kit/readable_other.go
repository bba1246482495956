//go:build !unix

package kit

import (
	"syscall"
	"time"
)

// Readable reports whether there is something to read on c. Here nobody can look without taking it out: what was sent is given a moment.
func Readable(syscall.Conn) bool {
	time.Sleep(20 * time.Millisecond) // nobody can look
	return true
}
