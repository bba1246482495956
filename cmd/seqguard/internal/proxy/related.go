package proxy

import (
	"sync"
	"time"
)

// related counts failures of connections to one server that lie close together: many
// at once are a restart, one alone is a KILL.
var related = failures{recent: map[string][]time.Time{}}

type failures struct {
	mu     sync.Mutex
	recent map[string][]time.Time
}

// add notes a failure and returns how many others there were within a second.
func (f *failures) add(server string, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.recent[server]
	i := 0
	for i < len(list) && now.Sub(list[i]) > time.Second {
		i++
	}
	list = list[i:]
	n := len(list)
	if n < 1024 {
		list = append(list, now)
	}
	f.recent[server] = list
	return n
}
