package seqguard

import (
	"runtime"
	"strings"
)

// driverPackage begins the names of the functions of go-sql-driver/mysql.
const driverPackage = "github.com/go-sql-driver/mysql."

// inParser reports whether the panic that a deferred function has just recovered
// was raised by go-sql-driver's own code: while it read an answer, as it is the
// only thing of it that can go out of bounds. What an application's code raises
// inside of a call (the reader of a LOAD DATA, VerifyConnection of a
// tls.Config, a dial function) is the application's.
//
// It must be called while the deferred function runs: the frames of the panic
// are still on the stack then.
func inParser() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	raised := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			raised = true
		case !raised, strings.HasPrefix(f.Function, "runtime."):
		case strings.HasPrefix(f.Function, "encoding/binary."):
			// It reads numbers out of the slices that it is given.
		default:
			return strings.HasPrefix(f.Function, driverPackage) || strings.Contains(f.Function, "/vendor/"+driverPackage)
		}
		if !more {
			return false
		}
	}
}
