package wrapconn

import (
	"math"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Snapshot is the state of a connection at one moment. Like a Report, it has no
// payload and no SQL.
type Snapshot struct {
	Time time.Time

	Server        string // address as the user wrote it
	Network       string
	Database      string
	Connection    uint32 // the server's id of the connection; 0 before its greeting
	ServerVersion string
	MariaDB       bool
	Connected     time.Time
	Idle          time.Duration // since the last byte in either direction

	Phase         session.Phase
	Expected      uint8           // sequence id that is due
	Command       session.Command // whose answer is on the wire, or was the last; see Commands
	Commands      uint64          // sent so far
	Pending       int             // commands whose answer is not complete
	InTransaction bool            // by the server's last status

	TLS        cause.TLS
	TLSReason  string // why the packets cannot be seen: TLS, or zstd compression
	TLSVersion uint16 // as in crypto/tls; 0 if there is none, or not yet
	TLSSuite   uint16
	Compressed bool

	Received, Sent uint64 // bytes on the wire

	// NothingDue is for how long a Read of the operation under way has waited
	// although every answer is complete: zero, unless the client and the server
	// understand the last one differently.
	NothingDue time.Duration

	// Owner is the operation that has the connection, nil if it is free. Its
	// Context is not the operation's.
	Owner *Operation
	// Use is what it is at, and UseFor for how long: since the operation began, or since
	// the last byte.
	Use    Use
	UseFor time.Duration
	// Last is, of a connection that somebody holds and on which nothing is under way,
	// the last operation; nil if there was none.
	Last *Operation
	// RowsLost: the rows of its result are garbage, without having been closed.
	RowsLost bool
	// Leased: the operation has returned, its result is still to be read.
	Leased bool
	// Broken is the cause that ended the connection, "" if it is sound.
	Broken cause.Slug

	// History are the last packets, oldest first; Forgotten counts older ones.
	History   []HistoryEntry
	Forgotten uint64
}

// Snapshot returns the state of the connection. It may be called at any time.
func (c *Conn) Snapshot() Snapshot { return c.snapshot(math.MaxInt) }

// snapshot has the last packets, at most so many.
func (c *Conn) snapshot(packets int) Snapshot {
	// The owner has a lock of its own, so that what it says and what the wire
	// says may lie some nanoseconds apart.
	g := c.glimpse(time.Now())
	state, op := c.owner.last()
	s, history := c.wireSnapshot()
	s.History, s.Forgotten = history.Last(packets).Packets()
	s.Use, s.UseFor, s.RowsLost = g.use, g.since, g.lost
	if since := c.unowed.Load(); since != 0 {
		s.NothingDue = max(s.Time.Sub(c.start)-time.Duration(since), 1)
	}
	switch {
	case op.kind == OpNone:
	case state != ownerFree:
		s.Owner = c.export(&op, s.Time.Sub(c.start)).detached()
		s.Leased = state == ownerLeased || state == ownerInside
	case g.taken > 0 && op.kind != OpReset:
		s.Last = c.export(&op, s.Time.Sub(c.start)).detached()
	}
	return s
}

// wireSnapshot is all but the owner, and the history as it is kept.
func (c *Conn) wireSnapshot() (Snapshot, conversation.Excerpt) {
	c.mu.Lock()
	defer c.unlock()
	now := c.now()
	t := c.talk.State()
	s := Snapshot{
		Time: c.start.Add(now), Connected: c.start, Idle: now - t.LastByte,
		Server: c.opts.Server, Network: c.opts.Network, Database: c.opts.Database,
		Connection: t.Connection, ServerVersion: t.ServerVersion, MariaDB: t.MariaDB,
		Phase: t.Phase, Expected: t.Expected, Command: t.Command, Commands: t.Commands, Pending: t.Pending,
		InTransaction: t.InTransaction, TLS: t.TLS, TLSReason: t.OpaqueReason, Compressed: t.Compressed,
		TLSVersion: t.TLSVersion, TLSSuite: t.TLSSuite, Received: t.Received, Sent: t.Sent,
	}
	if c.fatal != nil {
		s.Broken = c.fatal.Cause.Slug
	}
	return s, c.talk.Excerpt()
}
