package debug

import (
	"testing"
	"time"
)

// SetLongAgo makes less than ten seconds long, until the test ends.
func SetLongAgo(t testing.TB, d time.Duration) {
	old := longAgo
	longAgo = ms(d)
	t.Cleanup(func() { longAgo = old })
}
