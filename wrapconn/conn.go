package wrapconn

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"weak"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Conn is one guarded connection. Make it with New, and hand NetConn to the
// client.
type Conn struct {
	inner net.Conn
	raw   syscall.RawConn // nil if inner has none: no peek
	opts  Options
	start time.Time // when the connection was made; carries the monotonic clock

	owner   owner
	reading atomic.Bool
	hasRead bool // guarded by reading
	writing atomic.Bool
	closed  atomic.Bool // Close was called
	leaving atomic.Bool // an OpClose has begun: what is written is a COM_QUIT
	// disowned: use past the owner is lawful. True without Options.Operations.
	disowned atomic.Bool
	broken   atomic.Bool // fatal is set: cheap to ask
	cut      atomic.Bool // a command was written in part, then the write failed
	more     atomic.Bool // the lease is for a further result, which nobody has asked for yet

	// mu guards what follows. It is taken once for each Read and Write, and
	// never held during I/O or a callback.
	mu      sync.Mutex
	tracker session.Tracker
	server  half
	client  half
	tls     *tlsView
	comp    *compView
	history history
	marks   marks
	pid     int

	// listening for the last words of a server that hung up on a write; words
	// are they.
	listening bool
	words     *session.ServerError

	alert    string    // the peer's TLS alert
	goodbye  bool      // the peer ended TLS politely, while nothing was outstanding
	found    []finding // violations met by the call that holds mu
	fatal    *Report   // the first violation that ends the connection
	pending  *Report   // the last violation that no error has told yet
	hidden   bool      // the packets are not seen, reported once
	lostTLS  string    // why
	peeker   peeker
	leastRTT time.Duration // when the connection was made; 0 if it is not known
	checked  int64         // when Check was called last; 0 after the next write
	pooled   int64         // when it came from the pool, or was connected; 0 after the next write
	one      [1]byte       // for the peek: an array on the stack would escape
}

// half is one direction: the layers and the reader of its packets.
type half struct {
	frames frames
	taken  int64 // bytes
}

// New guards inner, which must be freshly connected: nothing read, nothing
// written.
func New(inner net.Conn, opts Options) *Conn {
	if opts.History <= 0 {
		opts.History = DefaultHistory
	}
	c := &Conn{inner: inner, opts: opts, start: time.Now(), pid: pid()}
	c.disowned.Store(!opts.Operations)
	c.history.init(min(opts.History, MaxHistory))
	c.server.frames.init(c, session.FromServer)
	c.client.frames.init(c, session.FromClient)
	if sc, ok := inner.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw = raw
			c.peeker.init()
		}
	}
	counters.connections.Add(1)
	register(c)
	c.greet()
	return c
}

// NetConn returns the net.Conn for the client. It has SyscallConn exactly if
// the inner connection has: go-sql-driver checks a connection's liveness
// through it, skips the check silently without it, and takes an error of it for
// a dead connection.
func (c *Conn) NetConn() net.Conn {
	if sc, ok := c.inner.(syscall.Conn); ok {
		return &sysConn{Conn: c, sys: sc}
	}
	return c
}

// sysConn is a Conn over a socket.
type sysConn struct {
	*Conn
	sys syscall.Conn
}

// SyscallConn returns the inner connection's. What is read or written through
// it is not seen.
func (c *sysConn) SyscallConn() (syscall.RawConn, error) { return c.sys.SyscallConn() }

var (
	_ net.Conn     = (*Conn)(nil)
	_ net.Conn     = (*sysConn)(nil)
	_ syscall.Conn = (*sysConn)(nil)
)

// now is the connection's clock: nanoseconds since it was made.
func (c *Conn) now() int64 { return int64(time.Since(c.start)) }

// Read reads from the inner connection and looks at what came. What it returns
// is what the inner connection returned, except when the bytes cannot be a
// greeting: a *ProtocolError then, and no bytes.
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
		c.hasRead = true
		c.mu.Lock()
		c.marks.ownPause = c.now()
		c.mu.Unlock()
	}
	n, err := c.inner.Read(p)
	if refuse := c.sawRead(p[:n], err); refuse != nil {
		return 0, refuse
	}
	return n, err
}

// Write looks at what is to be written and writes it. Before the first byte of
// a command it makes sure that nothing is waiting to be read: if something is,
// it returns 0 and the reason.
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
	middle, err := c.beforeWrite(p)
	if err != nil {
		return 0, err
	}
	n, err := c.inner.Write(p)
	if err != nil {
		if middle || n > 0 {
			c.cut.Store(true)
		}
		c.failedWrite(len(p)-n, err)
	}
	return n, err
}

// Close closes the inner connection and forgets the secrets. It may be called
// at any time and more than once; go-sql-driver's cancel watcher calls it while
// the owner is in Read.
func (c *Conn) Close() error {
	c.closed.Store(true)
	unregister(weak.Make(c))
	err := c.inner.Close()
	c.mu.Lock()
	if c.tls != nil {
		c.tls.view.Zero()
	}
	c.mu.Unlock()
	return err
}

// LocalAddr returns the inner connection's.
func (c *Conn) LocalAddr() net.Addr { return c.inner.LocalAddr() }

// RemoteAddr returns the inner connection's.
func (c *Conn) RemoteAddr() net.Addr { return c.inner.RemoteAddr() }

// SetDeadline sets the inner connection's.
func (c *Conn) SetDeadline(t time.Time) error { return c.inner.SetDeadline(t) }

// SetReadDeadline sets the inner connection's.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.inner.SetReadDeadline(t) }

// SetWriteDeadline sets the inner connection's.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.inner.SetWriteDeadline(t) }

// Begin takes the connection for an operation. A conflict is returned as an
// *OwnershipError; in Observe mode it is reported only, and taken is false:
// End must not be called then.
func (c *Conn) Begin(ctx context.Context, kind OpKind) (taken bool, err error) {
	conflict, holder := c.owner.begin(kind, ctx, c.now(), c.opts.CallSites)
	if conflict == NoConflict {
		return true, nil
	}
	return false, c.refuse(ctx, kind, conflict, holder)
}

// TryBegin is Begin without a report of a conflict, and without a call site: for
// a Close, which is lawful at any time, and for what takes no longer than a look.
func (c *Conn) TryBegin(ctx context.Context, kind OpKind) (taken bool) {
	if kind == OpClose {
		c.leaving.Store(true)
	}
	conflict, _ := c.owner.begin(kind, ctx, c.now(), false)
	return conflict == NoConflict
}

// End releases the connection. With lease, the operation's result is still to
// be read: only BeginLeased gets in until EndLeased gives the lease up.
func (c *Conn) End(lease bool) { c.owner.end(lease) }

// BeginLeased lets the holder of a lease in.
func (c *Conn) BeginLeased(ctx context.Context, kind OpKind) (taken bool, err error) {
	if conflict, holder := c.owner.beginInside(); conflict != NoConflict {
		return false, c.refuse(ctx, kind, conflict, holder)
	}
	return true, nil
}

// EndLeased lets the holder of a lease out. done gives the lease up.
func (c *Conn) EndLeased(done bool) {
	c.forgetMore()
	c.owner.endInside(done)
}

// MoreResults says that the holder of the lease has read a result to its end
// and that the server has announced another one.
func (c *Conn) MoreResults() { c.more.Store(true) }

func (c *Conn) forgetMore() {
	if c.more.Load() { // hardly ever: a load costs less than a store
		c.more.Store(false)
	}
}

// Forget drops what is kept of the last operation, such as its context. It is
// for a connection that is put aside, and does nothing while one is under way.
func (c *Conn) Forget() { c.owner.forget() }

// Disown says that the connection may be used past its owner from now on: a
// Read or Write outside any operation is no violation any more.
func (c *Conn) Disown() { c.disowned.Store(true) }

// Drop gives the lease up: its result has been read to the end.
func (c *Conn) Drop() {
	c.forgetMore()
	c.owner.drop()
}

// Err returns the report of the violation that ended this connection, nil if it
// is sound. A connection with one must not be used again.
func (c *Conn) Err() *Report {
	if !c.broken.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fatal
}

// Take returns the last violation that no error has told yet, for the error of
// the operation that met it, and forgets it.
func (c *Conn) Take() *Report {
	if !c.broken.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.pending
	c.pending = nil
	return r
}

// Idle reports whether nothing is outstanding on the connection: the login is
// over, every answer is complete, and no byte of another one has come. It is
// true of a connection whose packets are not seen.
func (c *Conn) Idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.tracker.Phase() {
	case session.PhaseOpaque, session.PhaseUntracked:
		return true
	}
	return c.tracker.Phase() == session.PhaseReady && c.server.frames.missing() == 0
}
