//go:build unix

package wrapconn

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
)

// quietSocket is a socket that is open and on which nothing ever comes.
func quietSocket(t *testing.T) uintptr {
	t.Helper()
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fd := range ends {
			_ = syscall.Close(fd)
		}
	})
	return uintptr(ends[0])
}

// faultySocket is a faulty connection that has a socket to show.
type faultySocket struct {
	*faulty
	fd uintptr
}

func (f *faultySocket) SyscallConn() (syscall.RawConn, error) {
	if err := f.fault("SyscallConn", f.closed); err != nil {
		return nil, err
	}
	return faultyRaw{f}, nil
}

type faultyRaw struct{ socket *faultySocket }

func (r faultyRaw) Control(f func(uintptr)) error {
	err := r.socket.fault("RawConn.Control", r.socket.closed)
	if err == nil {
		f(r.socket.fd)
	}
	return err
}

func (r faultyRaw) Read(f func(uintptr) bool) error {
	return r.until("RawConn.Read", f)
}

func (r faultyRaw) Write(f func(uintptr) bool) error {
	return r.until("RawConn.Write", f)
}

func (r faultyRaw) until(method string, f func(uintptr) bool) error {
	err := r.socket.fault(method, r.socket.closed)
	if err == nil {
		f(r.socket.fd)
	}
	return err
}

// shortTalks are those whose end does not take megabytes to get to.
func shortTalks(t *testing.T) []talk {
	return slices.DeleteFunc(talks(t), func(t talk) bool { return t.total() > 1<<20 })
}

// The kind of fault 2.1 in the socket that a connection of another type hands out: go-sql-driver asks for it before each command and
// reads through it. Whatever it does, the client sees what it would see without the guard.
func TestFault2_SocketOfAnotherType(t *testing.T) {
	panicsMeant(t)
	fd := quietSocket(t)
	cases := 0
	for k, talk := range shortTalks(t) {
		t.Run(talk.name, func(t *testing.T) {
			run := func(faults map[string]effect, from map[string]int, guard *Options) (seen []outcome, calls map[string]int) {
				synctest.Test(t, func(t *testing.T) {
					inner := &faultySocket{newFaulty(faults, from), fd}
					defer inner.release()
					if guard == nil {
						seen = play(t, looking{inner, true}, inner.faulty, nil, talk.segments)
					} else {
						c := New(inner, *guard)
						owned := c
						if !guard.Operations {
							owned = nil
						}
						seen = play(t, looking{c.NetConn(), true}, inner.faulty, owned, talk.segments)
						answers(t, c)
					}
					calls = inner.calls
				})
				return seen, calls
			}
			_, calls := run(nil, nil, nil)
			for j, method := range []string{"SyscallConn", "RawConn.Read", "RawConn.Write", "RawConn.Control"} {
				if calls[method] == 0 {
					t.Errorf("%s was never called", method)
				}
				// One of the effects at each call, in turn; the conversations differ in where that begins.
				for i, n := range points(talk.total(), calls[method]) {
					cases++
					e := [...]effect{panics, blocks, fails}[(i+j+k)%3]
					faults, from := map[string]effect{method: e}, map[string]int{method: n}
					o := arrangements[(i+k)%len(arrangements)]
					o.Server = fmt.Sprint(t.Name(), method, n, e)
					want, _ := run(faults, from, nil)
					got, _ := run(faults, from, &o)
					if !slices.EqualFunc(got, want, same) {
						t.Errorf("%s %s from %d on, %s, operations %v: guarded:\n%v\nplain:\n%v", method, e, n, o.Mode, o.Operations, tail5(got), tail5(want))
					}
				}
			}
		})
	}
	t.Logf("%d faults", cases)
}

// The same of a socket of package net, into which the guard looks for itself, with its lock held. A Control that does not return has no case:
// that of package net runs a function of the guard's, which asks the kernel for what is there and never waits, and no other type's is called
// (TestSocketsAreOfPackageNet).
func TestFault2_SocketOfPackageNet(t *testing.T) {
	panicsMeant(t)
	fd := quietSocket(t)
	cases, looks := 0, 0
	for _, talk := range shortTalks(t) {
		t.Run(talk.name, func(t *testing.T) {
			for i, o := range arrangements {
				o.Server = fmt.Sprint(t.Name(), i)
				run := func(e effect, from int) (seen []outcome, calls int) {
					synctest.Test(t, func(t *testing.T) {
						inner := &faultySocket{newFaulty(map[string]effect{"RawConn.Control": e}, map[string]int{"RawConn.Control": from}), fd}
						defer inner.release()
						c := guardSocket(inner, faultyRaw{inner}, o)
						owned := c
						if !o.Operations {
							owned = nil
						}
						// The client looks by Read, so that each Control is the guard's own.
						seen = play(t, looking{c.NetConn(), false}, inner.faulty, owned, talk.segments)
						_ = c.Check()
						answers(t, c)
						calls = inner.count("RawConn.Control")
					})
					return seen, calls
				}
				want, n := run("", 0)
				looks += n
				for _, from := range points(talk.total(), n-1) {
					for _, e := range []effect{panics, fails} {
						cases++
						before := Stats().Panics
						got, hits := run(e, from)
						if !slices.EqualFunc(got, want, same) {
							t.Errorf("%s, operations %v, Control %s from %d on:\n%v\nwithout:\n%v", o.Mode, o.Operations, e, from, tail5(got), tail5(want))
						}
						if e == panics && hits > from && Stats().Panics == before {
							t.Errorf("Control panics from %d on: not counted", from)
						}
					}
				}
			}
		})
	}
	if looks == 0 {
		t.Error("the guard has never looked")
	}
	t.Logf("%d faults in %d looks", cases, looks)
}
