package cause

import (
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// A LOAD DATA LOCAL whose reader failed leaves the connection, and the transaction on it, in order; if results of further
// statements are left behind it, neither.
func TestInfileInTransaction(t *testing.T) {
	for _, left := range []bool{false, true} {
		e := Evidence{
			Phase: session.PhaseLocalInfile, Direction: session.FromClient, Kind: session.KindInfileEnd, Command: session.ComQuery,
			InfileFailed: true, InTransaction: true, TxBegun: true, MoreResults: left,
		}
		d := Diagnose(&e)
		if d.Slug != "local_infile_partial" || d.Lost != left || strings.Contains(d.Explanation, "left unread") != left || d.RetrySafe {
			t.Errorf("results left %t: %+v", left, d)
		}
	}
}
