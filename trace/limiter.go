package trace

import (
	"sync"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// A storm of failures must not become a storm of spans.
const (
	limitBurst = 10          // reports of one server and cause at once
	limitEvery = time.Second // and one more for each of these
	limitKeys  = 1024        // buckets; beyond that, all share one
)

type limitKey struct {
	server string
	cause  cause.Slug
}

type bucket struct {
	tokens  float64
	last    time.Time
	dropped uint64
}

// limiter is a token bucket for each server and cause. The zero value is
// usable.
type limiter struct {
	mu      sync.Mutex
	buckets map[limitKey]*bucket
}

// allow takes a token. With one, it returns how many reports were left out
// since the last one that passed.
func (l *limiter) allow(server string, slug cause.Slug, now time.Time) (dropped uint64, pass bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil {
		l.buckets = make(map[limitKey]*bucket)
	}
	k := limitKey{server, slug}
	b := l.buckets[k]
	if b == nil && len(l.buckets) >= limitKeys {
		k = limitKey{cause: slug}
		b = l.buckets[k]
	}
	if b == nil {
		b = &bucket{tokens: limitBurst, last: now}
		l.buckets[k] = b
	}
	if d := now.Sub(b.last); d > 0 {
		b.tokens = min(limitBurst, b.tokens+float64(d)/float64(limitEvery))
		b.last = now
	}
	if b.tokens < 1 {
		b.dropped++
		return 0, false
	}
	b.tokens--
	dropped, b.dropped = b.dropped, 0
	return dropped, true
}
