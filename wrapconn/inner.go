package wrapconn

import (
	"net"
	"sync/atomic"
	"syscall"
)

// The inner connection may be of any type. What the guard asks it of its own
// accord, which the client would not, must not become the client's fault: it
// may panic, it may never return, and it may mean something else.

// socketOf returns the socket of a connection of package net, nil of any other.
// A type that has a socket somewhere inside may have promoted SyscallConn of it
// without a thought: what waits in there need not be what its Read returns (it
// frames, or it reads ahead), so it is not looked into.
func socketOf(inner net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch s := inner.(type) {
	case *net.TCPConn:
		raw, err = s.SyscallConn()
	case *net.UnixConn:
		raw, err = s.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	return raw
}

// ends are the addresses of the two ends, for reports. They are asked for once,
// when the connection is made.
type ends struct {
	peer, local net.Addr
	later       *atomic.Pointer[ends] // of a connection of which nobody knows how long it takes
}

func (e *ends) take(inner net.Conn) {
	switch inner.(type) {
	case *net.TCPConn, *net.UnixConn:
		e.peer, e.local = inner.RemoteAddr(), inner.LocalAddr()
		return
	}
	later := new(atomic.Pointer[ends])
	e.later = later
	go func() {
		defer func() {
			if recover() != nil {
				counters.panics.Add(1)
			}
		}()
		later.Store(&ends{peer: inner.RemoteAddr(), local: inner.LocalAddr()})
	}()
}

// get returns the addresses, nil as long as they are not known.
func (e *ends) get() (peer, local net.Addr) {
	if e.later != nil {
		if known := e.later.Load(); known != nil {
			return known.peer, known.local
		}
	}
	return e.peer, e.local
}
