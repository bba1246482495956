package wrapconn

import (
	"time"

	"github.com/seqguard/mysql-seqguard/internal/testimony"
)

// A server waits for the login from the moment of its greeting. That may have
// come long before this process read it: a dial, or a read, returns late in a
// process that has no CPU. The kernel knows when it came.

// noticeable is the least delay that is spoken of. The kernel's clock for arrivals
// ticks every 1 to 10 ms, and a healthy login has nothing that takes as long.
const noticeable = 100 * time.Millisecond

// arrival is what the kernel said when the connection was made, which it is asked
// for its round-trip time anyway.
type arrival struct {
	known bool
	early bool          // something had come
	since time.Duration // early: when, on the connection's clock; before it began if negative
}

func (c *Conn) arrivalOf(a *testimony.Arrival) arrival {
	out := arrival{known: a.Known, early: a.Data}
	switch {
	case !a.Data: // in most cases, and no clock is read
	case a.Ended:
		// The last that came is the end. When the greeting came is not known, but
		// that the server waited, and that nobody was here.
		out.since = c.now() - a.Made
	default:
		out.since = c.now() - a.Since
	}
	return out
}

// greetingCame notes for how long the greeting had been in the socket when the
// first of it was read. It asks the kernel again only if that took long.
func (c *Conn) greetingCame() {
	defer contain()
	stage("greeting came")
	if !c.arrival.known {
		return
	}
	now, lay := c.now(), time.Duration(0)
	switch {
	case c.arrival.early:
		lay = now - c.arrival.since
	case now >= noticeable:
		a := testimony.Arrived(c.raw)
		if !a.Known || a.Ended { // what came last is not the greeting
			return
		}
		lay = min(a.Since, now)
	}
	if lay < noticeable {
		lay = 0
	}
	c.noteGreeting(lay)
}

// Dialing says that a connection is about to be dialed, and returns the time, for
// Options.Dialing. This process is watched from now on: what kept it from running
// can be told of a dial that returns late, too.
func Dialing() time.Time {
	defer contain()
	return process.Start(anybodyWaits)
}

// dialTook is for how long the connection was dialed; 0 if that is not known, or not
// noticeable.
func (c *Conn) dialTook() time.Duration {
	if c.opts.Dialing.IsZero() {
		return 0
	}
	if d := c.start.Sub(c.opts.Dialing); d >= noticeable {
		return d
	}
	return 0
}

// writeLogin is the inner connection's Write within the login. A socket takes what a
// login has at once. If its Write takes long all the same, this process did not run,
// or what a dial function has put around the socket waits: until then the server has
// nothing.
func (c *Conn) writeLogin(p []byte) (int, error) {
	began := c.wrote
	n, err := c.inner.Write(p)
	if c.now()-began >= noticeable {
		c.loginWritten(len(p) - n)
	}
	return n, err
}
