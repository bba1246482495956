//go:build linux && !386 && !s390x

package wrapconn

import (
	"errors"
	"syscall"
	"unsafe"
)

var errPeekUnsupported = errors.New("peek is not supported")

// peekFD calls recvfrom(2) without telling the scheduler, which would cost
// another fifth: the call never waits. b must not be empty. (The two
// architectures that are left out have no recvfrom(2) of their own.)
func peekFD(fd uintptr, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EAGAIN:
		return 0, errAgain // made once: an Errno in an interface is an allocation
	}
	return 0, errno
}

var errAgain error = syscall.EAGAIN
