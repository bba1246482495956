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
	limitKeys  = 1024        // buckets; beyond that, the servers of a cause share one

	limitRefill = limitBurst * limitEvery // an empty bucket is full again
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
	swept   time.Time
}

// allow takes a token. With one, it returns how many reports were left out
// since the last one that passed.
func (l *limiter) allow(server string, slug cause.Slug, now time.Time) (dropped uint64, pass bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(limitKey{server, slug}, now)
	if d := now.Sub(b.last); d > 0 {
		b.tokens = min(limitBurst, b.tokens+float64(d)/float64(limitEvery))
	}
	b.last = now // also where a clock was put back
	if b.tokens < 1 {
		b.dropped++
		return 0, false
	}
	b.tokens--
	dropped, b.dropped = b.dropped, 0
	return dropped, true
}

func (l *limiter) bucket(k limitKey, now time.Time) *bucket {
	if b := l.buckets[k]; b != nil {
		return b
	}
	if l.buckets == nil {
		l.buckets = make(map[limitKey]*bucket)
	}
	if len(l.buckets) >= limitKeys {
		l.sweep(now)
	}
	if len(l.buckets) >= limitKeys {
		k.server = ""
		if b := l.buckets[k]; b != nil {
			return b
		}
	}
	b := &bucket{tokens: limitBurst, last: now}
	l.buckets[k] = b
	return b
}

// sweep forgets the buckets that are as good as new, at most once in the time
// that makes one so. What was dropped there is in the metric.
func (l *limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < limitRefill {
		return
	}
	l.swept = now
	for k, b := range l.buckets {
		if now.Sub(b.last) >= limitRefill {
			delete(l.buckets, k)
		}
	}
}
