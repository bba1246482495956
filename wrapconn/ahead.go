package wrapconn

import (
	"errors"
	"net"
	"os"
	"sync"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// A client with a small buffer, go-sql-driver has 4 KiB, asks the kernel for a
// large result in as many small pieces. While rows come, the socket is read in
// large ones, of which the client gets its small ones from memory. The
// conversation is told of bytes when the client gets them, as if they had lain
// in the socket until then.

// aheadSize is how much is read at once. 64 KiB are four TLS records.
const aheadSize = 64 << 10

// ahead is what has been read and not handed to the client yet. Only who has
// Conn.reading changes it, with mu held if somebody else might look.
type ahead struct {
	buf  *[aheadSize]byte // nil, unless a large result is coming
	r, w int              // buf[r:w] waits for the client
	err  error            // of the inner connection, which came with the bytes: told behind them
}

var aheads = sync.Pool{New: func() any { return new([aheadSize]byte) }}

// receive is the inner connection's Read, behind what has been read ahead. It is
// for who has Conn.reading.
func (c *Conn) receive(p []byte) (int, error) {
	if c.ahead.buf == nil {
		return c.inner.Read(p)
	}
	return c.receiveAhead(p)
}

func (c *Conn) receiveAhead(p []byte) (int, error) {
	a := &c.ahead
	if a.r == a.w {
		if err := a.err; err != nil {
			a.err = nil
			return 0, err
		}
		if len(p) >= aheadSize {
			return c.inner.Read(p)
		}
		n, err := c.inner.Read(a.buf[:])
		if n <= 0 {
			return n, err
		}
		c.fill(min(n, aheadSize), err)
	} else if err := c.unreadable(); err != nil {
		return 0, err
	}
	return copy(p, a.buf[a.r:a.w]), nil
}

func (c *Conn) fill(n int, err error) {
	c.mu.Lock()
	defer c.unlock()
	c.ahead.r, c.ahead.w, c.ahead.err = 0, n, err
}

// unreadable is why a Read of the socket would fail although bytes are there.
func (c *Conn) unreadable() error {
	var why error
	switch {
	case c.closed.Load():
		why = net.ErrClosed
	case c.late():
		why = os.ErrDeadlineExceeded
	default:
		return nil
	}
	peer, local := c.ends.get() // of a socket they are known; the inner connection is not asked again
	return &net.OpError{Op: "read", Net: local.Network(), Source: local, Addr: peer, Err: why}
}

// tookAhead is called when the client has got n bytes and the conversation knows
// of them, with mu held. It starts to read ahead when rows have filled the
// client's buffer, and ends it behind the answer.
func (c *Conn) tookAhead(n int, full bool) {
	a := &c.ahead
	if a.r < a.w {
		a.r += n
	}
	switch {
	case a.buf == nil:
		if full && c.raw != nil && c.talk.Phase() == session.PhaseRows {
			a.buf = aheads.Get().(*[aheadSize]byte)
			a.r, a.w = 0, 0
		}
	case a.r == a.w && a.err == nil && !c.talk.Phase().Answering():
		aheads.Put(a.buf)
		a.buf = nil
	}
}

// lie returns what has been read ahead and not been handed on, with mu held.
func (c *Conn) lie() []byte {
	if c.ahead.buf == nil {
		return nil
	}
	return c.ahead.buf[c.ahead.r:c.ahead.w]
}

// errAhead is what a client gets that looks into the socket itself while bytes
// lie here that come before.
var errAhead = errors.New("seqguard: bytes that have been read ahead wait to be read")

func (c *Conn) liesAhead() bool {
	c.mu.Lock()
	defer c.unlock()
	return len(c.lie()) > 0
}
