//go:build !((amd64 || arm64) && gc && !purego)

package callers

// Goroutine returns 0: there is no cheap number of a goroutine here.
func Goroutine() uintptr { return 0 }
