package kit

import (
	"net"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/testimony"
)

// AwaitEnded waits until the peer has ended c: what it said before is here then, read or not. On systems whose kernel does not tell, that is given a moment.
func AwaitEnded(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) { // between two looks
		a := testimony.Arrived(raw)
		if !a.Known {
			time.Sleep(100 * time.Millisecond) // nobody can look
			return
		}
		if a.Ended {
			return
		}
	}
}
