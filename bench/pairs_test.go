package bench

import (
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
	for _, w := range []struct {
		name string
		w    workload
	}{{"Select1", select1}, {"PreparedPoint", preparedPoint}, {"Scan100k", scan100k}, {"Blob16MWrite", blob16MWrite}, {"Blob16MRead", blob16MRead}} {
		b.Run(w.name, func(b *testing.B) { pairs(b, w.w) })
	}
}

func pairs(b *testing.B, w workload) {
	ops := [2]func(){w(b, open(b, "plain")), w(b, open(b, "seqguard"))}
	spent := func(op func(), times int) float64 {
		start := cpu()
		for range times {
			op()
		}
		return float64(cpu() - start)
	}
	times := 1
	for ops[1](); spent(ops[0], times) < turn; {
		times *= 2
	}
	var ratios []float64
	var sum [2]float64
	for first := 0; b.Loop(); first = 1 - first {
		var t [2]float64
		for _, i := range []int{first, 1 - first} {
			t[i] = spent(ops[i], times)
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
}
