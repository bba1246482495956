package cause

import "fmt"

// heldRules are about who keeps the connections of a pool from others. Nothing
// is wrong with any of them.
var heldRules = []rule{
	{
		slug:     "pool_exhausted",
		severity: Notice,
		title:    "Callers wait because all connections of the pool are held",
		signs:    when(fact{is: "callers waited for a connection of the pool", holds: func(e *Evidence) bool { return e.PoolWaits > 0 }}),
		explain: func(e *Evidence) string {
			waits := "1 caller has"
			if e.PoolWaits > 1 {
				waits = fmt.Sprintf("%d callers have", e.PoolWaits)
			}
			return fmt.Sprintf("%s. %s had to wait for a connection in the last seconds.", e.Holders(), waits)
		},
		advise: func(e *Evidence) string {
			return "Look at the call sites that hold most: rows that are not closed, a transaction that waits for something else, a sql.Conn that is kept. If all of them work, the pool is too small for the load (SetMaxOpenConns, and max_connections of the server)."
		},
		executed: maybe,
	},
	{
		slug:     "rows_never_closed",
		severity: Notice,
		title:    "Rows were dropped without a Close",
		signs:    when(fact{is: "the garbage collector found rows that hold a connection", holds: func(e *Evidence) bool { return e.RowsLost }}),
		explain: func(e *Evidence) string {
			return fmt.Sprintf("The rows of %s are garbage: nothing in the program refers to them any more, and they were neither closed nor read to their end. Their connection has been out of the pool for %s, and nothing can give it back.", e.Owner.clause("a query that is not known"), dur(e.Held))
		},
		advise: func(e *Evidence) string {
			return "Close rows where they are opened (defer rows.Close(), behind the check of the error), and call Scan on what QueryRow returns. The connection is lost to the pool for as long as the process lives, so a pool with a limit runs dry."
		},
		executed: maybe,
	},
	{
		slug:     "held_too_long",
		severity: Notice,
		title:    "A connection has been out of the pool for long",
		signs:    when(fact{is: "the connection is held for longer than the option allows", holds: func(e *Evidence) bool { return e.Held > 0 }}),
		explain: func(e *Evidence) string {
			return fmt.Sprintf("The connection has been out of the pool for %s and has not been given back. Its holder: %s, last seen with %s.", dur(e.Held), e.HeldAs, e.Owner.clause("no operation that is known"))
		},
		advise: func(e *Evidence) string {
			return "If rows are open, close them (defer rows.Close()). If a transaction is idle, commit it before anything slow: its locks and the server's undo log are kept as long. A sql.Conn must be closed to go back to the pool."
		},
		executed: maybe,
	},
}

// Holders says who holds the connections of a pool, in one sentence without a full
// stop: "20 of 20 held, 17 by shop/list.go:10 (rows open), oldest 4 min".
func (e *Evidence) Holders() string {
	s := fmt.Sprintf("%d held", e.PoolInUse)
	if e.PoolLimit > 0 {
		s = fmt.Sprintf("%d of %d held", e.PoolInUse, e.PoolLimit)
	}
	if e.HeldAs == "" {
		return s
	}
	return fmt.Sprintf("%s, %s, oldest %s", s, e.HeldAs, dur(e.Held))
}

// standing: the report is about a state, and nothing has failed.
func (e *Evidence) standing() bool { return e.Held > 0 || e.PoolWaits > 0 || e.RowsLost }
