package seqguard

import (
	"runtime"
	"weak"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// token is what a connection lends to the rows that hold its lease. While they are
// open nobody else has it, so that it is garbage when they are: when the program has
// dropped its *sql.Rows without a Close, and nothing can close them any more. To ask
// the garbage collector about the rows themselves would cost two allocations for
// each query; this costs them once for each connection.
type token struct{ it *interceptor } // a pointer: what has none may share its memory with others

// lend takes the token out of the connection. Only the holder of the lease may.
func (it *interceptor) lend() *token {
	t := it.token
	if t == nil { // the first query, or the last rows were dropped
		t = &token{it}
		runtime.AddCleanup(t, rowsLost, weak.Make(it.wire))
	}
	it.token = nil
	return t
}

// rowsLost is called when a token is garbage: because rows were dropped, or with the
// connection, about which there is nothing to say.
func rowsLost(w weak.Pointer[wrapconn.Conn]) {
	if c := w.Value(); c != nil {
		go c.RowsLost() // not on the collector's own goroutine, which others wait for
	}
}
