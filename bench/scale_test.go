package bench

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/debug"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// many is how many connections there are of a driver: with those of the other
// one as many as a process may have open, with the usual limit of 20,000.
const many = 9900

// TestScale prints what ten thousand connections cost. It takes a minute, so it
// runs only if it is asked for: BENCH_SCALE=1.
func TestScale(t *testing.T) {
	if os.Getenv("BENCH_SCALE") == "" {
		t.Skip("what ten thousand connections cost was not measured: BENCH_SCALE=1")
	}
	for _, tls := range []string{"false", "skip-verify"} {
		plain, _ := idle(t, "plain", tls, nil)
		guarded, _ := idle(t, "seqguard", tls, nil)
		figure("heap of an idle connection above the plain driver's, tls="+tls, (guarded-plain)/1000, "KB")
	}
	var pools [2][]*sql.Conn
	for i, name := range drivers {
		_, pools[i] = idle(t, name, "false", t.Cleanup)
	}
	figure("exec on one connection, guard / plain", ratio(t, pools[0][:1], pools[1][:1]), "")
	figure("exec through 9,900 connections in turn, guard / plain", ratio(t, pools[0], pools[1]), "")
	figure("metrics callback with 9,900 connections", millis(func() { wrapconn.CountOpen() }), "ms CPU")
	figure("live page with 9,900 connections", millis(func() {
		debug.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}), "ms CPU")
}

func figure(what string, value float64, unit string) {
	fmt.Printf("SCALE\t%s\t%.3f\t%s\n", what, value, unit)
}

// idle opens many connections, lets each do something, and returns the bytes of
// heap that each takes then. Without cleanup they are closed again.
func idle(t *testing.T, name, tls string, cleanup func(func())) (bytes float64, conns []*sql.Conn) {
	t.Helper()
	addr := server(t)
	db, err := sql.Open(registered[name], "user@tcp("+addr+")/?tls="+tls)
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	for range many {
		c, err := db.Conn(ctx)
		if err == nil {
			for range 3 { // a history, and buffers that have been used
				if _, err = c.ExecContext(ctx, "DO 1"); err != nil {
					break
				}
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	bytes = float64(heap()-before) / many
	end := func() {
		for _, c := range conns {
			_ = c.Close()
		}
		_ = db.Close()
	}
	if cleanup != nil {
		cleanup(end)
		return bytes, conns
	}
	end()
	return bytes, nil
}

func heap() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
		time.Sleep(20 * time.Millisecond) // finalizers, and what the collector sweeps meanwhile
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// ratio is the median of the ratios of CPU time, turn by turn.
func ratio(t *testing.T, plain, guarded []*sql.Conn) float64 {
	t.Helper()
	next := [2]int{}
	spent := func(i int, conns []*sql.Conn) float64 {
		start := cpu()
		for range 500 {
			if _, err := conns[next[i]%len(conns)].ExecContext(ctx, "DO 1"); err != nil {
				t.Fatal(err)
			}
			next[i] += 1
		}
		return float64(cpu() - start)
	}
	var ratios []float64
	for i := range 41 {
		a := spent(0, plain)
		r := spent(1, guarded) / a
		if i > 0 {
			ratios = append(ratios, r)
		}
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// millis is the CPU time of f, the median of nine.
func millis(f func()) float64 {
	var took []float64
	for range 9 {
		start := cpu()
		for range 10 {
			f()
		}
		took = append(took, float64(cpu()-start)/10/1e6)
	}
	slices.Sort(took)
	return took[len(took)/2]
}
