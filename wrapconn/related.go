package wrapconn

import (
	"sync"
	"time"
)

// related counts failures of one server's connections that lie close together:
// many at once mean a restart or a failover, one alone means a KILL. Only
// failures come here, so one lock for the process is enough.
var related = failures{recent: map[string][]time.Time{}}

const (
	relatedWindow  = time.Second
	relatedKept    = 1024 // failures remembered of one server
	relatedServers = 64   // servers remembered before those without a recent failure are forgotten
)

type failures struct {
	mu     sync.Mutex
	recent map[string][]time.Time
}

// add notes a failure of server and returns how many others it had within the
// window.
func (f *failures) add(server string, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.recent[server]
	i := 0
	for i < len(list) && now.Sub(list[i]) > relatedWindow {
		i++
	}
	list = list[i:]
	n := len(list)
	if n < relatedKept {
		list = append(list, now)
	}
	f.recent[server] = list
	if len(f.recent) > relatedServers { // addresses may come and go
		for s, l := range f.recent {
			if now.Sub(l[len(l)-1]) > relatedWindow {
				delete(f.recent, s)
			}
		}
	}
	return n
}
