package callers

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// worker records its call, and then waits elsewhere.
//
//go:noinline
func worker(pcs chan<- []uintptr, wait func()) {
	pcs <- begin()
	wait()
}

//go:noinline
func begin() []uintptr {
	var b [24]uintptr
	return b[:Record(b[:])]
}

// in asks for a goroutine in a function.
func in(function string) func([][]uintptr) bool {
	return func(stacks [][]uintptr) bool {
		return slices.ContainsFunc(stacks, func(s []uintptr) bool { return strings.Contains(strings.Join(names(s), " "), function) })
	}
}

// profile returns the stacks of all goroutines once they are as they should be.
func profile(t *testing.T, right func([][]uintptr) bool) [][]uintptr {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); runtime.Gosched() {
		records := make([]runtime.StackRecord, 1000)
		n, ok := runtime.GoroutineProfile(records)
		if !ok {
			t.Fatal("too many goroutines")
		}
		var stacks [][]uintptr
		for i := range n {
			stacks = append(stacks, records[i].Stack())
		}
		if right(stacks) {
			return stacks
		}
	}
	t.Fatal("the goroutines do not come to where they should be")
	return nil
}

//go:noinline
func waitDeep(n int, c chan struct{}) {
	if n == 0 {
		<-c
		return
	}
	waitDeep(n-1, c)
	runtime.KeepAlive(n)
}

func TestMatch(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	for _, tt := range []struct {
		name string
		run  func(pcs chan []uintptr)
		want string // in the one stack that is found
	}{
		{"root function", func(pcs chan []uintptr) {
			worker(pcs, func() { waitDeep(1, over) })
		}, "waitDeep"},
		{"deep below others", func(pcs chan []uintptr) {
			deep(10, func() int { worker(pcs, func() { waitDeep(2, over) }); return 0 })
		}, "waitDeep"},
		{"so deep that its outer end is cut off", func(pcs chan []uintptr) {
			deep(40, func() int { worker(pcs, func() { waitDeep(3, over) }); return 0 })
		}, "waitDeep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pcs := make(chan []uintptr)
			go tt.run(pcs)
			list := <-pcs
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("searched:\n%s", strings.Join(names(list), "\n"))
				}
			})
			// It is on its way to where it waits.
			profile(t, func(stacks [][]uintptr) bool {
				found := Match(stacks, list)
				if len(found) != 1 {
					return false
				}
				got := strings.Join(names(stacks[found[0]]), " ")
				return strings.Contains(got, tt.want) && strings.Contains(got, "worker")
			})
		})
	}
	t.Run("it is gone", func(t *testing.T) {
		pcs := make(chan []uintptr, 1)
		go passOnce(pcs)
		list := <-pcs
		// It is on its way out, and can be found until then.
		left := profile(t, func(stacks [][]uintptr) bool { return in("TestMatch")(stacks) && !in("passOnce")(stacks) })
		if found := Match(left, list); len(found) != 0 {
			t.Errorf("%d stacks are found of a goroutine that is gone", len(found))
		}
	})
	t.Run("nonsense", func(t *testing.T) {
		for _, pcs := range [][]uintptr{nil, {0}, {1, 2, 3}, {^uintptr(0)}} {
			if found := Match([][]uintptr{nil, {0}, {1}, {3}, {9, 3}}, pcs); len(found) != 0 {
				t.Errorf("%v: %v", pcs, found)
			}
		}
	})
}

//go:noinline
func passOnce(pcs chan<- []uintptr) { pcs <- begin() }
