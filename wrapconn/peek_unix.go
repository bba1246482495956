//go:build unix && !aix && (!linux || 386 || s390x)

package wrapconn

import (
	"errors"
	"syscall"
)

var errPeekUnsupported = errors.New("peek is not supported")

func peekFD(fd uintptr, b []byte) (int, error) {
	n, _, err := syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return n, err
}
