package wrapconn

import (
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/memory"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// peeker looks into the socket's receive buffer without taking anything out.
type peeker struct {
	control func(fd uintptr) // made once: a closure a call would be an allocation
	buf     []byte           // where to; set for the call
	n       int
	err     error
	quiet   bool // it was looked: the socket is open, and nothing waits
}

func (p *peeker) init() {
	p.control = func(fd uintptr) { p.n, p.err = peekFD(fd, p.buf) }
}

// peek returns what is waiting, up to len(b) bytes: (0, nil) if nothing is
// or if nobody can look (see peeker.quiet), (0, io.EOF) if the peer has hung up. It is to be called with mu held.
func (c *Conn) peek(b []byte) (int, error) {
	c.peeker.quiet = false
	if c.opts.NoPeek {
		return 0, nil
	}
	if c.raw == nil {
		if c.mem == nil {
			return 0, nil
		}
		n, err := c.mem.Peek(b, memory.Guard{})
		c.peeker.quiet = n == 0 && err == nil
		return n, err
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
	case errors.Is(err, syscall.EAGAIN):
		c.peeker.quiet = true
		return 0, nil
	case errors.Is(err, errPeekUnsupported), errors.Is(err, syscall.EINTR):
		return 0, nil
	default:
		return 0, err
	}
}

// peekLen is enough for an ERR packet inside a compressed frame inside a TLS
// record, behind two session tickets.
const peekLen = 4096

// Check makes sure that nothing is waiting to be read while nothing is
// outstanding. Every answer starts at sequence id 1, so the next command would
// read a stale one as its own. Check returns a *ProtocolError if something is
// waiting or if the peer has hung up; the connection must not be used then. It
// costs one system call, and nothing on a connection that is not over a socket.
// Check implies Pooled.
func (c *Conn) Check() error {
	met, refuse := c.checkAt(c.now())
	c.deliver(met)
	return refuse
}

func (c *Conn) checkAt(now time.Duration) (met []*Report, refuse error) {
	c.mu.Lock()
	defer c.unlock()
	c.checked, c.pooled = now, now
	c.peeker.quiet = false
	c.check(now)
	c.vouch.checked(c.peeker.quiet)
	if c.talk.Found() {
		met = c.report(now)
	}
	if c.fatal != nil {
		refuse = &ProtocolError{Report: c.fatal}
	}
	c.fine = true
	return met, refuse
}

// Pooled says that database/sql has just got the connection, from its pool or
// from the server. If a command cannot be written now, database/sql runs it on
// another connection and returns no error.
func (c *Conn) Pooled() {
	c.mu.Lock()
	defer c.unlock()
	c.pooled = c.now()
	c.taken.Store(int64(c.pooled))
	if c.talk.Phase() == session.PhaseOpaque {
		observed.LoggedIn(c.opts.Server, c.start)
	}
}

// pooledHolds is for how long Pooled is true. A caller that waits for longer holds the
// connection, as a sql.Conn, and gets the error.
const pooledHolds = 100 * time.Millisecond

// pinned reports, before a write, whether who writes holds the connection.
func (c *Conn) pinned(now time.Duration) bool {
	return c.opts.Operations && (c.pooled == 0 || now-c.pooled > pooledHolds)
}

// checkHolds is for how long a Check spares the command behind it another one:
// database/sql resets a connection and uses it at once.
const checkHolds = 100 * time.Microsecond

// justChecked reports, once, whether a Check was right before.
func (c *Conn) justChecked(now time.Duration) bool {
	at := c.checked
	c.checked = 0
	return at != 0 && now-at < checkHolds
}

// check is Check with mu held. It peeks one byte first, for the usual case. What
// has been read ahead lies in front of the socket.
func (c *Conn) check(now time.Duration) {
	stage("check")
	if c.closed.Load() || !c.talk.BeforeCommand(now) {
		return
	}
	if b := c.lie(); len(b) > 0 {
		c.talk.Waiting(c.peekBehind(b), now)
		return
	}
	switch n, err := c.peek(c.one[:]); {
	case err != nil:
		c.talk.GoneWaiting(streamEnd(err), err, now)
	case n > 0:
		if b := c.peekAll(); len(b) > 0 {
			c.talk.Waiting(b, now)
		}
	case c.peeker.quiet:
		c.talk.FoundOpen(now)
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
		if n < size {
			return buf[:n]
		}
		missing := c.talk.WaitingShort(buf)
		if missing == 0 {
			return buf
		}
		size += missing
	}
}

// peekBehind returns b, and what it takes of what waits in the socket behind it
// for a whole TLS record.
func (c *Conn) peekBehind(b []byte) []byte {
	for behind := 0; ; {
		all, n := make([]byte, len(b)+behind), 0
		copy(all, b)
		if behind > 0 {
			n, _ = c.peek(all[len(b):])
		}
		all = all[:len(b)+n]
		missing := c.talk.WaitingShort(all)
		if missing == 0 || n < behind {
			return all
		}
		behind += missing
	}
}

// lastWords reads what the server said before it hung up on a write: an ERR
// 1153 is usually there although the client sees only a broken pipe. The
// connection is lost, so nobody misses the bytes.
func (c *Conn) lastWords() {
	if !c.reading.CompareAndSwap(false, true) {
		return // a reader of the client's own gets them
	}
	if c.raw != nil {
		c.listen()
		return
	}
	// Of another connection than a socket nobody knows that it keeps its
	// deadline.
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.listen()
	}()
	select {
	case <-done:
	case <-time.After(2 * lastWordsWait):
	}
}

func (c *Conn) listen() {
	defer c.reading.Store(false)
	defer contain()
	if err := c.SetReadDeadline(time.Now().Add(lastWordsWait)); err != nil {
		return
	}
	buf := make([]byte, peekLen)
	for range 4 {
		n, err := c.receive(buf)
		if over := c.lastWord(buf[:min(max(n, 0), len(buf))]); err != nil || over {
			return
		}
	}
}

// lastWordsWait is how long to wait for words that are still on their way. On
// loopback they were there in 5 of 5 cases.
const lastWordsWait = 200 * time.Millisecond
