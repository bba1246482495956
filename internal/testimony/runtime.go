package testimony

import (
	"math"
	"runtime/metrics"
	"time"
)

// runtimeSample is what the Go runtime counts of itself since it started.
type runtimeSample struct {
	gc, latency *histogram
}

// histogram is a copy of one of the runtime's: it may use its memory again.
type histogram struct {
	counts  []uint64
	buckets []float64 // seconds; one more than counts
}

func readRuntime() runtimeSample {
	s := [...]metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}, {Name: "/sched/latencies:seconds"}}
	metrics.Read(s[:])
	take := func(v metrics.Value) *histogram {
		if v.Kind() != metrics.KindFloat64Histogram {
			return nil // unknown to this release of Go
		}
		h := v.Float64Histogram()
		return &histogram{h.Counts, h.Buckets}
	}
	return runtimeSample{gc: take(s[0].Value), latency: take(s[1].Value)}
}

// longest is the least that the longest event between a and b can have taken:
// the lower end of its bucket.
func longest(a, b *histogram) time.Duration {
	if a == nil || b == nil || len(a.counts) != len(b.counts) || len(b.buckets) != len(b.counts)+1 {
		return 0
	}
	for i := len(b.counts) - 1; i >= 0; i-- {
		if b.counts[i] > a.counts[i] {
			low := b.buckets[i]
			if math.IsInf(low, -1) || low < 0 {
				return 0
			}
			return time.Duration(low * float64(time.Second))
		}
	}
	return 0
}
