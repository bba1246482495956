package reassemble

import (
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
)

// Limits of what is kept. Zero values mean the defaults.
type Limits struct {
	Flows     int // connections that somebody wants to know about
	Ignored   int // connections that nobody wants to know about, and ended ones
	HeldBytes int // that wait, of all connections
	FlowBytes int // that wait, of one connection
}

func (l *Limits) defaults() {
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&l.Flows, 8192)
	set(&l.Ignored, 65536)
	set(&l.HeldBytes, 48<<20)
	set(&l.FlowBytes, 8<<20)
}

const (
	// grace is how long, and graceSegments how many segments later, bytes that one
	// end acknowledged may still turn up: two processors of a machine write what
	// they saw into one capture.
	grace         = 100e6
	graceSegments = 256
	// patience is how long bytes that nobody acknowledged are waited for. Linux
	// gives up sending again after 15 tries; most captures of a fault are shorter.
	patience = 120e9
	// heldCost is what a segment that waits costs beside its payload.
	heldCost = 64
)

type key struct {
	a, b   [16]byte
	pa, pb uint16
}

// Table knows the connections of a capture.
type Table struct {
	// Open is called for a new connection and returns who wants to know about it,
	// nil for nobody. client says which end is taken for the client.
	Open func(f *Flow, at int64) Handler
	// IsServer reports whether a port is a server's, to tell the ends of a
	// connection apart whose beginning is missing. May be nil.
	IsServer func(port uint16) bool

	limits  Limits
	flows   map[key]*Flow
	last    *Flow // of the last segment: the next one is often of the same
	lists   [2]list
	held    int // bytes that wait
	waiting map[*Flow]struct{}
	resets  []*Flow // that wait with one, by time
	now     int64

	Evicted uint64 // connections that were put aside for others while they went on
}

// list of flows in the order of their use: 0 those with a handler, 1 those without.
type list struct {
	newest, oldest *Flow
	n              int
}

// NewTable makes an empty one.
func NewTable(l Limits) *Table {
	l.defaults()
	return &Table{limits: l, flows: map[key]*Flow{}, waiting: map[*Flow]struct{}{}}
}

// Segment takes the next one of the capture.
func (t *Table) Segment(s *capture.Segment, at int64) {
	t.now = max(t.now, at)
	if len(t.resets) > 0 {
		t.expire(t.now)
	}
	k, swapped := keyOf(s)
	f := t.last
	if f == nil || f.key != k {
		if f = t.flows[k]; f == nil {
			if s.Flags&capture.RST != 0 || len(s.Payload)+s.Cut == 0 && s.Flags&(capture.SYN|capture.FIN) == 0 {
				return // it tells nothing of a connection that is not known
			}
			f = t.open(s, k, swapped, at)
		}
		t.last = f
	}
	from := Client
	if swapped != f.swap {
		from = Server
	}
	if s.Flags&capture.SYN != 0 && f.begins(s, from) {
		t.finish(f, at)
		t.remove(f)
		f = t.open(s, k, swapped, at)
		t.last = f
		from = Client
		if swapped != f.swap {
			from = Server
		}
	}
	f.Last = max(f.Last, at)
	t.touch(f)
	if f.handler == nil {
		return
	}
	t.segment(f, from, s, at)
	if f.reset != nil && f.whole() {
		t.finish(f, f.reset.at)
	}
}

func keyOf(s *capture.Segment) (k key, swapped bool) {
	if less(&s.Src, &s.Dst) {
		return key{s.Src.IP, s.Dst.IP, s.Src.Port, s.Dst.Port}, false
	}
	return key{s.Dst.IP, s.Src.IP, s.Dst.Port, s.Src.Port}, true
}

func less(a, b *capture.Addr) bool {
	if a.Port != b.Port {
		return a.Port < b.Port
	}
	for i := range a.IP {
		if a.IP[i] != b.IP[i] {
			return a.IP[i] < b.IP[i]
		}
	}
	return false
}

// begins reports whether a SYN is one of another connection than f, between the
// same ports.
func (f *Flow) begins(s *capture.Segment, from Side) bool {
	if s.Flags&capture.ACK != 0 {
		return false
	}
	if f.done || f.Middle {
		return true
	}
	return from == Server || f.half[Client].known && s.Seq != f.isn
}

// open adds a connection of which s is the first segment seen. swapped: s was sent
// by the second end of the key.
func (t *Table) open(s *capture.Segment, k key, swapped bool, at int64) *Flow {
	f := &Flow{key: k, First: at, Last: at, told: at}
	switch {
	case s.Flags&capture.SYN != 0 && s.Flags&capture.ACK == 0:
		f.swap, f.isn = swapped, s.Seq
	case s.Flags&capture.SYN != 0: // the SYN is missing, its answer is not
		f.swap = !swapped
	default:
		f.Middle = true
		// The key begins with the lower port, as a server mostly has.
		f.swap = true
		if t.IsServer != nil && !t.IsServer(k.pa) && t.IsServer(k.pb) {
			f.swap = false
		}
	}
	a, b := capture.Addr{IP: k.a, Port: k.pa}, capture.Addr{IP: k.b, Port: k.pb}
	f.Ends = [2]capture.Addr{a, b}
	if f.swap {
		f.Ends = [2]capture.Addr{b, a}
	}
	f.handler = t.Open(f, at)
	t.flows[k] = f
	t.push(f)
	return f
}

func (f *Flow) list() int {
	if f.handler == nil {
		return 1
	}
	return 0
}

func (t *Table) push(f *Flow) {
	l := &t.lists[f.list()]
	f.older, f.newer = l.newest, nil
	if l.newest != nil {
		l.newest.newer = f
	} else {
		l.oldest = f
	}
	l.newest = f
	if l.n++; l.n > t.most(f.list()) {
		old := l.oldest
		if old.handler != nil {
			t.Evicted++
		}
		t.finish(old, t.now)
		t.remove(old)
	}
}

func (t *Table) most(list int) int {
	if list == 0 {
		return t.limits.Flows
	}
	return t.limits.Ignored
}

func (t *Table) unlink(f *Flow) {
	l := &t.lists[f.list()]
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		l.newest = f.older
	}
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		l.oldest = f.newer
	}
	f.newer, f.older = nil, nil
	l.n--
}

// touch makes f the one used last.
func (t *Table) touch(f *Flow) {
	if f.newer == nil {
		return
	}
	l := &t.lists[f.list()]
	f.newer.older = f.older
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		l.oldest = f.newer
	}
	f.older, f.newer = l.newest, nil
	l.newest.newer = f
	l.newest = f
}

func (t *Table) remove(f *Flow) {
	t.unlink(f)
	if t.flows[f.key] == f {
		delete(t.flows, f.key)
	}
	if t.last == f {
		t.last = nil
	}
}

// Ignore is for a Handler that has seen enough: it is told nothing more, not even
// the end.
func (t *Table) Ignore(f *Flow) {
	if f.handler == nil {
		return
	}
	t.drop(f)
	t.unlink(f)
	f.handler, f.reset = nil, nil
	t.push(f)
}

// Flows returns how many connections are followed.
func (t *Table) Flows() int { return t.lists[0].n }

// Tick is for a capture that is going on: it tells what has been waited for long
// enough, although nothing more has come.
func (t *Table) Tick(at int64) {
	t.now = max(t.now, at)
	for f := range t.waiting {
		t.drain(f, t.now)
	}
	t.expire(t.now)
	t.idle()
}

// Close tells all that is still waiting, and the end of each connection.
func (t *Table) Close() {
	for _, i := range [...]int{0, 1} {
		for l := &t.lists[i]; l.oldest != nil; {
			f := l.oldest
			t.finish(f, t.now)
			t.remove(f)
		}
	}
	t.resets = nil
}
