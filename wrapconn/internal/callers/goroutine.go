//go:build (amd64 || arm64) && gc && !purego

package callers

// Goroutine returns a number that two goroutines which are alive at the same
// time do not share, and that a goroutine keeps for its life; 0 if there is none
// to be had. A goroutine that began after another one ended may have that one's
// number. It is not the number in a stack dump, which costs microseconds.
//
// It is the address of the runtime's description of the goroutine, which is not
// moved, and it is no pointer: nothing can be read through it.
func Goroutine() uintptr
