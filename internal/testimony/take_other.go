//go:build !linux

package testimony

import "time"

// take knows what the runtime knows: how long the garbage collector stopped the
// program and goroutines waited. Whether the process had a CPU is not known.
func take() sample { return sample{at: time.Now(), runtime: readRuntime()} }
