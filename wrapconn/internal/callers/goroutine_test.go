package callers

import (
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A number is its goroutine's for life, also after its stack has moved, and
// nobody else's meanwhile.
func TestGoroutine(t *testing.T) {
	if Goroutine() == 0 {
		if runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64" {
			t.Log("built with purego: no numbers")
		}
		return
	}
	const n = 50
	var mu sync.Mutex
	var wg, all sync.WaitGroup
	seen := map[uintptr]bool{Goroutine(): true}
	all.Add(n)
	for range n {
		wg.Go(func() {
			before := Goroutine()
			deep(5000, func() int { return len(strings.Repeat("x", 1)) }) // grows the stack
			runtime.Gosched()
			if after := Goroutine(); after != before {
				t.Errorf("%#x, then %#x", before, after)
			}
			mu.Lock()
			if seen[before] {
				t.Errorf("two goroutines have %#x", before)
			}
			seen[before] = true
			mu.Unlock()
			all.Done()
			all.Wait() // alive until all have theirs
		})
	}
	wg.Wait()
	if len(seen) != n+1 {
		t.Errorf("%d numbers of %d goroutines", len(seen), n+1)
	}
}

func BenchmarkGoroutine(b *testing.B) {
	for b.Loop() {
		Goroutine()
	}
}
