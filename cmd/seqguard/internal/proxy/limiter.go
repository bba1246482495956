package proxy

import "time"

// limiter lets a number of reports of each cause through, and then so many a
// second: a storm on the wire must not become one in the log.
type limiter struct{ causes map[string]*bucket }

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

// take asks for one, and returns how many were dropped since the last one told.
func (l *limiter) take(cause string, now time.Time) (ok bool, dropped int) {
	b := l.causes[cause]
	if b == nil {
		b = &bucket{left: burst, at: now}
		l.causes[cause] = b
	}
	b.left = min(b.left+now.Sub(b.at).Seconds()*perSecond, burst)
	b.at = now
	if b.left < 1 {
		b.dropped++
		return false, 0
	}
	b.left--
	dropped, b.dropped = b.dropped, 0
	return true, dropped
}
