package netlab

import (
	"os"
	"syscall"
	"unsafe"
)

// openTun makes a device of the calling thread's namespace whose packets are
// read from and written to the file. Linux, Documentation/networking/tuntap.rst.
func openTun(name string) (*os.File, error) {
	const (
		tunSetIff = 0x400454ca
		iffTun    = 0x0001
		iffNoPI   = 0x1000
	)
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	var req struct { // struct ifreq
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:], name)
	req.flags = iffTun | iffNoPI
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), tunSetIff, uintptr(unsafe.Pointer(&req))); errno != 0 {
		syscall.Close(fd)
		return nil, os.NewSyscallError("TUNSETIFF", errno)
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil
}
