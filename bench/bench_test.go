// Package bench measures what the guard costs, against the plain driver in the
// same process. BenchmarkPairs has a line for each kind of work, TestScale the
// figures of 10,000 connections. BENCH_DSN is where to; without it a connection
// in memory has the answers ready. all.sh runs everything on real servers, beside
// the aims.
package bench

import (
	"context"
	"database/sql"
	"os"
	"syscall"
	"testing"

	"github.com/XSAM/otelsql"
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/seqguard/mysql-seqguard"
)

var ctx = context.Background()

// drivers are the two that are compared, the plain one first.
var drivers = [2]string{"plain", "seqguard"}

var registered = map[string]string{"plain": "mysql", "seqguard": "mysql-seqguard"}

func open(b *testing.B, name string, otel bool) *sql.DB {
	var db *sql.DB
	var err error
	switch dsn := os.Getenv("BENCH_DSN"); {
	case dsn == "":
		db = canned(b, name, otel)
	case otel:
		db, err = otelsql.Open(registered[name], dsn)
	default:
		db, err = sql.Open(registered[name], dsn)
	}
	if err == nil {
		b.Cleanup(func() { _ = db.Close() })
		err = db.Ping()
	}
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// cpu is the CPU time of this process so far, user and system, in nanoseconds:
// far less noisy than wall time, most of which is the server and the scheduler.
func cpu() int64 {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return r.Utime.Nano() + r.Stime.Nano()
}

// BenchmarkOne runs one driver, BENCH_DRIVER, for profiles and for instructions
// to be counted.
func BenchmarkOne(b *testing.B) {
	name := os.Getenv("BENCH_DRIVER")
	if name == "" {
		name = "seqguard"
	}
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			op := w.prepare(b, open(b, name, w.otel))
			b.ReportAllocs()
			start := cpu()
			for b.Loop() {
				op(1)
			}
			b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op")
		})
	}
}
