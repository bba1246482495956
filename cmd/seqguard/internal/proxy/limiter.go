package proxy

import (
	"slices"
	"time"
)

// limiter lets a number of reports of each cause through, and of other lines of each
// kind, and then so many a second: a storm on the wire must not become one in the log.
type limiter struct{ kinds map[string]*bucket }

type bucket struct {
	left    float64
	at      time.Time
	dropped int
}

const (
	burst     = 50
	perSecond = 5
)

func newLimiter() limiter { return limiter{map[string]*bucket{}} }

// take asks for one, and returns how many were dropped since that was told last.
func (l *limiter) take(kind string, now time.Time) (ok bool, dropped int) {
	b := l.kinds[kind]
	if b == nil {
		b = &bucket{left: burst, at: now}
		l.kinds[kind] = b
	}
	b.left = min(b.left+now.Sub(b.at).Seconds()*perSecond, burst)
	b.at = now
	if b.left < 1 {
		b.dropped++
		return false, b.dropped
	}
	b.left--
	dropped, b.dropped = b.dropped, 0
	return true, dropped
}

// forget returns how many of a kind were dropped since that was told last.
func (l *limiter) forget(kind string) (dropped int) {
	if b := l.kinds[kind]; b != nil {
		dropped, b.dropped = b.dropped, 0
	}
	return dropped
}

// dropped are the kinds of which some were dropped and that is not told yet, by name.
func (l *limiter) dropped() (kinds []string) {
	for kind, b := range l.kinds {
		if b.dropped > 0 {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}
