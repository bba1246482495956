package wrapconn

import (
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// quiet is true of the polite end of an idle connection: it happens to every
// pool every day, and the pool deals with it. Whoever holds the connection gets an
// error, and the report to it; so does the COMMIT of a transaction that was lost when
// a statement was closed, for which nobody gets one.
func (r *Report) quiet() bool {
	e := &r.Evidence
	if e.Phase == session.PhaseOpaque && r.Owner != nil && r.Owner.Kind == OpStmtClose {
		// The same where it cannot be seen: the pool closes the statements of a connection
		// first, and the first write meets the end.
		return !e.TxBegun && e.ServerError == nil && e.Violation == session.Truncated && e.Stream != cause.StreamTimeout
	}
	return e.BeforeCommand && !e.Pinned && !e.TxBegun && e.ServerError == nil && e.Violation == session.Truncated &&
		(e.Stream == cause.StreamEOF || e.Stream == cause.StreamReset)
}
