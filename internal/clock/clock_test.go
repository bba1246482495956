package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestOther(t *testing.T) {
	outside := time.Now()
	synctest.Test(t, func(t *testing.T) {
		inside := time.Now()
		time.Sleep(365 * 24 * time.Hour)
		if d := time.Since(inside); Other(d) || Other(-d) {
			t.Errorf("a year of one clock: %v", d)
		}
		if d := time.Since(outside); !Other(d) || !Other(-d) {
			t.Errorf("two clocks: %v", d)
		}
	})
}
