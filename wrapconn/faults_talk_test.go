package wrapconn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/conversations"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// talk is a conversation to play while something fails.
type talk struct {
	name     string
	segments []segment // those without bytes are the end of the server's
}

// total is how many bytes there are.
func (t *talk) total() (n int) {
	for _, s := range t.segments {
		n += len(s.bytes)
	}
	return n
}

// talks are the recorded conversations, one of everything made by dice, and one
// with a violation in it.
func talks(t *testing.T) []talk {
	all := []talk{
		{"made by dice", exchanges(rand.New(rand.NewPCG(4, 5)))},
		{"broken", append(loginSegments(), fromClient(0, []byte("\x03SELECT 1")), fromServer(5, []byte("\x011")))},
	}
	for i, c := range conversations.All(t, "../test/wire/testdata/conversations") {
		if (testing.Short() || mysqltest.Race) && i%12 != 0 {
			continue
		}
		out := talk{name: c.Name}
		for _, e := range c.Events {
			dir := session.FromServer
			if e.Client {
				dir = session.FromClient
			}
			out.segments = append(out.segments, segment{dir, e.Bytes})
		}
		all = append(all, out)
	}
	return all
}

// patience is after what a client gives up and hangs up.
const patience = 50 * time.Millisecond

// outcome is what a client sees of one call.
type outcome struct {
	call   string
	n      int
	err    error
	raised any
}

// same tells whether two clients see the same: the inner connection's error, which
// a report may be wrapped around.
func same(a, b outcome) bool {
	for _, o := range []*outcome{&a, &b} {
		var pe *ProtocolError
		if errors.As(o.err, &pe) && pe.Err != nil {
			o.err = pe.Err
		}
	}
	return a == b
}

// play takes a conversation through nc as a client does that gives up at the first
// error, with a watcher that closes what takes longer than patience. With c, there
// is an operation for each command. It must run in a bubble of synctest: a call
// that does not return ends the test there, and time is counted, not measured.
func play(t *testing.T, nc net.Conn, f *faulty, c *Conn, segments []segment) (seen []outcome) {
	t.Helper()
	buf := make([]byte, 1<<16)
	do := func(name string, call func() (int, error)) bool {
		watcher := time.AfterFunc(patience, func() {
			defer func() { _ = recover() }()
			_ = nc.Close()
		})
		began := time.Now()
		o := outcome{call: name}
		func() {
			defer func() { o.raised = recover() }()
			o.n, o.err = call()
		}()
		watcher.Stop()
		if d := time.Since(began); d > patience+2*lastWordsWait {
			t.Errorf("%s took %v, and the client had hung up after %v", name, d, patience)
		}
		seen = append(seen, o)
		return o.err == nil && o.raised == nil
	}
	begun := false
	begin := func(kind OpKind) {
		if c == nil {
			return
		}
		if begun {
			c.End(false)
		}
		begun, _ = c.Begin(t.Context(), kind)
	}
	begin(OpConnect)
	good := true
	for _, s := range segments {
		switch {
		case !good:
		case s.dir == session.FromClient:
			if len(s.bytes) > 3 && s.bytes[3] == 0 {
				begin(OpQuery)
			}
			good = do("Write", func() (int, error) { return nc.Write(s.bytes) })
		case len(s.bytes) == 0:
			good = do("Read", func() (int, error) { return nc.Read(buf) })
		default:
			f.mu.Lock()
			f.queue = append(f.queue, s.bytes)
			f.mu.Unlock()
			for n := 0; good && n < len(s.bytes); n += seen[len(seen)-1].n {
				good = do("Read", func() (int, error) { return nc.Read(buf) })
			}
		}
	}
	do("Close", func() (int, error) { return 0, nc.Close() })
	if begun {
		c.End(false)
	}
	return seen
}

// LivePage is the page of package debug, which this package cannot import.
var LivePage func() error

// answers checks that no lock has stayed behind: the page, the callback of the
// metrics and the connection itself answer.
func answers(t *testing.T, c *Conn) {
	t.Helper()
	if !c.mu.TryLock() {
		t.Fatal("the lock of the connection has stayed behind")
	}
	c.mu.Unlock()
	if c.writing.Load() {
		t.Error("somebody is still writing")
	}
	CountOpen()
	Stats()
	Connections("", 0)
	c.Snapshot()
	c.Idle()
	c.Take()
	if err := LivePage(); err != nil {
		t.Error(err)
	}
}

// arrangements are the ways in which a guard is used.
var arrangements = []Options{
	{Mode: Enforce, Operations: true}, {Mode: Observe}, {Mode: Observe, Operations: true}, {Mode: Enforce},
}

// points are the calls at which something fails: all of n, or some if the
// conversation is long to play.
func points(total, n int) (out []int) {
	step := 1
	switch {
	case total > 1<<20:
		step = max(1, n/2)
	case testing.Short() || mysqltest.Race:
		step = max(1, n/3)
	}
	for k := 0; k <= n; k += step {
		out = append(out, k)
	}
	return out
}

// Faults 2.1 and its kind: whatever the inner connection does, at whichever step of
// whichever conversation, the client sees what it would see without the guard, in
// time, and no lock stays.
func TestFault2_InnerConnection(t *testing.T) {
	panicsMeant(t)
	cases := 0
	for _, talk := range talks(t) {
		t.Run(talk.name, func(t *testing.T) {
			calls := map[string]int{}
			synctest.Test(t, func(t *testing.T) {
				plain := newFaulty(nil, nil)
				defer plain.release()
				play(t, plain, plain, nil, talk.segments)
				calls = plain.calls
			})
			for _, method := range []string{"Read", "Write", "Close", "RemoteAddr", "LocalAddr", "SetReadDeadline"} {
				for i, from := range points(talk.total(), calls[method]) {
					for j, e := range []effect{panics, blocks, fails} {
						if method == "Close" && e == blocks {
							continue // it does without us, too
						}
						o := arrangements[(i+j)%len(arrangements)]
						o.Server = t.Name()
						// The guard reads for itself behind a write that failed.
						seconds := []string{""}
						if method == "Write" && e == fails {
							seconds = []string{"", "Read", "SetReadDeadline", "RemoteAddr"}
						}
						for _, second := range seconds {
							for _, e2 := range []effect{panics, blocks}[:1+min(1, len(second))] {
								cases++
								synctest.Test(t, func(t *testing.T) {
									faults, at := map[string]effect{method: e}, map[string]int{method: from}
									if second != "" {
										faults[second], at[second] = e2, 0
									}
									if second == "Read" { // only the one that the client does not make
										at[second] = calls["Read"]
									}
									compareFaulty(t, talk.segments, faults, at, o)
								})
							}
						}
					}
				}
			}
		})
	}
	t.Logf("%d faults", cases)
}

// compareFaulty plays a conversation over a faulty connection, with the guard and
// without it.
func compareFaulty(t *testing.T, segments []segment, faults map[string]effect, at map[string]int, o Options) {
	t.Helper()
	plain := newFaulty(faults, at)
	defer plain.release()
	want := play(t, plain, plain, nil, segments)
	if second := at["Read"]; second > 0 && faults["Write"] == fails {
		at = map[string]int{"Write": at["Write"], "Read": plain.count("Read")}
	}
	inner := newFaulty(faults, at)
	defer inner.release()
	c := New(inner, o)
	var owned *Conn
	if o.Operations {
		owned = c
	}
	got := play(t, c.NetConn(), inner, owned, segments)
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("%v from %v on, %s, operations %v: guarded:\n%v\nplain:\n%v", faults, at, o.Mode, o.Operations, tail5(got), tail5(want))
	}
	answers(t, c)
}

// tail5 are the last outcomes, in which the difference is.
func tail5(all []outcome) string {
	return fmt.Sprintf("%d calls, at last %v", len(all), all[max(0, len(all)-5):])
}

// The same for the guard's own stages, with its lock held or without: a fault of
// its own is counted, makes the connection opaque at most, and changes nothing.
// A stage that does not return has no case: nothing can end it, so what might not
// return is not called from there (TestFault2_NothingForeignUnderTheLock).
func TestFault2_OwnStages(t *testing.T) {
	panicsMeant(t)
	defer func() { faultAt = nil }()
	reached := map[string]int{}
	cases := 0
	for k, talk := range talks(t) {
		// Two of the four, in turn: the conversations come from three servers and so in each arrangement.
		for _, i := range []int{k % 4, (k + 1) % 4} {
			o := arrangements[i]
			for _, cut := range []bool{false, true} {
				if cut && talk.total() > 1<<20 {
					continue
				}
				o.Server = fmt.Sprint(t.Name(), talk.name, i)
				var seen map[string]int
				var want []outcome
				run := func(at string, from int) (got []outcome, hit bool) {
					faultAt = nil
					synctest.Test(t, func(t *testing.T) {
						faults, writes := map[string]effect{}, map[string]int{"Write": 1}
						if cut {
							faults["Write"] = fails
						}
						inner := newFaulty(faults, writes)
						defer inner.release()
						var mu sync.Mutex
						seen = map[string]int{}
						faultAt = func(stage string) {
							mu.Lock()
							defer mu.Unlock()
							// Every other time what comes after it fails as well: giving up the view.
							if n := seen[stage]; stage == at && n >= from || hit && stage == "blind" && from%2 == 1 {
								hit = true
								panic("a fault of the guard")
							}
							seen[stage]++
						}
						o.OnReport = func(context.Context, *Report) {}
						c := New(inner, o)
						if o.Operations {
							if taken, _ := c.Begin(t.Context(), OpQuery); taken {
								_, _ = c.Begin(t.Context(), OpExec) // an overlap
								c.End(false)
							}
						}
						owned := c
						if !o.Operations {
							owned = nil
						}
						got = play(t, c.NetConn(), inner, owned, talk.segments)
						c.Failed(errInjected)
						c.DeadlineExceeded(errInjected)
						_ = c.Check()
						faultAt = nil
						answers(t, c)
					})
					return got, hit
				}
				want, _ = run("", 0)
				stages := seen
				for stage, n := range stages {
					reached[stage] += n
					for _, from := range points(talk.total(), n-1) {
						cases++
						before := Stats().Panics
						got, hit := run(stage, from)
						if !slices.EqualFunc(got, want, same) {
							t.Errorf("%s, %s, operations %v, cut %v, stage %q from %d on:\n%v\nwithout:\n%v", talk.name, o.Mode, o.Operations, cut, stage, from, tail5(got), tail5(want))
						}
						if hit && Stats().Panics == before {
							t.Errorf("stage %q: not counted", stage)
						}
					}
				}
			}
		}
	}
	for _, stage := range []string{"new", "read", "write", "check", "before the command", "a write failed", "given up", "last words", "told", "report", "deliver", "conflict", "before close", "close", "account"} {
		if reached[stage] == 0 {
			t.Errorf("stage %q was never reached", stage)
		}
	}
	t.Logf("%d faults in %d stages", cases, len(reached))
}
