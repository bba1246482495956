//go:build !linux

package debug_test

import (
	"testing"
	"time"
)

// threadCPU is the time that has passed: more than what was used.
func threadCPU(_ testing.TB, f func()) time.Duration {
	before := time.Now()
	f()
	return time.Since(before)
}
