package wrapconn

import (
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
	"github.com/seqguard/mysql-seqguard/wrapconn/wire"
)

// peeker looks into the socket's receive buffer without taking anything out.
type peeker struct {
	control func(fd uintptr) // made once: a closure a call would be an allocation
	buf     []byte           // where to; set for the call
	n       int
	err     error
}

func (p *peeker) init() {
	p.control = func(fd uintptr) { p.n, p.err = peekFD(fd, p.buf) }
}

// peek returns what is waiting, up to len(b) bytes: (0, nil) if nothing is,
// (0, io.EOF) if the peer has hung up. It is to be called with mu held.
func (c *Conn) peek(b []byte) (int, error) {
	if c.raw == nil {
		return 0, nil
	}
	c.peeker.buf = b
	// Control, not Read: a reader of another goroutine that waits in Read must
	// not make this wait too.
	err := c.raw.Control(c.peeker.control)
	c.peeker.buf = nil
	if err != nil {
		return 0, nil // closed by this side: the write says so
	}
	switch n, err := c.peeker.n, c.peeker.err; {
	case n > 0:
		return n, nil
	case err == nil:
		return 0, io.EOF
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, errPeekUnsupported), errors.Is(err, syscall.EINTR):
		return 0, nil
	default:
		return 0, err
	}
}

// peekLen is enough for an ERR packet inside a compressed frame inside a TLS
// record, behind two session tickets.
const peekLen = 4096

// Check makes sure that nothing is waiting to be read while nothing is
// outstanding: every answer starts at sequence id 1 again, so the next command
// would take a stale one for its own. It returns a *ProtocolError if something
// is, or if the peer has hung up; the connection must not be used then. It costs
// one system call, and nothing on a connection that is not over a socket. It is
// Pooled besides.
func (c *Conn) Check() error {
	c.mu.Lock()
	now := c.now()
	c.checked, c.pooled = now, now
	c.check()
	found := c.takeFound()
	fatal := c.fatal
	c.mu.Unlock()
	c.deliver(found)
	if fatal != nil {
		return &ProtocolError{Report: fatal}
	}
	return nil
}

// Pooled says that database/sql has just got the connection, from its pool or
// from the server: a command that cannot be written now is run again on another
// connection, and its user hears nothing.
func (c *Conn) Pooled() {
	c.mu.Lock()
	c.pooled = c.now()
	c.mu.Unlock()
}

// pooledHolds is for how long Pooled is true. Who waits for longer holds the
// connection himself, as a sql.Conn, and gets the error.
const pooledHolds = 100 * time.Millisecond

// pinned reports, before a write, whether who writes holds the connection.
func (c *Conn) pinned(now int64) bool {
	return c.opts.Operations && (c.pooled == 0 || time.Duration(now-c.pooled) > pooledHolds)
}

// checkHolds is for how long a Check spares the command behind it another one:
// database/sql resets a connection and uses it at once.
const checkHolds = 100 * time.Microsecond

// justChecked reports, once, whether a Check was right before.
func (c *Conn) justChecked(now int64) bool {
	at := c.checked
	c.checked = 0
	return at != 0 && time.Duration(now-at) < checkHolds
}

// check is Check with mu held. It peeks one byte first, for the usual case.
func (c *Conn) check() {
	if c.fatal != nil || c.closed.Load() || c.tracker.Phase() != session.PhaseReady || c.client.frames.missing() > 0 {
		return
	}
	if c.server.frames.missing() > 0 || c.comp != nil && c.comp.server.Missing() > 0 {
		// The head of a packet that nobody asked for came together with the
		// last answer. Its rest may not have come yet, so the peek would not do.
		c.find(finding{
			violation: session.Unsolicited, phase: session.PhaseReady, dir: session.FromServer,
			kind: session.KindUnknown, expected: c.tracker.Expected(), command: c.tracker.Command(), waiting: true,
		})
		return
	}
	n, err := c.peek(c.one[:])
	if c.goodbye {
		n, err = 0, io.EOF // it came with the end of the last answer
	}
	switch {
	case err != nil:
		c.find(finding{
			violation: session.Truncated, phase: session.PhaseReady, dir: session.FromServer,
			stream: streamEnd(err), command: c.tracker.Command(), waiting: true, err: err,
		})
	case n > 0:
		c.waiting()
	}
}

// peekAll returns what is waiting, with TLS up to the end of the first record:
// less of it could be anything.
func (c *Conn) peekAll() []byte {
	for size := peekLen; ; {
		buf := make([]byte, size)
		n, err := c.peek(buf)
		if n == 0 || err != nil {
			return nil
		}
		if c.tls == nil || n < size {
			return buf[:n]
		}
		p := c.tls.view.PeekServer(buf)
		if p.Kind != wire.TLSPeekIncomplete || p.Missing == 0 {
			return buf
		}
		size += p.Missing
	}
}

// waiting looks at the bytes that wait although nothing is outstanding.
func (c *Conn) waiting() {
	b := c.peekAll()
	if len(b) == 0 {
		return
	}
	f := finding{
		violation: session.Unsolicited, phase: session.PhaseReady, dir: session.FromServer,
		kind: session.KindUnknown, expected: c.tracker.Expected(), command: c.tracker.Command(), waiting: true,
	}
	if c.tls != nil {
		switch p := c.tls.view.PeekServer(b); p.Kind {
		case wire.TLSPeekPostHandshake, wire.TLSPeekIncomplete:
			return // tickets are not answers; half a record is not one yet
		case wire.TLSPeekCloseNotify:
			f.violation, f.stream, f.err = session.Truncated, cause.StreamEOF, io.EOF
			c.find(f)
			return
		case wire.TLSPeekData, wire.TLSPeekNotTLS:
			b = p.Plain
		default:
			c.find(f)
			return
		}
	}
	var h wire.Header
	var prefix []byte
	if c.comp != nil {
		p, s := wire.PeekFrames(b, make([]byte, wire.PeekLen))
		if s == wire.PeekHeader || s == wire.PeekPacket {
			h, prefix = p.Packet, p.Prefix
			h.Seq = p.Frame.Seq // inner ids are informative only
		}
	} else if len(b) >= wire.HeaderLen {
		h = wire.Header{Length: uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16, Seq: b[3]}
		prefix = b[wire.HeaderLen:min(len(b), wire.HeaderLen+int(h.Length))]
	}
	f.actual, f.length = h.Seq, h.Length
	if e, ok := session.ParseError(prefix); ok {
		f.kind, f.server = session.KindERR, &e
	} else if len(prefix) > 0 && prefix[0] == 0 {
		f.kind = session.KindOK
	}
	c.history.add(entry{
		at: c.now(), bytes: h.Length, count: 1, first: h.Seq, last: h.Seq, direction: session.FromServer,
		kind: f.kind, violation: session.Unsolicited, code: codeOf(f.server),
	})
	c.find(f)
}

func codeOf(e *session.ServerError) uint16 {
	if e == nil {
		return 0
	}
	return e.Code
}

// lastWords reads what the server said before it hung up on a write: an ERR
// 1153 is usually there although the client sees only a broken pipe. The
// connection is lost, so nobody misses the bytes.
func (c *Conn) lastWords() {
	if !c.reading.CompareAndSwap(false, true) {
		return // a reader of the client's own gets them
	}
	defer c.reading.Store(false)
	if err := c.inner.SetReadDeadline(time.Now().Add(lastWordsWait)); err != nil {
		return
	}
	buf := make([]byte, peekLen)
	for range 4 {
		n, err := c.inner.Read(buf)
		c.mu.Lock()
		c.look(session.FromServer, buf[:n], c.now())
		over := c.fatal != nil
		c.mu.Unlock()
		if err != nil || over {
			return
		}
	}
}

// lastWordsWait is how long to wait for words that are still on their way. On
// loopback they were there in 5 of 5 cases.
const lastWordsWait = 200 * time.Millisecond
