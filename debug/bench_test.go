package debug_test

import (
	"slices"
	"strconv"
	"testing"
	"time"
)

// How long the page of 200 connections takes: when they are idle, when they make
// some thousand queries a second, and when they take all the processor there is; and that
// of 1,000 that make a thousand queries a second.
func BenchmarkPage(b *testing.B) {
	for _, accept := range []string{"text/html", "application/json"} {
		for _, load := range []string{"idle", "paced", "paced-1000", "saturated"} {
			b.Run(accept+"/"+load, func(b *testing.B) { benchmarkPage(b, accept, load) })
		}
	}
}

func benchmarkPage(b *testing.B, accept, busy string) {
	pause := map[string]time.Duration{"paced": 50 * time.Millisecond, "paced-1000": time.Second}[busy]
	conns := loadConns
	if busy == "paced-1000" {
		conns = 1000
	}
	_, stop := load(b, open(b, serve(b, "8.4.7"), "bench-db:3306", conns), conns, pause)
	defer stop()
	if time.Sleep(300 * time.Millisecond); busy == "idle" { // the load has to get going
		stop()
	}
	var took, used []time.Duration
	var size int
	for b.Loop() {
		begin := time.Now()
		used = append(used, threadCPU(b, func() { size = get(b, of("bench-db:3306"), accept).Body.Len() }))
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(size), "bytes")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "ms-p95")
	slices.Sort(used)
	b.ReportMetric(float64(used[len(used)/2].Microseconds())/1000, "cpu-ms")
}

// The queries a second of connections that take all the processor there is, with
// nobody at the page and with somebody who reloads it every second.
func BenchmarkLoad(b *testing.B) {
	for _, conns := range []int{loadConns, 1000} {
		b.Run(strconv.Itoa(conns), func(b *testing.B) { benchmarkLoad(b, conns) })
	}
}

func benchmarkLoad(b *testing.B, conns int) {
	done, stop := load(b, open(b, serve(b, "8.4.7"), "bench-db:3306", conns), conns, 0)
	defer stop()
	time.Sleep(500 * time.Millisecond) // the load has to get going
	// Turn by turn, in one run: the machine has moods.
	const rounds, span = 12, time.Second
	var without, with, ratios, took, used []float64
	for b.Loop() {
		for round := range 2 * rounds {
			n, begin := done.Load(), time.Now()
			watched := round%4 == 1 || round%4 == 2 // first or second of its pair
			if watched {
				used = append(used, threadCPU(b, func() { get(b, of("bench-db:3306"), "text/html") }).Seconds()*1000)
				took = append(took, time.Since(begin).Seconds()*1000)
			}
			time.Sleep(span - time.Since(begin)) // a turn is as long as the others
			rate := float64(done.Load()-n) / time.Since(begin).Seconds()
			if watched {
				with = append(with, rate)
			} else {
				without = append(without, rate)
			}
			if len(with) == len(without) {
				ratios = append(ratios, with[len(with)-1]/without[len(without)-1])
			}
		}
	}
	for _, l := range [][]float64{with, without, ratios, took, used} {
		slices.Sort(l)
	}
	b.ReportMetric(without[len(without)/2], "queries/s")
	b.ReportMetric(with[len(with)/2], "queries/s-watched")
	b.ReportMetric(without[len(without)-1]/without[0], "spread")
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(took[len(took)/2], "ms-page-median")
	b.ReportMetric(took[len(took)-1], "ms-page-most")
	b.ReportMetric(used[len(used)/2], "cpu-ms-page")
}
