package grammar_test

import (
	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// witness follows the conversation as the guard does, and writes down what the
// table of differences asks about.
type witness struct {
	tracker session.Tracker
	readers [2]wire.Reader
	seen    []sighting
}

// sighting is one packet of the server.
type sighting struct {
	phase   session.Phase // before it
	command session.Command
	event   session.Event
	length  int
	head    []byte
}

type side struct {
	w   *witness
	dir session.Direction
}

func newWitness() *witness {
	w := &witness{}
	for _, d := range []session.Direction{session.FromServer, session.FromClient} {
		w.readers[d].Init(side{w, d})
		w.readers[d].SetPrefix(wire.LongPrefix)
	}
	return w
}

func (s side) Packet(h wire.Header, prefix []byte) {
	w := s.w
	if s.dir == session.FromClient && w.tracker.Phase() > session.PhaseAuth || w.tracker.Phase() == session.PhaseLogin {
		prefix = prefix[:min(len(prefix), wire.PrefixLen)]
	}
	phase, command := w.tracker.Phase(), w.tracker.Command()
	ev := w.tracker.Packet(session.Packet{Direction: s.dir, Seq: h.Seq, Length: h.Length, Prefix: prefix})
	if s.dir == session.FromServer {
		w.seen = append(w.seen, sighting{phase, command, ev, int(h.Length), append([]byte(nil), prefix...)})
	}
}

func (s side) Run(wire.Run) {}

func (w *witness) feed(dir session.Direction, b []byte) {
	for len(b) > 0 {
		b = b[w.readers[dir].Feed(b):]
	}
}

// any reports whether one of the packets is such.
func (c *comparison) any(f func(s sighting) bool) bool {
	for _, s := range c.seen {
		if f(s) {
			return true
		}
	}
	return false
}

func (c *comparison) has(k session.Kind) bool {
	return c.any(func(s sighting) bool { return s.event.Kind == k })
}
