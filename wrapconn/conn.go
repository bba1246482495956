package wrapconn

import (
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"weak"

	"github.com/seqguard/mysql-seqguard/internal/memory"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Conn is one guarded connection. Make it with New, and hand NetConn to the
// client.
type Conn struct {
	// What each Read, Write and operation needs lies together, up to the first
	// half of talk: of many connections, none is in the processor's caches.

	sys   sysConn // points back
	inner net.Conn
	raw   syscall.RawConn // nil if the inner connection is no socket of package net: no peek
	start time.Time       // when the connection was made; carries the monotonic clock

	// The small ones lie together: with gaps between them a connection would take
	// another quarter of a kilobyte.
	reading atomic.Bool
	hasRead bool // guarded by reading
	writing atomic.Bool
	closed  atomic.Bool // Close was called
	leaving atomic.Bool // an OpClose has begun: what is written is a COM_QUIT
	// disowned: use past the owner is lawful. True without Options.Operations.
	disowned atomic.Bool
	broken   atomic.Bool   // there is a report: cheap to ask
	more     atomic.Bool   // the lease is for a further result, which nobody has asked for yet
	toldHeld atomic.Bool   // that it is held for long
	due      atomic.Uint32 // what Reads and the pool ask without mu: see noteDue
	vouch    vouch         // of the last Check
	taken    atomic.Int64  // when it left the pool, on the connection's clock; 0 while it is there
	deadline atomic.Int64  // for reads, as UnixNano; 0: none

	opts  Options
	owner owner

	cut      atomic.Bool   // a command was written in part, then the write failed
	tx       atomic.Bool   // a transaction was begun and not ended, by the word of the connection's user
	rowsLost atomic.Bool   // the rows of the lease are garbage
	pid      int32         // the process that made the connection: a fork that uses it is a cause
	unowed   atomic.Int64  // since when a Read is under way to which nothing is due; 0: none
	leastRTT time.Duration // when the connection was made; 0 if it is not known
	wrote    time.Duration // when the last Write of the login began; guarded by writing
	mem      memory.Conn   // of a test, in place of raw
	ends     ends
	arrival  arrival // of the greeting
	place    *place  // where it is counted
	atClose  atomic.Pointer[cause.Transport]
	sighted  atomic.Pointer[sighting]

	// mu guards what follows. It is taken once for each Read, twice for a Write,
	// and never held during I/O or a callback: see locked.go.
	mu      sync.Mutex
	fine    bool                // who holds mu has come to the end: see unlock
	settled bool                // its login is over: it is counted so
	lost    bool                // the guard has failed: nothing is found any more
	left    bool                // that open has been told
	arrived bool                // the end of the login has been noted
	one     [1]byte             // for the peek: an array on the stack would escape
	counted conversation.Counts // of talk, as far as they are in the totals of the process
	checked time.Duration       // when Check was called last; 0 after the next write
	pooled  time.Duration       // when it came from the pool, or was connected; 0 after the next write
	fatal   *Report             // the first violation that ends the connection
	hub     *TLSHub             // while the login is under way, if TLS is shared
	ahead   ahead               // see ahead.go
	peeker  peeker
	talk    conversation.Conversation
	pending *Report       // the last violation that no error has told yet
	open    *scene        // what was outstanding when this side closed the connection
	random  *clientRandom // under which the hub has it
}

// New guards inner, which must be freshly connected: nothing read, nothing
// written.
func New(inner net.Conn, opts Options) *Conn { return guardSocket(inner, socketOf(inner), opts) }

// guardSocket is New with the socket to look into; nil: none.
func guardSocket(inner net.Conn, raw syscall.RawConn, opts Options) *Conn {
	if opts.History <= 0 {
		opts.History = DefaultHistory
	}
	// The connection's clock begins above 0, which means "not yet": where a clock
	// stands still for a while (it does on Windows, and in a bubble of
	// testing/synctest), a command may leave in the moment of the dial.
	c := &Conn{inner: inner, opts: opts, start: time.Now().Add(-1), pid: int32(os.Getpid())}
	c.sys.Conn = c
	c.disowned.Store(!opts.Operations)
	c.talk.Init(conversation.Config{
		Start: c.start, Network: opts.Network, History: opts.History, OpaqueTLS: opts.OpaqueTLS, FirstOnly: true,
	})
	if raw != nil {
		c.raw = raw
		c.peeker.init()
	}
	c.mem, _ = inner.(memory.Conn)
	c.ends.take(inner)
	counters.connections.Add(1)
	register(c)
	c.greet()
	return c
}

var (
	_ net.Conn     = (*Conn)(nil)
	_ net.Conn     = (*sysConn)(nil)
	_ syscall.Conn = (*sysConn)(nil)
)

// now is the connection's clock: the time since it was made.
func (c *Conn) now() time.Duration { return time.Since(c.start) }

// Read reads from the inner connection and looks at the bytes. It returns what
// the inner connection returned, with one exception: if the first bytes cannot
// be a greeting, it returns a *ProtocolError and no bytes. In Enforce mode there
// are two more: an *OwnershipError if another Read is under way or no operation
// is, and a *ProtocolError if nothing has been due to the operation for a second.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.reading.CompareAndSwap(false, true) {
		if err := c.overlappedIO(session.FromServer); err != nil {
			return 0, err
		}
		return c.inner.Read(p)
	}
	defer c.reading.Store(false)
	if !c.owner.active() && !c.disowned.Load() {
		if err := c.strayIO(session.FromServer); err != nil {
			return 0, err
		}
	}
	if !c.hasRead {
		return c.readFirst(p)
	}
	if c.due.Load()&nothingDue != 0 && c.owner.active() && !c.disowned.Load() {
		return c.readUnowed(p)
	}
	began := c.now()
	n, err := c.receive(p)
	var end *ending
	if err != nil {
		e := endingOf(err)
		end = &e
	}
	met, refuse := c.sawRead(p[:min(max(n, 0), len(p))], n == len(p), began, end)
	c.deliver(met)
	if refuse != nil {
		return 0, refuse
	}
	return n, err
}

// readFirst is the first Read.
func (c *Conn) readFirst(p []byte) (int, error) {
	c.hasRead = true
	c.firstRead()
	began := c.now()
	n, err := c.inner.Read(p)
	if n > 0 {
		c.greetingCame()
	}
	end := endingOf(err)
	met, refuse := c.sawRead(p[:min(max(n, 0), len(p))], n == len(p), began, &end)
	c.deliver(met)
	if refuse != nil {
		return 0, refuse
	}
	return n, err
}

// Write looks at p and writes it. Before the first byte of a command it checks
// that nothing is waiting to be read. If something is, Write returns 0 and the
// reason in Enforce mode, and so it does if another Write is under way or no
// operation is.
func (c *Conn) Write(p []byte) (int, error) {
	if !c.writing.CompareAndSwap(false, true) {
		if err := c.overlappedIO(session.FromClient); err != nil {
			return 0, err
		}
		return c.inner.Write(p)
	}
	defer c.writing.Store(false)
	if !c.owner.active() && !c.disowned.Load() {
		if err := c.strayIO(session.FromClient); err != nil {
			return 0, err
		}
	}
	// Before the write, not after: a client that reads and writes from two
	// goroutines may have the answer before Write returns.
	part, met, refuse := c.beforeWrite(p)
	c.deliver(met)
	if refuse != nil {
		return 0, refuse
	}
	var n int
	var err error
	if part == partOfLogin {
		n, err = c.writeLogin(p)
	} else {
		n, err = c.inner.Write(p)
	}
	if err != nil {
		if part != wholeCommand || n > 0 {
			c.cut.Store(true)
		}
		c.deliver(c.failedWrite(len(p)-n, err))
	}
	return n, err
}

// Close closes the inner connection and forgets the secrets. It may be called
// at any time and more than once; go-sql-driver's cancel watcher calls it while
// the owner is in Read.
func (c *Conn) Close() error {
	c.beforeClose()
	c.noteClose()
	c.closed.Store(true)
	unregister(weak.Make(c))
	defer c.forgetSecrets()
	return c.inner.Close()
}

// LocalAddr returns the local address of the inner connection.
func (c *Conn) LocalAddr() net.Addr { return c.inner.LocalAddr() }

// RemoteAddr returns the remote address of the inner connection.
func (c *Conn) RemoteAddr() net.Addr { return c.inner.RemoteAddr() }

// SetDeadline sets the deadlines of the inner connection.
func (c *Conn) SetDeadline(t time.Time) error {
	c.readUntil(t)
	return c.inner.SetDeadline(t)
}

// SetReadDeadline sets the read deadline of the inner connection.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.readUntil(t)
	return c.inner.SetReadDeadline(t)
}

func (c *Conn) readUntil(t time.Time) {
	switch {
	case t.IsZero() || t.After(latest): // which does not come
		c.deadline.Store(0)
	case t.Before(earliest):
		c.deadline.Store(1)
	default:
		c.deadline.Store(t.UnixNano())
	}
}

// UnixNano wraps around outside of these, and a readTimeout may be as long as a Duration can be.
var earliest, latest = time.Unix(1, 0), time.Unix(0, math.MaxInt64)

// SetWriteDeadline sets the write deadline of the inner connection.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.inner.SetWriteDeadline(t) }
