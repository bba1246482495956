//go:build unix

package proxy

import (
	"io"
	"net"
	"syscall"
)

// each hands all that comes to f until the end, which it returns as io.EOF, an
// error, or f's false, which is no error. While it waits it holds no buffer.
func each(c net.Conn, f func(p []byte) bool) error {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return eachBuffered(c, f)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return eachBuffered(c, f)
	}
	var end error
	// One call for the whole life of the connection: between two calls the poller
	// would be armed anew, a system call's worth of work.
	err = raw.Read(func(fd uintptr) bool {
		buf := buffers.Get().(*[bufferSize]byte)
		defer buffers.Put(buf)
		for {
			n, err := syscall.Read(int(fd), buf[:])
			switch {
			case err == syscall.EAGAIN:
				return false
			case err == syscall.EINTR:
				continue
			case err != nil:
				end = err
			case n == 0:
				end = io.EOF
			case f(buf[:n]):
				continue
			}
			return true
		}
	})
	if end == nil {
		end = err
	}
	return end
}
