//go:build (amd64 || arm64) && gc && !purego

package callers

// Record fills pcs with return addresses, the innermost first, and returns how
// many there are. The first may belong to a wrapper that the compiler made. It
// does not allocate. A list ends where C called back into Go.
//
// It is written in assembly because Go code can read neither its frame pointer
// nor the bounds of its stack.
//
//go:noescape
func Record(pcs []uintptr) int

// follow is the walk that Record does, with a frame pointer and the bounds of a
// stack given: tests hand it chains that are broken.
//
//go:noescape
func follow(pcs []uintptr, pc, fp, lo, hi uintptr) int
