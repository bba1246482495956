package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// end is one of the two sockets of a relayed connection.
type end struct {
	net.Conn
	// over: this end will not send anything more.
	over atomic.Bool
	// cut: writing to it has failed. What is read from it then is an end like any
	// other, because the kernel tells of a reset once.
	cut atomic.Bool
}

// closeWrite passes an end of bytes on: what can be half-closed is.
func (e *end) closeWrite() {
	if c, ok := e.Conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		return
	}
	_ = e.Close()
}

// abort closes with a reset where the network has that.
func (e *end) abort() {
	if c, ok := lowest(e.Conn).(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	_ = e.Close()
}

// lowest is the socket below TLS.
func lowest(c net.Conn) net.Conn {
	for {
		u, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = u.NetConn()
	}
}

// watcher is told what passes, before it passes. Each method may be called from
// two goroutines at once, with different directions.
type watcher interface {
	// bytes reports whether they are to pass: not behind the end of the connection by this proxy.
	bytes(d session.Direction, p []byte) bool
	// passed: the other side has taken them.
	passed(d session.Direction)
	// ended: a direction is over; err is nil for a FIN.
	ended(d session.Direction, err error)
	// failed: n bytes of a direction could not be passed on.
	failed(d session.Direction, n int, err error)
}

// relay passes bytes both ways until both ends are over, and closes them.
func relay(client, server *end, w watcher) {
	var both sync.WaitGroup
	both.Add(1)
	go func() {
		defer both.Done()
		pump(session.FromServer, server, client, w)
	}()
	pump(session.FromClient, client, server, w)
	both.Wait()
	_ = client.Close()
	_ = server.Close()
}

// pump passes one direction.
func pump(d session.Direction, src, dst *end, w watcher) {
	var failed error // of the writing
	stopped := false
	err := each(src.Conn, func(p []byte) bool {
		if stopped = !w.bytes(d, p); stopped {
			return false
		}
		n, err := dst.Write(p)
		if err != nil {
			failed = err
			dst.cut.Store(true)
			w.failed(d, len(p)-n, err)
		} else {
			w.passed(d)
		}
		return err == nil
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return // nobody else sets one: the rest is somebody else's to pass on
	}
	src.over.Store(true)
	switch {
	case stopped:
		_, _ = dst.Close(), src.Close()
	case failed != nil:
		// dst is gone. If it has something left to say, or that it is gone, the other
		// pump is just passing that on; else it must be said here.
		if dst.over.Load() {
			src.abort()
		}
	case err == io.EOF && !src.cut.Load():
		w.ended(d, nil)
		dst.closeWrite()
	default:
		w.ended(d, notEOF(err))
		dst.abort()
		if !errors.Is(err, net.ErrClosed) {
			_ = src.Close()
		}
	}
}

// notEOF is the error of an end that is not a FIN.
func notEOF(err error) error {
	if err == io.EOF {
		return syscall.ECONNRESET
	}
	return err
}

// isReset reports whether the peer cut the connection.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed)
}
