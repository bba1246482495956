package report

import (
	"sync"
	"time"
)

// Failures counts connections to one server that fail close together: many at once
// are a restart, one alone is a KILL. The zero value is ready; its methods may be
// called concurrently.
type Failures struct {
	mu     sync.Mutex
	recent map[string][]failed
}

type failed struct {
	connection int
	at         time.Time
}

const (
	maxFailed  = 1024 // of a server
	maxServers = 1024
)

// Add notes that a connection to server has failed, and returns how many others
// have within a second. A connection counts once, however often it is noted.
func (f *Failures) Add(server string, connection int, at time.Time) (others int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.recent[server]
	i := 0
	for i < len(list) && at.Sub(list[i].at) > time.Second {
		i++
	}
	list = list[i:]
	others = len(list)
	for _, old := range list {
		if old.connection == connection {
			return others - 1
		}
	}
	if others < maxFailed {
		list = append(list, failed{connection, at})
	}
	if _, known := f.recent[server]; f.recent == nil || !known && len(f.recent) >= maxServers {
		f.recent = map[string][]failed{}
	}
	f.recent[server] = list
	return others
}
