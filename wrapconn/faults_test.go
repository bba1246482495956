package wrapconn

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
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

// newFaulty makes one. release must be called at the end.
func newFaulty(faults map[string]effect, from map[string]int) *faulty {
	return &faulty{faults: faults, from: from, calls: map[string]int{}, closed: make(chan struct{}), forGood: make(chan struct{})}
}

// release ends what would block for good.
func (f *faulty) release() { close(f.forGood) }

// count is how often a method was called.
func (f *faulty) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
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

// looking is a client that looks into the socket before each command, as go-sql-driver does.
type looking struct {
	net.Conn
	control bool // and asks for the socket's options
}

func (l looking) Write(p []byte) (int, error) {
	sc, ok := l.Conn.(syscall.Conn)
	if !ok || len(p) < 4 || p[3] != 0 {
		return l.Conn.Write(p)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	if err := raw.Read(func(uintptr) bool { return true }); err != nil {
		return 0, err
	}
	if l.control {
		if err := raw.Write(func(uintptr) bool { return true }); err != nil {
			return 0, err
		}
		if err := raw.Control(func(uintptr) {}); err != nil {
			return 0, err
		}
	}
	return l.Conn.Write(p)
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
