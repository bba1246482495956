package simulation

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// runs counts the bubbles of this process.
var runs atomic.Int64

// The simulation is steered from outside: nothing set, it takes some seconds.
//
//	SEQGUARD_SIM_TIME=1m     for how long
//	SEQGUARD_SIM_OPS=10000000  or how many operations; then every row of the table must have been reached
//	SEQGUARD_SIM_SEED=N      the first seed, 1 if unset; alone: this one only
//	SEQGUARD_SIM_KEEP=1,4,9  with a seed: the parts of its scenario that are kept
func TestSimulation(t *testing.T) {
	if seed := os.Getenv("SEQGUARD_SIM_SEED"); seed != "" && os.Getenv("SEQGUARD_SIM_OPS") == "" && os.Getenv("SEQGUARD_SIM_TIME") == "" {
		replay(t, number(t, seed))
		return
	}
	limit, ops := 3*time.Second, 0
	if testing.Short() {
		limit = time.Second
	}
	if s := os.Getenv("SEQGUARD_SIM_TIME"); s != "" {
		var err error
		if limit, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	if s := os.Getenv("SEQGUARD_SIM_OPS"); s != "" {
		ops = int(number(t, s))
	}
	seed := uint64(1)
	if s := os.Getenv("SEQGUARD_SIM_SEED"); s != "" {
		seed = number(t, s)
	}
	first, began := seed, time.Now()
	total := outcome{reached: map[string]int{}}
	failures := 0
	for ; ops > 0 && total.ops < ops || ops == 0 && time.Since(began) < limit; seed++ {
		out := run(t, build(seed, nil))
		total.add(out)
		if len(out.problems) > 0 {
			shrink(t, seed, out)
			if failures++; failures == maxFailures {
				break
			}
		}
		if ops > 0 && seed%10000 == 0 {
			t.Logf("%v: seeds %d to %d, %d operations, %d reports", time.Since(began).Round(time.Second), first, seed, total.ops, total.reports)
		}
	}
	took := time.Since(began)
	t.Logf("seeds %d to %d: %d operations, %d reports, %.0f operations a second", first, seed-1, total.ops, total.reports, float64(total.ops)/took.Seconds())
	total.table(t, ops > 0)
}

const maxFailures = 5

func number(t *testing.T, s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (o *outcome) add(x outcome) {
	o.ops += x.ops
	o.reports += x.reports
	for k, n := range x.reached {
		o.reached[k] += n
	}
}

// replay runs one seed, whole or in part.
func replay(t *testing.T, seed uint64) {
	var keep map[int]bool
	if s, ok := os.LookupEnv("SEQGUARD_SIM_KEEP"); ok {
		keep = map[int]bool{}
		for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
			keep[int(number(t, f))] = true
		}
	}
	s := build(seed, keep)
	t.Logf("%s", s)
	out := run(t, s)
	for _, p := range out.problems {
		t.Error(p)
	}
	out.table(t, false)
}

// shrink leaves parts of a failing scenario out for as long as it fails, and prints what is left.
func shrink(t *testing.T, seed uint64, out outcome) {
	kind := kindOf(out.problems[0])
	n := len(build(seed, nil).parts())
	keep := map[int]bool{}
	for i := range n {
		keep[i] = true
	}
	fails := func(keep map[int]bool) (string, bool) {
		for range 3 { // goroutines are not a part of the seed
			for _, p := range run(t, build(seed, keep)).problems {
				if kindOf(p) == kind {
					return p, true
				}
			}
		}
		return "", false
	}
	last, again := fails(keep)
	if !again {
		t.Errorf("seed %d failed once and not again:\n%s", seed, strings.Join(out.problems, "\n"))
		return
	}
	for size := n; size > 0; size /= 2 {
		for from := 0; from < n; from += size {
			less := maps.Clone(keep)
			for i := from; i < from+size; i++ {
				delete(less, i)
			}
			if len(less) == len(keep) {
				continue
			}
			if p, ok := fails(less); ok {
				keep, last = less, p
			}
		}
	}
	var list []string
	for _, i := range slices.Sorted(maps.Keys(keep)) {
		list = append(list, strconv.Itoa(i))
	}
	t.Errorf("seed %d: %s\nThe least scenario that does so:\n%s\nAgain: SEQGUARD_SIM_SEED=%d SEQGUARD_SIM_KEEP=%s go test -count=1 -run TestSimulation -v ./test/simulation",
		seed, last, build(seed, keep), seed, strings.Join(list, ","))
}

// kindOf is what a problem is, without its numbers.
func kindOf(problem string) string {
	k, _, _ := strings.Cut(problem, ":")
	return k
}
