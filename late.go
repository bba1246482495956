package seqguard

import (
	"context"
	"database/sql/driver"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// lateClose is a statement that was closed while the rows of another one were
// open. Closing it writes a command, for which the driver has neither a free
// buffer nor a free count of packets then; refused, the statement would stay on
// the server for as long as the connection lives.
type lateClose struct {
	stmt driver.Stmt
	next *lateClose
}

// closeLater puts the close of a statement off to the end of the lease, if there
// is one.
func (it *interceptor) closeLater(s driver.Stmt) bool {
	if it.mode == Observe || !it.wire.Leased() {
		return false
	}
	l := &lateClose{stmt: s}
	for l.next = it.late.Load(); !it.late.CompareAndSwap(l.next, l); l.next = it.late.Load() {
	}
	it.closeLate() // the lease may have ended meanwhile
	return true
}

// closeLate closes the statements that were put off. It is called when an
// operation or a lease has ended; if another one has begun by now, that one's
// end calls it again.
func (it *interceptor) closeLate() {
	if it.late.Load() != nil {
		it.closeAllLate()
	}
}

func (it *interceptor) closeAllLate() {
	if !it.wire.TryBegin(context.Background(), wrapconn.OpStmtClose) {
		return
	}
	defer it.wire.End(false)
	for l := it.late.Swap(nil); l != nil; l = l.next {
		_ = l.stmt.Close() // nobody waits for it; if the connection is lost, so is the statement
	}
}
