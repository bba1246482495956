package wrapconn

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// NetConn returns the net.Conn for the client. It has SyscallConn exactly if
// the inner connection has: go-sql-driver checks a connection's liveness
// through it, skips the check silently without it, and takes an error of it for
// a dead connection.
func (c *Conn) NetConn() net.Conn {
	if _, ok := c.inner.(syscall.Conn); ok {
		return &c.sys
	}
	return c
}

// sysConn is a Conn over a socket. It is a part of the Conn that it points to, so that the way from
// the client to that is short.
type sysConn struct{ *Conn }

// SyscallConn returns the inner connection's, with one exception: see Vouch.
// What is read or written through it is not seen.
func (c *sysConn) SyscallConn() (syscall.RawConn, error) {
	if c.raw == nil {
		return c.inner.(syscall.Conn).SyscallConn()
	}
	return (*looked)(c.Conn), nil
}

// looked is the inner connection's RawConn. A Read is answered without a look
// when the guard has just had one.
type looked Conn

func (l *looked) Control(f func(fd uintptr)) error { return l.raw.Control(f) }

func (l *looked) Write(f func(fd uintptr) bool) error { return l.raw.Write(f) }

func (l *looked) Read(f func(fd uintptr) bool) error {
	c := (*Conn)(l)
	if c.vouch.answer() && !c.closed.Load() && !c.late() {
		return nil
	}
	if c.liesAhead() {
		return errAhead
	}
	return c.raw.Read(f)
}

// late reports whether the deadline for reads has passed: a Read would fail.
func (c *Conn) late() bool {
	d := c.deadline.Load()
	return d != 0 && d <= time.Now().UnixNano()
}

// vouch is whether a Check is new enough to stand for a client's own look.
type vouch struct{ state atomic.Uint32 }

const (
	vouchNone   uint32 = iota
	vouchQuiet         // the last Check looked into the socket: it is open, and nothing waits
	vouchAsking        // the client is about to look
)

// checked takes what a Check found.
func (v *vouch) checked(quiet bool) {
	if quiet {
		v.state.Store(vouchQuiet)
	} else {
		v.state.Store(vouchNone)
	}
}

// answer reports, once, whether the client need not look.
func (v *vouch) answer() bool {
	return v.state.Load() == vouchAsking && v.state.CompareAndSwap(vouchAsking, vouchNone)
}

// Vouch saves a client's own liveness check. Call it between a Check and that
// check, and Unvouch after it. If the Check has looked into the socket and found it
// open, with nothing waiting, the next Read of the RawConn that SyscallConn returns
// succeeds without calling its function, which would find the same. In all other
// cases nothing changes, and the client checks for itself.
func (c *Conn) Vouch() { c.vouch.state.CompareAndSwap(vouchQuiet, vouchAsking) }

// Unvouch ends Vouch.
func (c *Conn) Unvouch() { c.vouch.state.Store(vouchNone) }
