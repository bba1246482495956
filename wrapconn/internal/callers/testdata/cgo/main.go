// Command cgo compares the two ways to list callers where C lies between them.
// It prints what differs and exits with status 1.
package main

/*
extern int goCallback(int);

static int throughC(int n) { return goCallback(n); }
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/seqguard/mysql-seqguard/wrapconn/internal/callers"
)

var failed bool

//export goCallback
func goCallback(n C.int) C.int {
	if n > 0 {
		return C.throughC(n - 1)
	}
	compare("inside a callback from C")
	return 0
}

//go:noinline
func compare(where string) {
	var a, b [100]uintptr
	n, m := callers.Record(a[:]), runtime.Callers(1, b[:])
	var got, want []string
	callers.Frames(a[:n], func(f runtime.Frame) bool { got = add(got, f); return true })
	callers.Frames(b[:m], func(f runtime.Frame) bool { want = add(want, f); return true })
	fmt.Printf("%s: %d of %d frames\n", where, len(got), len(want))
	// The Go functions of this side of C at least, and nothing that is not there.
	common := len(got) <= len(want) && strings.Join(got, "\n") == strings.Join(want[:len(got)], "\n")
	if !common || len(got) < 2 || got[1] != want[1] {
		failed = true
		fmt.Printf("by frame pointers:\n\t%s\nby runtime.Callers:\n\t%s\n", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func add(list []string, f runtime.Frame) []string {
	if strings.HasPrefix(f.Function, "runtime.") || strings.HasSuffix(f.Function, "callers.Record") {
		return list
	}
	return append(list, fmt.Sprintf("%s:%d", f.Function, f.Line))
}

func main() {
	compare("before C")
	for n := range 3 {
		C.throughC(C.int(n))
		compare("after C")
	}
	done := make(chan bool)
	go func() { C.throughC(2); done <- true }()
	<-done
	if failed {
		os.Exit(1)
	}
}
