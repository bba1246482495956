package kit

import (
	"flag"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Main is a whole TestMain. Besides what mysqltest.Main does, it fails the run if the guard has panicked in its course: it recovers,
// and goes on without a view of the connection, so that no other check need see it.
func Main(m *testing.M) {
	mysqltest.Main(m, func() error {
		if n, want := wrapconn.Stats().Panics, meant.Load(); n != want {
			return fmt.Errorf("the guard, or what it called, has panicked %d times in these tests, and %d times on purpose", n, want)
		}
		return nil
	})
}

// WaitBeside, called before Main, has six tests with t.Parallel run at a time, unless go test is told another number. It is for a
// package in which they wait, for servers and clocks, and take next to no CPU: as many as there are processors would be too few.
func WaitBeside() { _ = flag.Set("test.parallel", "6") }

var meant atomic.Uint64

// PanicsMeant says that n of the panics of these tests are on purpose.
func PanicsMeant(n uint64) { meant.Add(n) }
