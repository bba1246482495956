package callers

import (
	"cmp"
	"fmt"
	"iter"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// A shape calls next in some way, once, and returns what next returned.
type shape func(next func() string) string

// shapes are the ways in which Go code calls: each is one byte of the fuzz.
var shapes = []struct {
	name string
	call shape
}{
	{"plain", plain},
	{"inlined", func(next func() string) string { return inlined(next) }},
	{"inlined twice", func(next func() string) string { return inlinedTwice(next) }},
	{"big frame", bigFrame},
	{"recursion", func(next func() string) string { return recursion(9, next) }},
	{"closure", func(next func() string) string { r := ""; func() { r = next() }(); return r }},
	{"method", func(next func() string) string { return value{}.Call(next) }},
	{"method value", func(next func() string) string { f := value{}.Call; return f(next) }},
	{"method expression", func(next func() string) string { return (*pointer).Call(&pointer{}, next) }},
	{"interface", func(next func() string) string { return callers[len(callers)-1].Call(next) }},
	{"promoted method in an interface", func(next func() string) string { return callers[0].Call(next) }},
	{"value method in an interface", func(next func() string) string { return callers[1].Call(next) }},
	{"generic", func(next func() string) string { return generic(7, next) + generic("x", nil) }},
	{"generic type", func(next func() string) string { return box[string]{"x"}.Call(next) }},
	{"deferred", deferred},
	{"deferred in a loop", deferredInALoop},
	{"deferred closure", func(next func() string) (r string) { defer func() { r = next() }(); return "" }},
	{"in a deferred function of a panic", duringPanic},
	{"after a recovered panic", afterRecover},
	{"after a recovered runtime error", afterRuntimeError},
	{"after a recovered panic in a big frame", afterRecoverBig},
	{"after a panic recovered far above", afterDeepRecover},
	{"after a re-panic", afterRepanic},
	{"deferred, after another deferred function recovered", deferredAfterRecover},
	{"in the caller of a function that recovered in the middle", afterRecoverWithDefers},
	{"during Goexit", duringGoexit},
	{"goroutine", goroutine},
	{"sort", func(next func() string) string {
		r, once := "", sync.Once{}
		slices.SortFunc([]int{2, 1}, func(a, b int) int { once.Do(func() { r = next() }); return cmp.Compare(a, b) })
		return r
	}},
	{"reflect.Value.Call", func(next func() string) string { return reflect.ValueOf(next).Call(nil)[0].String() }},
	{"reflect method value", func(next func() string) string {
		f := reflect.ValueOf(value{}).MethodByName("Call").Interface().(func(func() string) string)
		return f(next)
	}},
	{"reflect.MakeFunc", func(next func() string) string {
		f := reflect.MakeFunc(reflect.TypeFor[func() string](), func([]reflect.Value) []reflect.Value {
			return []reflect.Value{reflect.ValueOf(next())}
		})
		return f.Interface().(func() string)()
	}},
	{"range over a function", func(next func() string) string {
		for range func(yield func() bool) { yield() } {
			return next()
		}
		return "unreachable"
	}},
	{"iter.Pull", func(next func() string) string {
		pull, stop := iter.Pull(func(yield func(string) bool) { yield(next()) })
		defer stop()
		r, _ := pull()
		return r
	}},
	{"timer", func(next func() string) string {
		c := make(chan string)
		time.AfterFunc(0, func() { c <- next() })
		return <-c
	}},
	{"after the stack has grown", func(next func() string) string { grow(200); return next() }},
	{"after a collection has shrunk the stack", func(next func() string) string { runtime.GC(); return next() }},
}

type caller interface {
	Call(next func() string) string
}

type value struct{ _ [3]int }

//go:noinline
func (value) Call(next func() string) string { return next() }

type pointer struct{ _ int }

//go:noinline
func (*pointer) Call(next func() string) string { return next() }

type promoted struct{ *pointer }

var callers = []caller{promoted{&pointer{}}, value{}, &pointer{}}

type box[T any] struct{ v T }

func (b box[T]) Call(next func() string) string { return generic(b.v, next) }

//go:noinline
func generic[T any](_ T, next func() string) string {
	if next == nil {
		return ""
	}
	return next()
}

//go:noinline
func plain(next func() string) string { return next() }

func inlined(next func() string) string { return next() }

func inlinedTwice(next func() string) string { return inlined(next) + "" }

//go:noinline
func bigFrame(next func() string) string {
	var a [4096]byte
	for i := range a {
		a[i] = byte(i)
	}
	r := next()
	if a[7] != 7 {
		return "the stack was written to"
	}
	return r
}

//go:noinline
func recursion(n int, next func() string) string {
	if n == 0 {
		return next()
	}
	return recursion(n-1, next)
}

//go:noinline
func grow(n int) int {
	var a [256]byte
	if n == 0 {
		return 0
	}
	return grow(n-1) + int(a[n%256])
}

//go:noinline
func deferred(next func() string) (r string) {
	defer func() { r = next() }()
	return "not reached"
}

//go:noinline
func deferredInALoop(next func() string) (r string) {
	for i := range 3 {
		defer func() {
			if i == 1 {
				r = next()
			}
		}()
	}
	return ""
}

//go:noinline
func duringPanic(next func() string) (r string) {
	defer func() { _ = recover() }()
	defer func() { r = next() }()
	panic("for the test")
}

//go:noinline
func recovered() {
	defer func() { _ = recover() }()
	panic("for the test")
}

//go:noinline
func afterRecover(next func() string) string {
	recovered()
	return next()
}

//go:noinline
func recoveredRuntimeError(p *int) (n int) {
	defer func() { _ = recover() }()
	return *p
}

//go:noinline
func afterRuntimeError(next func() string) string {
	recoveredRuntimeError(nil)
	return next()
}

//go:noinline
func recoveredBig() (n int) {
	var a [3000]byte
	defer func() { _ = recover(); n = int(a[5]) }()
	recursion(5, func() string { panic("for the test") })
	return 1
}

//go:noinline
func afterRecoverBig(next func() string) string {
	recoveredBig()
	return next()
}

//go:noinline
func recoveredDeep() (err error) {
	defer func() { err = fmt.Errorf("recovered: %v", recover()) }()
	recursion(20, func() string { return bigFrame(func() string { panic("for the test") }) })
	return nil
}

//go:noinline
func afterDeepRecover(next func() string) string {
	if recoveredDeep() == nil {
		return "nothing was recovered"
	}
	return next()
}

//go:noinline
func repanicked() {
	defer func() { _ = recover() }()
	defer func() { panic(recover()) }()
	panic("for the test")
}

//go:noinline
func afterRepanic(next func() string) string {
	repanicked()
	return next()
}

//go:noinline
func deferredAfterRecover(next func() string) (r string) {
	defer func() { r = next() }()
	defer func() { _ = recover() }()
	recursion(3, func() string { panic("for the test") })
	return "not reached"
}

// afterRecoverWithDefers runs next in a function that was called by a deferred
// function, behind the recovery, in a loop whose defers live on the heap.
//
//go:noinline
func afterRecoverWithDefers(next func() string) (r string) {
	for i := range 4 {
		defer func() {
			if i == 2 {
				_ = recover()
			}
			if i == 1 {
				r = bigFrame(next)
			}
		}()
	}
	panic("for the test")
}

func duringGoexit(next func() string) string {
	c := make(chan string)
	go func() {
		defer func() { c <- next() }()
		runtime.Goexit()
	}()
	return <-c
}

func goroutine(next func() string) string {
	c := make(chan string)
	go func() { c <- next() }()
	return <-c
}

func TestRecordIsRuntimeCallers(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			if diff := s.call(same); diff != "" {
				t.Error(diff)
			}
			if diff := plain(func() string { return s.call(func() string { return bigFrame(same) }) }); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// program runs the shapes that the bytes name, each inside the one before.
func program(prog []byte) string {
	if len(prog) == 0 {
		return same()
	}
	return shapes[int(prog[0])%len(shapes)].call(func() string { return program(prog[1:]) })
}

// FuzzRecord puts shapes inside each other at random.
func FuzzRecord(f *testing.F) {
	for i := range shapes {
		f.Add([]byte{byte(i), byte(i + 1), byte(i + 7), byte(i)})
	}
	f.Fuzz(func(t *testing.T, prog []byte) {
		if diff := program(prog[:min(len(prog), 40)]); diff != "" {
			t.Error(diff)
		}
	})
}

// Many goroutines at once, with collections that move their stacks.
func TestRecordWhileStacksMove(t *testing.T) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := 0; ; j++ {
				select {
				case <-stop:
					return
				default:
				}
				prog := []byte{byte(j), byte(i * 5), byte(j / 7), byte(j * 11)}
				if diff := program(prog); diff != "" {
					t.Errorf("%v: %s", prog, diff)
					return
				}
			}
		}()
	}
	for range 30 {
		runtime.GC()
	}
	close(stop)
	wg.Wait()
}
