package wrapconn

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// foreign is what is not the guard's own: it looks, whenever it is called, whether
// the guard holds a lock.
type foreign struct {
	t    *testing.T
	c    *Conn // nil: not yet
	from int   // reads and writes fail from then on

	mu    sync.Mutex
	calls map[string]int
}

func (f *foreign) look(call string) {
	f.mu.Lock()
	f.calls[call]++
	f.mu.Unlock()
	if f.c == nil {
		return
	}
	locks := map[string]func() bool{"the owner's": func() bool { return f.c.owner.state.Load() != ownerLocked }}
	for name, mu := range map[string]*sync.Mutex{
		"the connection's": &f.c.mu, "the registry's": &registry.mu, "the surveyor's": &surveys.mu,
		"the last reports'": &lastReports.mu, "the deliveries'": &deliveries.mu,
	} {
		locks[name] = func() bool {
			ok := mu.TryLock()
			if ok {
				mu.Unlock()
			}
			return ok
		}
	}
	for name, had := range locks {
		if !free(had) {
			f.t.Errorf("%s is called under %s lock", call, name)
		}
	}
}

// free tells whether a lock can be had: one that another goroutine holds can be in
// a moment, one of the caller's own never.
func free(had func() bool) bool {
	for range 20_000_000 { // some seconds: its thread may have to wait for a CPU
		if had() {
			return true
		}
		runtime.Gosched()
	}
	return false
}

// foreignConn is an inner connection.
type foreignConn struct {
	*foreign
	inner *faulty
}

func (f foreignConn) io(call string, do func([]byte) (int, error), p []byte) (int, error) {
	f.look(call)
	f.mu.Lock()
	fails := f.calls["Conn.Read"]+f.calls["Conn.Write"] > f.from
	f.mu.Unlock()
	if fails {
		return 0, foreignError{f.foreign}
	}
	return do(p)
}

func (f foreignConn) Read(p []byte) (int, error)         { return f.io("Conn.Read", f.inner.Read, p) }
func (f foreignConn) Write(p []byte) (int, error)        { return f.io("Conn.Write", f.inner.Write, p) }
func (f foreignConn) Close() error                       { f.look("Conn.Close"); return f.inner.Close() }
func (f foreignConn) LocalAddr() net.Addr                { f.look("Conn.LocalAddr"); return foreignAddr(f) }
func (f foreignConn) RemoteAddr() net.Addr               { f.look("Conn.RemoteAddr"); return foreignAddr(f) }
func (f foreignConn) SetDeadline(time.Time) error        { f.look("Conn.SetDeadline"); return nil }
func (f foreignConn) SetWriteDeadline(time.Time) error   { f.look("Conn.SetWriteDeadline"); return nil }
func (f foreignConn) SetReadDeadline(at time.Time) error { f.look("Conn.SetReadDeadline"); return nil }

func (f foreignConn) SyscallConn() (syscall.RawConn, error) {
	f.look("Conn.SyscallConn")
	return foreignRaw{f.foreign}, nil
}

// foreignRaw is what a type hands out that wraps a socket, or none at all.
type foreignRaw struct{ *foreign }

func (f foreignRaw) Control(func(uintptr)) error    { f.look("RawConn.Control"); return nil }
func (f foreignRaw) Read(func(uintptr) bool) error  { f.look("RawConn.Read"); return nil }
func (f foreignRaw) Write(func(uintptr) bool) error { f.look("RawConn.Write"); return nil }

type foreignAddr struct {
	*foreign
	inner *faulty
}

func (f foreignAddr) Network() string { f.look("Addr.Network"); return "foreign" }
func (f foreignAddr) String() string  { f.look("Addr.String"); return "foreign" }

type foreignError struct{ f *foreign }

func (e foreignError) Error() string   { e.f.look("error.Error"); return "foreign" }
func (e foreignError) Is(error) bool   { e.f.look("error.Is"); return false }
func (e foreignError) As(any) bool     { e.f.look("error.As"); return false }
func (e foreignError) Unwrap() error   { e.f.look("error.Unwrap"); return nil }
func (e foreignError) Timeout() bool   { e.f.look("error.Timeout"); return false }
func (e foreignError) Temporary() bool { e.f.look("error.Temporary"); return false }

type foreignContext struct {
	context.Context
	f *foreign
}

func (c foreignContext) Value(any) any         { c.f.look("Context.Value"); return nil }
func (c foreignContext) Err() error            { c.f.look("Context.Err"); return nil }
func (c foreignContext) Done() <-chan struct{} { c.f.look("Context.Done"); return nil }
func (c foreignContext) Deadline() (time.Time, bool) {
	c.f.look("Context.Deadline")
	return time.Time{}, false
}

// What may block or panic is never called under a lock of the guard: then it can
// hold up nobody but its own caller. The one call that is made there goes to the
// kernel (a look into the socket, which does not wait), and only through the types
// of package net: see socketOf.
func TestFault2_NothingForeignUnderTheLock(t *testing.T) {
	panicsMeant(t)
	made := map[string]int{}
	for _, talk := range talks(t) {
		if talk.total() > 1<<20 {
			continue // the same calls, and long
		}
		n := 2 * len(talk.segments)
		for i, from := range append(points(talk.total(), n), 1<<20) {
			o := arrangements[i%len(arrangements)]
			o.Server = fmt.Sprint(t.Name(), talk.name, from)
			synctest.Test(t, func(t *testing.T) {
				f := &foreign{t: t, calls: map[string]int{}, from: from}
				inner := newFaulty(nil, nil)
				defer inner.release()
				d := NewDelivery(Receiver{Report: func(context.Context, *Report) { f.look("Receiver.Report") }})
				o.OnReport = func(ctx context.Context, r *Report) {
					f.look("Options.OnReport")
					d.Report(ctx, r)
				}
				conn := foreignConn{f, inner}
				c := New(conn, o)
				synctest.Wait() // for the addresses, which another goroutine asks for
				f.c = c
				ctx := foreignContext{t.Context(), f}
				if o.Operations {
					if taken, _ := c.Begin(ctx, OpQuery); taken {
						_, _ = c.Begin(ctx, OpExec) // an overlap
						c.End(false)
					}
				}
				owned := c
				if !o.Operations {
					owned = nil
				}
				play(t, looking{c.NetConn(), true}, inner, owned, talk.segments)
				for _, tell := range []func(error){c.Malformed, c.LoginGivenUp, func(err error) { c.Failed(err) }, c.DeadlineExceeded} {
					tell(foreignError{f})
				}
				_ = c.Check()
				_ = c.Err()
				_ = d.Flush(t.Context())
				for call, n := range f.calls {
					made[call] += n
				}
			})
		}
	}
	t.Logf("%v", made)
	for _, call := range []string{"Conn.Read", "Conn.Write", "Conn.Close", "Conn.LocalAddr", "Conn.RemoteAddr", "Conn.SetReadDeadline",
		"Conn.SyscallConn", "RawConn.Read", "RawConn.Write", "RawConn.Control", "error.Is", "error.Timeout", "Context.Value", "Options.OnReport", "Receiver.Report"} {
		if made[call] == 0 {
			t.Errorf("%s was never called", call)
		}
	}
}

// A type that wraps a socket is not looked into, and so its methods are never
// called under the lock: this is all of the code that asks for one.
func TestSocketsAreOfPackageNet(t *testing.T) {
	for _, inner := range []net.Conn{&net.TCPConn{}, struct{ net.Conn }{}, struct{ *net.TCPConn }{}} {
		if raw := socketOf(inner); raw != nil {
			t.Errorf("%T: %v", inner, raw) // the zero TCPConn has no socket either
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") || file == "inner.go" || file == "sysconn.go" {
			continue // sysconn.go hands the client what it asks for, with no lock held
		}
		if strings.Contains(string(text), "SyscallConn()") {
			t.Errorf("%s asks for a socket", file)
		}
	}
}
