// Package kit is what the tests of the whole share: a guarded pool whose reports are collected, faults to provoke, checks. The tests
// themselves lie in a folder per theme under test/.
package kit

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Beside runs jobs, most of which sleep, more at a time than there are processors: go test's -parallel would be too few. t.Run may
// be called from several goroutines.
func Beside(jobs []func()) {
	const most = 12
	slots := make(chan struct{}, most)
	var all sync.WaitGroup
	for _, job := range jobs {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			job()
		})
	}
	all.Wait()
}

// Pin takes a connection out of the pool until the end of the test.
func Pin(t testing.TB, db *sql.DB) *sql.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Watchdog panics with all stacks when a step takes longer than any can. Its function is to be called at each step.
func Watchdog(t *testing.T) func() {
	const limit = 60 * time.Second
	timer := time.AfterFunc(limit, func() {
		b := make([]byte, 1<<20)
		panic(fmt.Sprintf("%s hangs\n%s", t.Name(), b[:runtime.Stack(b, true)]))
	})
	t.Cleanup(func() { timer.Stop() })
	return func() { timer.Reset(limit) }
}
