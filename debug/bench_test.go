package debug_test

import (
	"slices"
	"testing"
	"time"
)

// How long the page of 200 connections takes: when they are idle, when they make
// some thousand queries a second, and when they take all the processor there is.
func BenchmarkPage(b *testing.B) {
	for _, accept := range []string{"text/html", "application/json"} {
		for _, load := range []string{"idle", "paced", "saturated"} {
			b.Run(accept+"/"+load, func(b *testing.B) { benchmarkPage(b, accept, load) })
		}
	}
}

func benchmarkPage(b *testing.B, accept, busy string) {
	pause := map[string]time.Duration{"paced": 50 * time.Millisecond}[busy]
	_, stop := load(b, open(b, serve(b, "8.4.7"), "bench-db:3306", loadConns), loadConns, pause)
	defer stop()
	if time.Sleep(300 * time.Millisecond); busy == "idle" {
		stop()
	}
	var took []time.Duration
	var size int
	for b.Loop() {
		begin := time.Now()
		size = get(b, of("bench-db:3306"), accept).Body.Len()
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(size), "bytes")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "ms-p95")
}

// The queries of 200 connections a second, with nobody at the page and with
// somebody who reloads it every second.
func BenchmarkLoad(b *testing.B) {
	done, stop := load(b, open(b, serve(b, "8.4.7"), "bench-db:3306", loadConns), loadConns, 0)
	defer stop()
	time.Sleep(500 * time.Millisecond)
	// Turn by turn, in one run: the machine has moods.
	const rounds, span = 8, time.Second
	var without, with []float64
	for b.Loop() {
		for round := range 2 * rounds {
			n, begin := done.Load(), time.Now()
			if round%2 == 1 {
				get(b, of("bench-db:3306"), "text/html")
			}
			time.Sleep(span - time.Since(begin))
			rate := float64(done.Load()-n) / time.Since(begin).Seconds()
			if round%2 == 1 {
				with = append(with, rate)
			} else {
				without = append(without, rate)
			}
		}
	}
	slices.Sort(with)
	slices.Sort(without)
	b.ReportMetric(without[len(without)/2], "queries/s")
	b.ReportMetric(with[len(with)/2], "queries/s-watched")
	b.ReportMetric(without[len(without)-1]/without[0], "spread")
	b.ReportMetric(with[len(with)/2]/without[len(without)/2], "ratio")
}
