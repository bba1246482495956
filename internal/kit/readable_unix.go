//go:build unix

package kit

import "syscall"

// Readable reports whether there is something to read on c, bytes or the end, and leaves it there.
func Readable(c syscall.Conn) (is bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return true // a read fails at once
	}
	err = raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		is = err != syscall.EAGAIN && err != syscall.EINTR
	})
	return is || err != nil
}
