package testimony

import (
	"testing"
	"time"
)

func TestCensus(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	for range 50 {
		go func() { <-over }()
	}
	var c Census
	stacks := c.Take()
	if len(stacks) < 50 {
		t.Fatalf("%d goroutines", len(stacks))
	}
	for _, s := range stacks {
		if len(s) == 0 {
			t.Error("a goroutine that is nowhere")
		}
	}
	if again := c.Take(); again != nil {
		t.Error("a second one at once")
	}
	if wait := time.Until(c.after); wait < censusEvery/2 {
		t.Errorf("the next one may be taken in %v", wait)
	}
	c.after = time.Time{}
	if again := c.Take(); again == nil {
		t.Error("none, although it is time")
	}
}

func BenchmarkCensus(b *testing.B) {
	over := make(chan struct{})
	defer close(over)
	for range 1000 {
		go func() { <-over }()
	}
	for b.Loop() {
		var c Census
		c.Take()
	}
}
