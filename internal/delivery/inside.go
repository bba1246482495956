package delivery

import (
	"runtime"
	"strings"
	"sync"
)

// inside are the goroutines of all queues, by number. A number is never used
// again in the life of a process.
var inside sync.Map

// Inside reports whether a goroutine is one that delivers, so that what it
// causes is the doing of somebody who is being told of something. Only the
// goroutine itself is known: one that it starts is not.
func Inside(goroutine string) bool {
	_, ok := inside.Load(goroutine)
	return ok
}

// Goroutine reads the number of the running goroutine from the header of its
// stack.
func Goroutine() string {
	var b [40]byte
	s := strings.TrimPrefix(string(b[:runtime.Stack(b[:], false)]), "goroutine ")
	id, _, _ := strings.Cut(s, " ")
	return id
}
