//go:build linux && !386 && !s390x

package testimony

import (
	"syscall"
	"unsafe"
)

// tcpInfo asks for TCP_INFO. The call never waits. (The two architectures that
// are left out have no getsockopt(2) of their own in package syscall.)
func tcpInfo(fd uintptr) answer {
	var b [tcpInfoSize]byte
	n := uint32(len(b))
	_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
		uintptr(unsafe.Pointer(&b)), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 || n > uint32(len(b)) { // ENOPROTOOPT, EOPNOTSUPP: it is no TCP socket
		return answer{}
	}
	return answer{parseTCPInfo(b[:n]), parseArrival(b[:n])}
}
