package simulation

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/memory"
)

// window is how many bytes lie between the two ends at most: as of a socket, more makes the writer wait.
const window = 64 << 10

// link is one direction of a connection.
type link struct {
	mu   sync.Mutex
	cond sync.Cond
	buf  []byte
	off  int
	fin  bool // the writer has closed
	rst  bool // the connection was reset: after what is in buf, reads fail
	deaf bool // the reader has closed
}

// end is one end of a connection in memory. It behaves as a TCP connection does: a FIN comes behind the data, a write to an end that
// was closed succeeds once and makes a reset, and data that nobody read makes a reset of a close.
type end struct {
	name    addr
	in, out *link
	peer    *end

	closed      bool // guarded by in.mu
	rdl, wdl    time.Time
	rtimer      *time.Timer
	rtimerAt    time.Time
	wtimer      *time.Timer
	beforeRead  func() // of this end's user, each with no lock held
	beforeWrite func(p []byte)
}

type addr string

func (addr) Network() string  { return "mem" }
func (a addr) String() string { return string(a) }

var _ memory.Conn = (*end)(nil)

func newPipe(client, server string) (c, s *end) {
	up, down := &link{}, &link{}
	up.cond.L, down.cond.L = &up.mu, &down.mu
	c = &end{name: addr(client), in: down, out: up}
	s = &end{name: addr(server), in: up, out: down}
	c.peer, s.peer = s, c
	return c, s
}

func (e *end) LocalAddr() net.Addr  { return e.name }
func (e *end) RemoteAddr() net.Addr { return e.peer.name }

var (
	errReset  error = &net.OpError{Op: "read", Net: "mem", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	errPipe   error = &net.OpError{Op: "write", Net: "mem", Err: os.NewSyscallError("write", syscall.EPIPE)}
	errClosed error = &net.OpError{Op: "use", Net: "mem", Err: net.ErrClosed}
	errLate   error = &net.OpError{Op: "wait", Net: "mem", Err: os.ErrDeadlineExceeded}
)

func (e *end) Read(p []byte) (int, error) {
	if e.beforeRead != nil {
		e.beforeRead()
	}
	l := e.in
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case e.closed:
			return 0, errClosed
		case !e.rdl.IsZero() && !time.Now().Before(e.rdl):
			return 0, errLate
		case len(l.buf) > l.off:
			n := copy(p, l.buf[l.off:])
			if l.off += n; l.off == len(l.buf) {
				l.buf, l.off = l.buf[:0], 0
			}
			l.cond.Broadcast()
			return n, nil
		case l.rst:
			return 0, errReset
		case l.fin:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		if !e.rdl.IsZero() && !e.rdl.Equal(e.rtimerAt) {
			e.arm(&e.rtimer, e.rdl, l)
			e.rtimerAt = e.rdl
		}
		l.cond.Wait()
	}
}

func (e *end) arm(t **time.Timer, at time.Time, l *link) {
	if *t != nil {
		(*t).Stop()
	}
	*t = time.AfterFunc(time.Until(at), func() {
		l.mu.Lock()
		l.cond.Broadcast()
		l.mu.Unlock()
	})
}

func (e *end) Peek(b []byte, _ memory.Guard) (int, error) {
	l := e.in
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.closed:
		return 0, nil
	case len(l.buf) > l.off:
		return copy(b, l.buf[l.off:]), nil
	case l.rst:
		return 0, errReset
	case l.fin:
		return 0, io.EOF
	}
	return 0, nil
}

func (e *end) Write(p []byte) (n int, err error) {
	if e.beforeWrite != nil {
		e.beforeWrite(p)
	}
	e.in.mu.Lock()
	closed, reset := e.closed, e.in.rst
	e.in.mu.Unlock()
	switch {
	case closed:
		return 0, errClosed
	case reset:
		return 0, errPipe
	}
	l := e.out
	l.mu.Lock()
	for len(p) > 0 {
		switch room := window - (len(l.buf) - l.off); {
		case l.deaf:
			l.mu.Unlock()
			e.wasReset()
			if n > 0 {
				return n, errReset
			}
			return len(p), nil // the kernel takes it; the reset comes back
		case l.fin: // closed by this side meanwhile
			l.mu.Unlock()
			return n, errClosed
		case !e.wdl.IsZero() && !time.Now().Before(e.wdl):
			l.mu.Unlock()
			return n, errLate
		case room > 0:
			k := min(room, len(p))
			if l.off > 0 && len(l.buf)+k > cap(l.buf) {
				l.buf = l.buf[:copy(l.buf, l.buf[l.off:])]
				l.off = 0
			}
			l.buf = append(l.buf, p[:k]...)
			n += k
			p = p[k:]
			l.cond.Broadcast()
		default:
			if !e.wdl.IsZero() {
				e.arm(&e.wtimer, e.wdl, l)
			}
			l.cond.Wait()
		}
	}
	l.mu.Unlock()
	return n, nil
}

// wasReset makes what a reset of the other side makes here.
func (e *end) wasReset() {
	e.in.mu.Lock()
	e.in.rst = true
	e.in.cond.Broadcast()
	e.in.mu.Unlock()
}

func (e *end) Close() error {
	e.in.mu.Lock()
	if e.closed {
		e.in.mu.Unlock()
		return errClosed
	}
	e.closed = true
	e.in.deaf = true
	unread := len(e.in.buf) > e.in.off
	if e.rtimer != nil {
		e.rtimer.Stop()
	}
	e.in.cond.Broadcast()
	e.in.mu.Unlock()
	e.out.mu.Lock()
	if e.wtimer != nil { // guarded by out.mu, as wdl
		e.wtimer.Stop()
	}
	e.out.fin = true
	e.out.rst = e.out.rst || unread
	e.out.cond.Broadcast()
	e.out.mu.Unlock()
	return nil
}

// Reset is Close with a reset in place of the FIN.
func (e *end) Reset() {
	e.out.mu.Lock()
	e.out.rst = true
	e.out.mu.Unlock()
	_ = e.Close()
}

// silentFor waits for d and reports whether nothing has come, not even the end.
func (e *end) silentFor(d time.Duration) bool {
	l, until := e.in, time.Now().Add(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	var timer *time.Timer
	for {
		switch {
		case e.closed || l.fin || l.rst || len(l.buf) > l.off:
			if timer != nil {
				timer.Stop()
			}
			return false
		case !time.Now().Before(until):
			return true
		case timer == nil:
			e.arm(&timer, until, l)
		}
		l.cond.Wait()
	}
}

func (e *end) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.in.mu.Lock()
	defer e.in.mu.Unlock()
	if e.closed {
		return errClosed
	}
	e.rdl = t
	e.in.cond.Broadcast()
	return nil
}

func (e *end) SetWriteDeadline(t time.Time) error {
	e.in.mu.Lock()
	closed := e.closed
	e.in.mu.Unlock()
	if closed {
		return errClosed
	}
	e.out.mu.Lock()
	defer e.out.mu.Unlock()
	e.wdl = t
	e.out.cond.Broadcast()
	return nil
}
