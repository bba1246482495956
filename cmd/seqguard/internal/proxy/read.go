package proxy

import "net"

// eachBuffered is each for what is no plain socket. It waits with a buffer that is
// as small as is sensible.
func eachBuffered(c net.Conn, f func(p []byte) bool) error {
	small := make([]byte, 4<<10)
	for {
		n, err := c.Read(small)
		if n > 0 && !f(small[:n]) {
			return nil
		}
		if err != nil {
			return err
		}
		if n < len(small) {
			continue
		}
		if end, err := whileFull(c, f); end {
			return err
		}
	}
}

// whileFull reads with a large buffer for as long as that comes back full.
func whileFull(c net.Conn, f func(p []byte) bool) (end bool, err error) {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for {
		n, err := c.Read(buf[:])
		if n > 0 && !f(buf[:n]) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
		if n < 4<<10 {
			return false, nil
		}
	}
}
