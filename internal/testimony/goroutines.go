package testimony

import (
	"runtime"
	"sync"
	"time"
)

// MaxGoroutines is for how many goroutines at most a Census is taken: of more, it
// would take too long.
const MaxGoroutines = 10000

// A Census is taken at most every censusEvery, and for at most a thousandth of
// the time: it takes some microseconds a goroutine, and delays the others by
// a millisecond or more (measured with 10,000 of them).
const (
	censusEvery = 10 * time.Second
	censusShare = 1000
)

// Census says where the goroutines of this process are. Its zero value is ready.
type Census struct {
	mu    sync.Mutex
	after time.Time // when the next one may be taken
}

// Take returns the stacks of all goroutines, as return addresses, innermost first,
// 32 at most of each; nil if it was asked too soon, or if there are too many.
func (c *Census) Take() [][]uintptr {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := time.Now()
	if began.Before(c.after) {
		return nil
	}
	defer func() { c.after = began.Add(max(censusEvery, censusShare*time.Since(began))) }()
	n := runtime.NumGoroutine()
	if n > MaxGoroutines {
		return nil
	}
	records := make([]runtime.StackRecord, n+n/8+16) // some may begin meanwhile
	n, ok := runtime.GoroutineProfile(records)
	if !ok {
		return nil
	}
	stacks := make([][]uintptr, n)
	for i := range n {
		stacks[i] = records[i].Stack()
	}
	return stacks
}
