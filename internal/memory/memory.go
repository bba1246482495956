// Package memory names what a connection in the memory of this process has that
// one over a socket has from the kernel: a look at what waits to be read. With it
// a guarded connection can live in a bubble of testing/synctest and still be
// looked into before a command. It is for tests of this module: what an
// application's own type of connection says about itself is not believed.
package memory

import "net"

// Conn is a connection that can be looked into.
type Conn interface {
	net.Conn
	// Peek copies what waits into b and returns at once: (0, nil) if nothing
	// waits, (0, err) if the next Read would return err.
	Peek(b []byte, _ Guard) (int, error)
}

// Guard is the parameter that keeps types of other modules from being a Conn by
// accident.
type Guard struct{}
