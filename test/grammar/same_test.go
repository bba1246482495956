package grammar_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

func init() {
	mysql.RegisterReaderHandler("grammar", func() io.Reader { return strings.NewReader("data") })
}

// comparison is one operation, seen from both sides.
type comparison struct {
	dialect
	op
	connecting     bool
	mutatedLogin   bool // what was agreed on need not be the dialect's
	segments       [][]packet
	alone, guarded verdict
	starved        bool // the driver read on when there was nothing more to come
	report         *wrapconn.Report
	idle           bool // the guard holds the answer to be complete
	lost           bool // the guard gave up following
	tally          map[string]int

	seen []sighting // packets of the server in this exchange
}

// complains reports whether the guard finds fault.
func (c *comparison) complains() bool { return c.report != nil || !c.idle || c.lost }

func (c *comparison) String() string {
	s := fmt.Sprintf("%s, %sdriver: %s\ndriver behind the guard: %s\n", c.dialect.name, exchange{c.op, c.segments}, c.alone, c.guarded)
	switch {
	case c.report != nil:
		e := c.report.Evidence
		s += fmt.Sprintf("guard: %s, %s, phase %s, %s, due %d, got %d\n", c.report.Cause.Slug, e.Violation, e.Phase, e.Kind, e.Expected, e.Actual)
		for _, h := range c.report.History {
			s += fmt.Sprintf("\t%s #%d %s %s %s\n", h.Direction, h.First, h.Label(), h.Command, h.Violation)
		}
	default:
		s += fmt.Sprintf("guard: no report, idle %v, lost %v\n", c.idle, c.lost)
	}
	return s
}

// judge compares; it returns false when there is nothing more to compare.
func (c *comparison) judge(t testing.TB) (goOn bool) {
	t.Helper()
	if a, b := c.alone.String(), c.guarded.String(); a != b && !c.refusedGreeting() {
		t.Fatalf("the guard changes what the driver does:\n%s", c)
	}
	if c.alone.bad() == c.complains() {
		return !c.alone.bad()
	}
	for i := range differences {
		if d := &differences[i]; d.holds(c) {
			if c.tally != nil {
				c.tally[d.name]++
			}
			return false
		}
	}
	t.Fatalf("the driver finds fault: %v, the guard: %v, and no difference in the table explains it\n%s", c.alone.bad(), c.complains(), c)
	return false
}

// refusedGreeting: the one case in which the guard keeps bytes back.
func (c *comparison) refusedGreeting() bool {
	return c.report != nil && c.report.Evidence.Violation == session.NotMySQL
}

// compare plays the same operations to the driver alone and to the driver behind
// a guard, until one of them has had enough.
func compare(t testing.TB, on dialect, login [][]packet, all []exchange, tally map[string]int) {
	t.Helper()
	mutated := !slices.EqualFunc(login, on.login(), func(a, b []packet) bool { return bytes.Equal(stream(a), stream(b)) })
	var sides [2]*client
	var v [2]verdict
	lost := wrapconn.Stats().Untracked
	for i := range sides {
		sides[i], v[i] = connect(t, &peer{segments: login, witness: newWitness()}, i == 1, on.compressed)
		defer func() {
			if sides[i].conn != nil {
				_ = sides[i].peer.Close()
				_ = sides[i].conn.Close()
			}
		}()
	}
	look := func(c *comparison) {
		alone, guarded := sides[0], sides[1]
		c.dialect, c.alone, c.guarded, c.tally = on, v[0], v[1], tally
		c.starved, c.report, c.idle = alone.peer.starved, guarded.found(), guarded.guard.Idle()
		c.seen = alone.peer.witness.seen
		c.lost = wrapconn.Stats().Untracked != lost
	}
	c := &comparison{connecting: true, segments: login}
	look(c)
	if sides[0].conn == nil {
		c.idle = true // a login that failed is not complete, of course
	}
	if !c.judge(t) || sides[0].conn == nil {
		return
	}
	for _, x := range all {
		if x.op > opPrepare && sides[0].stmt == nil {
			continue // the statement could not be prepared
		}
		for _, s := range x.segments {
			if !harmless(s) {
				return
			}
		}
		for i := range sides {
			sides[i].peer.segments, sides[i].peer.starved = x.segments, false
			sides[i].peer.witness.seen = nil
			v[i] = sides[i].do(x.op)
		}
		c := &comparison{op: x.op, segments: x.segments, mutatedLogin: mutated}
		look(c)
		if len(sides[0].peer.rest) > 0 && !c.alone.bad() {
			return // on a socket, the look before the next command finds it
		}
		if !c.judge(t) {
			return
		}
	}
}

// random plays what dice make.
func random(t testing.TB, b []byte, tally map[string]int) {
	d := dice(b)
	on := dialects[d.roll(len(dialects))]
	compare(t, on, on.login(), d.exchanges(on), tally)
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return b
}

// TestSameVerdict compares on answers and logins that are lawful but for a few
// mutations. In the long run each difference is met: one that does not occur any
// more goes out of the table.
func TestSameVerdict(t *testing.T) {
	rounds := 60_000
	short := testing.Short() || mysqltest.Race
	if short {
		rounds = 12_000
	}
	r := rand.New(rand.NewPCG(12, 4))
	tally := map[string]int{}
	for i := range rounds {
		if b := randomBytes(r, 80); i%4 == 3 {
			randomLogin(t, b, tally)
		} else {
			random(t, b, tally)
		}
	}
	for _, d := range differences {
		t.Logf("%6d × %s", tally[d.name], d.name)
		if tally[d.name] == 0 && !short {
			t.Errorf("not met: %s", d.name)
		}
	}
}

func FuzzSameVerdict(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		f.Add(randomBytes(r, 60))
	}
	f.Fuzz(func(t *testing.T, b []byte) { random(t, b, nil) })
}

// randomLogin plays a login that dice make, and a query behind it.
func randomLogin(t testing.TB, b []byte, tally map[string]int) {
	d := dice(b)
	on := dialects[d.roll(len(dialects))]
	compare(t, on, d.login(on), []exchange{{opQuery, d.answer(on, opQuery)}}, tally)
}

func FuzzSameVerdictOnLogins(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f.Add(randomBytes(r, 40))
	}
	f.Fuzz(func(t *testing.T, b []byte) { randomLogin(t, b, nil) })
}
