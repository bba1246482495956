package kit

import (
	"context"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Sockets are this side's ends of the connections of a pool. What a peer has sent, or its end, arrives some time after it was sent; a test that is about
// what waits in a socket waits for that.
type Sockets struct {
	mu  sync.Mutex
	all []*net.TCPConn
}

// Watch is for the change of Open: it dials as the driver would.
func (s *Sockets) Watch(cfg *mysql.Config) {
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, c.(*net.TCPConn))
		return c, nil
	}
}

// Await waits until there is something to read on the connection that was made last: bytes, or the end.
func (s *Sockets) Await(t testing.TB) {
	t.Helper()
	last := s.last()
	Eventually(t, func() bool { return Readable(last) }, "nothing has arrived")
}

// AwaitFor is Await where what is waited for may have been read already: it gives up after d.
func (s *Sockets) AwaitFor(d time.Duration) { AwaitReadable(s.last(), d) }

func (s *Sockets) last() *net.TCPConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[len(s.all)-1]
}

// AwaitReadable waits until there is something to read on c, for d at most.
func AwaitReadable(c syscall.Conn, d time.Duration) {
	for end := time.Now().Add(d); !Readable(c) && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // between two looks
	}
}
