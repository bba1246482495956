//go:build !((amd64 || arm64) && gc && !purego)

package callers

import "runtime"

// Record fills pcs with return addresses, the innermost first, and returns how
// many there are. It does not allocate.
func Record(pcs []uintptr) int {
	return runtime.Callers(2, pcs) // skips Callers and Record
}
