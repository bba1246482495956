package bench

import (
	"runtime"
	"slices"
	"testing"
)

// turn is how much CPU time one driver gets before the other's turn: long
// against the clock of getrusage, short against what else the machine does.
const turn = 20e6 // nanoseconds

// BenchmarkPairs runs each workload with the plain driver and with this one in
// turn, in one process, some ten milliseconds each, so that what disturbs the
// one disturbs the other. Of the ratios of the CPU time, turn by turn, it
// reports the median and the quartiles. What is left for a collection by one is
// paid by the other as often as not: they make as much garbage.
func BenchmarkPairs(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			var runs [2]func(int)
			for i, name := range drivers {
				runs[i] = w.prepare(b, open(b, name, w.otel))
			}
			pairs(b, runs)
		})
	}
}

func pairs(b *testing.B, runs [2]func(times int)) {
	spent := func(run func(int), times int) float64 {
		start := cpu()
		run(times)
		return float64(cpu() - start)
	}
	times := 1
	for runs[1](1); spent(runs[0], times) < turn; {
		times *= 2
	}
	runs[1](times) // as warm as the other
	var ratios []float64
	var sum [2]float64
	for first := 0; b.Loop(); first = 1 - first {
		var t [2]float64
		for _, i := range []int{first, 1 - first} {
			t[i] = spent(runs[i], times)
			sum[i] += t[i]
		}
		ratios = append(ratios, t[1]/t[0])
	}
	slices.Sort(ratios)
	n := len(ratios)
	b.ReportMetric(ratios[n/4], "q1")
	b.ReportMetric(ratios[n/2], "median")
	b.ReportMetric(ratios[n*3/4], "q3")
	b.ReportMetric(sum[1]/sum[0], "mean")
	b.ReportMetric(sum[0]/float64(n*times), "plain-cpu-ns/op")
	for i, name := range drivers {
		b.ReportMetric(allocations(runs[i], times), name+"-allocs/op")
	}
}

// allocations is the least of three counts: what else the process does adds to
// them.
func allocations(run func(int), times int) float64 {
	least := uint64(1 << 63)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run(times)
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return float64(least) / float64(times)
}
