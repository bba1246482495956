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
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// PanicsMeant says that n of the panics that the guard has recovered are on purpose; see kit.PanicsMeant, which this package cannot
// import.
var PanicsMeant func(n uint64)

// panicsMeant says so of all that come in the course of the test.
func panicsMeant(t *testing.T) {
	before := Stats().Panics
	t.Cleanup(func() { PanicsMeant(Stats().Panics - before) })
}

// effect is what an inner connection does instead of what it should.
type effect string

const (
	panics effect = "panics"
	blocks effect = "blocks" // until it is closed; what has nothing to do with the bytes, for good
	fails  effect = "fails"
)

var errInjected = errors.New("an injected error")

// faulty is an inner connection of a custom type. At the nth call of a method it
// does what it must not.
type faulty struct {
	queueConn
	faults map[string]effect
	from   map[string]int // the first call that has the effect; 0: every one

	mu      sync.Mutex
	calls   map[string]int
	closed  chan struct{}
	forGood chan struct{}
}

func newFaulty(t *testing.T, faults map[string]effect, from map[string]int) *faulty {
	f := &faulty{faults: faults, from: from, calls: map[string]int{}, closed: make(chan struct{}), forGood: make(chan struct{})}
	t.Cleanup(func() { close(f.forGood) })
	return f
}

// fault is called by each method. wait is what ends a block.
func (f *faulty) fault(method string, wait <-chan struct{}) error {
	f.mu.Lock()
	f.calls[method]++
	e, now := f.faults[method], f.calls[method] > f.from[method]
	f.mu.Unlock()
	switch {
	case !now:
	case e == panics:
		panic(errInjected)
	case e == blocks:
		<-wait
		return net.ErrClosed
	case e == fails:
		return errInjected
	}
	return nil
}

func (f *faulty) Read(p []byte) (int, error) {
	if err := f.fault("Read", f.closed); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queueConn.Read(p)
}

func (f *faulty) Write(p []byte) (int, error) {
	if err := f.fault("Write", f.closed); err != nil {
		return len(p) / 2, err
	}
	return len(p), nil
}

func (f *faulty) Close() error {
	f.mu.Lock()
	select {
	case <-f.closed:
	default:
		close(f.closed)
	}
	f.mu.Unlock()
	return f.fault("Close", nil)
}

type where struct{ net.TCPAddr }

func (f *faulty) RemoteAddr() net.Addr {
	_ = f.fault("RemoteAddr", f.forGood)
	return &where{}
}

func (f *faulty) LocalAddr() net.Addr {
	_ = f.fault("LocalAddr", f.forGood)
	return &where{}
}

func (f *faulty) SetReadDeadline(time.Time) error { return f.fault("SetReadDeadline", f.forGood) }
func (f *faulty) SetDeadline(time.Time) error     { return f.fault("SetDeadline", f.forGood) }

// outcome is what a client sees of one call.
type outcome struct {
	call   string
	n      int
	err    error
	raised any
}

// use takes a conversation through nc as a client does that gives up at the first
// error, with a watcher that closes what takes longer than patience.
func use(t *testing.T, nc net.Conn, f *faulty, talk []segment) (seen []outcome) {
	t.Helper()
	const patience, most = 50 * time.Millisecond, 3 * time.Second
	buf := make([]byte, 1<<16)
	do := func(name string, call func() (int, error)) bool {
		watcher := time.AfterFunc(patience, func() {
			defer func() { _ = recover() }()
			_ = nc.Close()
		})
		defer watcher.Stop()
		done := make(chan outcome, 1)
		go func() {
			o := outcome{call: name}
			defer func() {
				o.raised = recover()
				done <- o
			}()
			o.n, o.err = call()
		}()
		select {
		case o := <-done:
			seen = append(seen, o)
			return o.err == nil && o.raised == nil
		case <-time.After(most):
			t.Fatalf("%s does not return", name)
			return false
		}
	}
	for _, s := range talk {
		if s.dir == session.FromClient {
			if !do("Write", func() (int, error) { return nc.Write(s.bytes) }) {
				break
			}
			continue
		}
		f.mu.Lock()
		f.queue = append(f.queue, s.bytes)
		f.mu.Unlock()
		for n := 0; n < len(s.bytes); {
			if !do("Read", func() (int, error) { return nc.Read(buf) }) {
				n = len(s.bytes)
			} else {
				n += seen[len(seen)-1].n
			}
		}
		if o := seen[len(seen)-1]; o.err != nil || o.raised != nil {
			break
		}
	}
	do("Close", func() (int, error) { return 0, nc.Close() })
	return seen
}

// answers checks that no lock has stayed behind.
func answers(t *testing.T, c *Conn) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		CountOpen()
		Connections("", 0)
		c.Snapshot()
		c.Idle()
		c.Take()
	}()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		t.Fatal("CountOpen, Connections or Snapshot does not answer")
	}
	if c.writing.Load() {
		t.Error("somebody is still writing")
	}
}

// Faults 2.1 and its kind: whatever the inner connection does, wherever, the
// client sees what it would see without the guard, in time, and no lock stays.
func TestFault2_InnerConnection(t *testing.T) {
	panicsMeant(t)
	talk := exchanges(rand.New(rand.NewPCG(4, 5)))
	methods := []string{"Read", "Write", "Close", "RemoteAddr", "LocalAddr", "SetReadDeadline"}
	for _, mode := range []Mode{Enforce, Observe} {
		for _, method := range methods {
			for _, e := range []effect{panics, blocks, fails} {
				if method == "Close" && e == blocks {
					continue // it does without us, too
				}
				for from := range 8 {
					for _, second := range []string{"", "Read", "SetReadDeadline", "RemoteAddr"} {
						if second != "" && (method != "Write" || e != fails) {
							continue // the guard reads for itself behind a write that failed
						}
						for _, e2 := range []effect{panics, blocks} {
							if second == "" && e2 == blocks {
								continue
							}
							t.Run(fmt.Sprint(mode, "/", method, " ", e, " from ", from, "/", second, e2), func(t *testing.T) {
								t.Parallel()
								faults, at := map[string]effect{method: e}, map[string]int{method: from}
								if second != "" {
									faults[second] = e2
									if second == "Read" {
										at[second] = 1000 // set below
									}
								}
								plain := newFaulty(t, faults, at)
								want := use(t, plain, plain, talk)
								if second == "Read" { // only the one that the client does not make
									at = map[string]int{method: from, second: plain.calls["Read"]}
								}
								inner := newFaulty(t, faults, at)
								c := New(inner, Options{Mode: mode, Server: t.Name()})
								got := use(t, c.NetConn(), inner, talk)
								if !slices.Equal(got, want) {
									t.Errorf("guarded:\n%v\nplain:\n%v", got, want)
								}
								answers(t, c)
							})
						}
					}
				}
			}
		}
	}
}

// The same for the guard's own stages: a fault of its own makes the connection
// opaque, and is counted.
func TestFault2_OwnStages(t *testing.T) {
	panicsMeant(t)
	defer func() { faultAt = nil }()
	var mu sync.Mutex
	seen := map[string]bool{}
	broken := append(loginSegments(), fromClient(0, []byte("\x03SELECT 1")), fromServer(5, []byte("\x011")))
	talks := map[string][]segment{"lawful": exchanges(rand.New(rand.NewPCG(4, 5))), "broken": broken}
	run := func(talk []segment, stages func(string), cut bool) (got []outcome, c *Conn) {
		faultAt = nil
		at := map[string]int{"Write": 1}
		faults := map[string]effect{}
		if cut {
			faults["Write"] = fails
		}
		inner := newFaulty(t, faults, at)
		faultAt = stages
		c = New(inner, Options{Mode: Observe, Operations: true, OnReport: func(context.Context, *Report) {}})
		_, _ = c.Begin(t.Context(), OpQuery)
		_, _ = c.Begin(t.Context(), OpExec) // an overlap
		got = use(t, c.NetConn(), inner, talk)
		c.Failed(errInjected)
		_ = c.Check()
		return got, c
	}
	for name, talk := range talks {
		for _, cut := range []bool{false, true} {
			want, _ := run(talk, func(stage string) {
				mu.Lock()
				seen[stage] = true
				mu.Unlock()
			}, cut)
			for stage := range seen {
				for from := range 6 {
					n := 0
					before := Stats().Panics
					got, c := run(talk, func(s string) {
						mu.Lock()
						defer mu.Unlock()
						if s == stage {
							if n++; n > from {
								panic("a fault of the guard")
							}
						}
					}, cut)
					faultAt = nil
					if !slices.Equal(got, want) {
						t.Errorf("%s, cut %v, stage %q from %d on:\n%v\nwithout:\n%v", name, cut, stage, from, got, want)
					}
					if n > from && Stats().Panics == before {
						t.Errorf("stage %q: not counted", stage)
					}
					answers(t, c)
				}
			}
		}
	}
	for _, stage := range []string{"new", "read", "write", "check", "before the command", "a write failed", "given up", "last words", "told", "report", "deliver", "conflict", "before close", "close"} {
		if !seen[stage] {
			t.Errorf("stage %q was never reached", stage)
		}
	}
}

// An error of a custom connection may have methods that panic.
type nastyError struct{}

func (nastyError) Error() string   { return "nasty" }
func (nastyError) Is(error) bool   { panic("nasty") }
func (nastyError) Timeout() bool   { panic("nasty") }
func (nastyError) Temporary() bool { return false }

func TestErrorThatPanics(t *testing.T) {
	panicsMeant(t)
	c, m := loggedIn(t, Options{})
	m.end = nastyError{}
	if _, err := c.Read(make([]byte, 1)); err != m.end {
		t.Errorf("%v", err)
	}
	answers(t, c)
}
