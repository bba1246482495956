package wrapconn

import (
	"sync/atomic"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Layers says whether the packets of a connection are encrypted or compressed.
type Layers struct {
	TLS        cause.TLS
	Compressed bool // zlib, which is looked into
}

// CountOpen counts the open guarded connections: by their layers, and those whose
// login is not over, whose layers are not known yet. It locks no connection, and
// takes the same time however many there are.
func CountOpen() (ready map[Layers]int, loggingIn int) {
	ready = map[Layers]int{}
	for i := range open {
		switch n := int(open[i].Load()); {
		case n <= 0: // one may be on its way from here to there
		case i == placeLogin:
			loggingIn = n
		default:
			ready[Layers{TLS: cause.TLS((i - 1) / 2), Compressed: (i-1)%2 == 1}] = n
		}
	}
	return ready, loggingIn
}

// open are how many connections are at each place. They change when a login is
// over, when a connection becomes opaque, and at the end.
var open [placeGone]atomic.Int64

const (
	placeLogin = 0                              // then Layers, from 1 on
	placeGone  = 1 + 2*(int(cause.TLSOpaque)+1) // closed, or dropped
)

// place is where a connection is counted. It is no part of the Conn, because one
// that was dropped without a Close must be counted out when it is collected.
type place struct{ at atomic.Int32 }

func newPlace() *place {
	open[placeLogin].Add(1)
	return new(place)
}

// move counts the connection at another place. From placeGone there is no way
// back.
func (p *place) move(to int) {
	for {
		from := p.at.Load()
		if int(from) == placeGone || int(from) == to {
			return
		}
		if p.at.CompareAndSwap(from, int32(to)) {
			if to != placeGone {
				open[to].Add(1)
			}
			open[from].Add(-1)
			return
		}
	}
}

// settle moves the connection to where its layers are counted, with mu held.
func (c *Conn) settle() {
	l, known := c.layers()
	if !known {
		return
	}
	c.settled = true
	to := 1 + 2*int(l.TLS)
	if l.Compressed {
		to++
	}
	c.place.move(to)
}

// layers is to be called with mu held.
func (c *Conn) layers() (l Layers, known bool) {
	l.TLS, l.Compressed, known = c.talk.Layers()
	return l, known
}
