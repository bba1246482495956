//go:build !unix

package debug_test

import (
	"testing"
	"time"
)

var started = time.Now()

// cpuTime is the time that has passed: more than what was used.
func cpuTime(testing.TB) time.Duration { return time.Since(started) }
