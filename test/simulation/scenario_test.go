package simulation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// scenario is one run: what clients do and what breaks. It follows from its seed alone, less what a shrinker has left out.
type scenario struct {
	seed uint64

	mariaDB    bool
	compressed bool
	classicEOF bool // the server does not offer CLIENT_DEPRECATE_EOF
	maxOpen    int
	readLimit  time.Duration // readTimeout of the DSN; 0: none
	heldLimit  time.Duration // WithHeldTooLong
	watched    bool          // WatchPool
	abandoned  bool          // WithAbandoned
	long       bool          // some pauses are of nine hours
	instant    bool          // the way to the server takes no time at all, as for a clock that is coarse

	clients [][]*op
	logins  map[int]*loginFault // by number of the connection, from 1
	events  []*event
}

// op is something that a client does. Those with a token are one command, or two of a prepared statement.
type op struct {
	kind    opKind
	token   int
	rows    int
	pause   time.Duration // before it
	timeout time.Duration // of its context
	fault   fault
	after   time.Duration // of the fault
	size    int           // of the fault: bytes
	ran     bool          // the fault comes when the statement has been run
	subs    []*op         // of a session, a transaction, a misuse
}

type opKind uint8

const (
	opQuery opKind = iota
	opExec
	opPrepared // a query with an argument: PREPARE, EXECUTE, CLOSE
	opMulti    // two results
	opLoad     // LOAD DATA LOCAL INFILE
	opBig      // a command of more than a megabyte
	opPing
	opSession // a sql.Conn
	opTx
	opOverlap   // two goroutines on one connection
	opInterlace // a command while rows are open
	opFurther   // a command while a further result is unread
	opClosing   // a command while another goroutine closes rows
	opLate      // a statement is closed while the rows of another one are open
	numOpKinds
)

var opNames = [...]string{"query", "exec", "prepared", "multi", "load", "big", "ping", "session", "tx", "overlap", "interlace", "further", "closing", "late"}

func (o *op) String() string {
	s := opNames[o.kind]
	if o.token > 0 {
		s += fmt.Sprintf(" t=%d", o.token)
	}
	if o.rows > 0 {
		s += fmt.Sprintf(" rows=%d", o.rows)
	}
	if o.pause > 0 {
		s += fmt.Sprintf(" pause=%v", o.pause)
	}
	if o.timeout > 0 {
		s += fmt.Sprintf(" timeout=%v", o.timeout)
	}
	if o.fault != fNone {
		s += fmt.Sprintf(" FAULT %s after=%v size=%d ran=%t", faults[o.fault].name, o.after, o.size, o.ran)
	}
	for _, sub := range o.subs {
		s += "\n      " + sub.String()
	}
	return s
}

func (s *scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: mariadb=%t compressed=%t classicEOF=%t maxOpen=%d readTimeout=%v heldTooLong=%v watched=%t abandoned=%t instant=%t\n",
		s.seed, s.mariaDB, s.compressed, s.classicEOF, s.maxOpen, s.readLimit, s.heldLimit, s.watched, s.abandoned, s.instant)
	for i, ops := range s.clients {
		for _, o := range ops {
			fmt.Fprintf(&b, "  client %d: %s\n", i, o)
		}
	}
	for n := 1; n <= maxLogin; n++ {
		if l := s.logins[n]; l != nil {
			fmt.Fprintf(&b, "  connection %d: FAULT %s\n", n, l.name)
		}
	}
	for _, e := range s.events {
		fmt.Fprintf(&b, "  at %v: EVENT %s\n", e.at, e.kind.name)
	}
	return b.String()
}

// all calls f for every op, those inside others too.
func (s *scenario) all(f func(o *op)) {
	var walk func(ops []*op)
	walk = func(ops []*op) {
		for _, o := range ops {
			f(o)
			walk(o.subs)
		}
	}
	for _, ops := range s.clients {
		walk(ops)
	}
}

// maxLogin is the highest number of a connection whose login may break.
const maxLogin = 40

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// generate makes the scenario of a seed.
func generate(seed uint64) *scenario {
	g := &generator{r: rand.New(rand.NewPCG(seed, 0x5e96a2d)), s: &scenario{seed: seed, logins: map[int]*loginFault{}}}
	return g.scenario()
}

type generator struct {
	r     *rand.Rand
	s     *scenario
	token int
	rate  int // faults in a thousand ops
}

func (g *generator) chance(n, of int) bool { return g.r.IntN(of) < n }

func pick[T any](g *generator, from ...T) T { return from[g.r.IntN(len(from))] }

func (g *generator) scenario() *scenario {
	s := g.s
	s.mariaDB = g.chance(1, 2)
	s.compressed = g.chance(1, 6)
	s.classicEOF = g.chance(1, 4)
	s.maxOpen = pick(g, 1, 2, 4, 8, 16)
	s.readLimit = pick(g, 0, 0, 3*time.Second, 5*time.Second)
	if g.chance(1, 6) {
		s.heldLimit = 5 * time.Second
	}
	s.watched = g.chance(1, 6)
	s.abandoned = g.chance(1, 2)
	s.instant = g.chance(1, 8)
	s.long = g.chance(1, 60)
	g.rate = pick(g, 0, 5, 20, 100, 300)
	if g.rate > 0 && g.chance(1, 2) {
		at := ms(g.r.IntN(3000))
		for range 1 + g.r.IntN(4) {
			k := &eventKinds[g.r.IntN(len(eventKinds))]
			s.events = append(s.events, &event{kind: k, at: at, pick: g.r.Uint64()})
			at += ms(pick(g, 0, 10, 100, 400, 900, 5000))
		}
	}
	clients, ops := 1+g.r.IntN(8), 5+g.r.IntN(60)
	for range clients {
		var list []*op
		for range ops {
			list = append(list, g.op())
		}
		s.clients = append(s.clients, list)
	}
	if g.rate > 0 && g.chance(1, 2) {
		for range 1 + g.r.IntN(4) {
			s.logins[1+g.r.IntN(pick(g, 4, maxLogin))] = &loginFaults[g.r.IntN(len(loginFaults))]
		}
	}
	return s
}

// op makes what a client does next.
func (g *generator) op() *op {
	o := &op{timeout: time.Minute}
	if g.chance(1, 4) {
		o.pause = ms(pick(g, 1, 10, 100, 1000, 3000))
	}
	if g.chance(1, 100) {
		o.pause = pick(g, 20*time.Second, 2*time.Minute, g.night())
	}
	switch k := g.r.IntN(1000); {
	case k < 60:
		o.kind, o.timeout = opSession, 0
		g.subs(o, 1+g.r.IntN(6))
	case k < 120:
		o.kind = opTx
		g.subs(o, 1+g.r.IntN(4))
	case k < 160:
		o.kind = opPing
	case k < 165 && g.rate > 0:
		o.kind = pick(g, opOverlap, opInterlace, opFurther, opClosing, opLate)
		o.subs = []*op{g.leafOf(opQuery), g.leafOf(opExec)}
		if o.kind == opFurther {
			o.subs[0].kind = opMulti
		}
		for _, sub := range o.subs {
			sub.rows = 3
		}
		if o.kind == opOverlap {
			// The first command's answer must be outstanding when the second one comes.
			o.subs[0].fault, o.subs[0].after = fDelay, ms(500)
		}
		if o.kind == opClosing {
			// The rows must take their time.
			o.subs[0].fault, o.subs[0].after, o.subs[0].rows = fTrickle, ms(300), 30
		}
		if o.kind == opLate {
			o.subs = append(o.subs, g.leafOf(opPrepared))
		}
	default:
		g.leaf(o)
	}
	return o
}

// night is longer than wait_timeout is by default, in some scenarios: the guard's look at the clock each second makes it dear.
func (g *generator) night() time.Duration {
	if g.s.long {
		return 9 * time.Hour
	}
	return time.Minute
}

func (g *generator) subs(o *op, n int) {
	for range n {
		sub := &op{timeout: time.Minute}
		g.leaf(sub)
		if g.chance(1, 3) {
			sub.pause = ms(pick(g, 1, 50, 200, 1500))
		}
		if g.chance(1, 30) {
			sub.pause = pick(g, 8*time.Second, g.night())
		}
		o.subs = append(o.subs, sub)
	}
}

func (g *generator) leafOf(k opKind) *op {
	g.token++
	return &op{kind: k, token: g.token, timeout: time.Minute}
}

// leaf makes o one command, perhaps with a fault.
func (g *generator) leaf(o *op) {
	g.token++
	o.token = g.token
	switch k := g.r.IntN(1000); {
	case k < 550:
		o.kind = opQuery
	case k < 800:
		o.kind = opExec
	case k < 930:
		o.kind = opPrepared
	case k < 970:
		o.kind = opMulti
	case k < 998:
		o.kind = opLoad
	default:
		o.kind = opBig
	}
	if o.kind != opExec {
		o.rows = pick(g, 0, 1, 1, 2, 5, 30)
	}
	switch {
	case g.chance(g.rate, 1000):
		g.breakOp(o)
	case len(g.s.events) > 0 && o.kind != opLoad && o.kind != opBig && g.chance(1, 5):
		// Somebody must be waiting for an answer when it happens.
		o.fault, o.after = fDelay, ms(pick(g, 100, 400, 1000, 2000))
	}
}

// breakOp gives a command a fault that fits.
func (g *generator) breakOp(o *op) {
	var fit []fault
	for f := fNone + 1; f < numFaults; f++ {
		k := &faults[f]
		if k.fits(g.s, o) {
			fit = append(fit, f)
		}
	}
	o.fault = fit[g.r.IntN(len(fit))]
	o.after = ms(pick(g, 0, 0, 1, 20, 300, 1500, 7000))
	o.size = g.r.IntN(200)
	o.ran = g.chance(1, 2)
	if limit := g.s.readLimit; limit > 0 && o.fault < fIdle4031 {
		o.after = min(o.after, limit-ms(500)) // or it would be another fault
	}
	switch o.fault {
	case fCancel:
		o.timeout = ms(pick(g, 5, 100, 1500))
		o.after = o.timeout + ms(pick(g, 1, 50, 5000))
	case fSlowReader:
		o.rows = 300
	case fSilent, fSilentMid:
		if g.s.readLimit == 0 {
			o.timeout = ms(pick(g, 100, 3000))
		}
	case fLateRead:
		o.after = g.s.readLimit + ms(500)
	}
}

// part is something that a scenario can do without.
type part struct {
	name string
	drop func()
}

// parts lists what can be dropped, always in the same order.
func (s *scenario) parts() []part {
	var out []part
	for i := range s.clients {
		for j := range s.clients[i] {
			o := s.clients[i][j]
			out = append(out, part{"op", func() { s.clients[i] = without(s.clients[i], o) }})
			if o.fault != fNone {
				out = append(out, part{"fault", func() { o.fault = fNone }})
			}
			if o.pause > 0 {
				out = append(out, part{"pause", func() { o.pause = 0 }})
			}
			if o.kind != opSession && o.kind != opTx {
				continue
			}
			for _, sub := range o.subs {
				out = append(out, part{"sub", func() { o.subs = without(o.subs, sub) }})
				if sub.fault != fNone {
					out = append(out, part{"fault", func() { sub.fault = fNone }})
				}
				if sub.pause > 0 {
					out = append(out, part{"pause", func() { sub.pause = 0 }})
				}
			}
		}
	}
	for n := 1; n <= maxLogin; n++ {
		if s.logins[n] != nil {
			out = append(out, part{"login", func() { delete(s.logins, n) }})
		}
	}
	for _, e := range s.events {
		out = append(out, part{"event", func() {
			for i := range s.events {
				if s.events[i] == e {
					s.events = append(s.events[:i:i], s.events[i+1:]...)
					break
				}
			}
		}})
	}
	return out
}

func without(ops []*op, o *op) []*op {
	out := ops[:0:0]
	for _, x := range ops {
		if x != o {
			out = append(out, x)
		}
	}
	return out
}

// build makes the scenario of a seed with the parts that keep names; nil keeps all.
func build(seed uint64, keep map[int]bool) *scenario {
	s := generate(seed)
	if keep != nil {
		for i, p := range s.parts() {
			if !keep[i] {
				p.drop()
			}
		}
	}
	return s
}
