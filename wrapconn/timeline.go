package wrapconn

import (
	"fmt"
	"strings"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Timeline is the report's history as text, one line a packet, with the time
// since the connection was made.
func (r *Report) Timeline() string {
	var b strings.Builder
	if r.Forgotten > 0 {
		fmt.Fprintf(&b, "%12s  … %d earlier packets\n", "", r.Forgotten)
	}
	for _, e := range r.History {
		arrow := "◀──"
		if e.Direction == session.FromClient {
			arrow = "──▶"
		}
		if e.Violation == session.NotMySQL {
			fmt.Fprintf(&b, "%+12.6f  %s  %s\n", e.Time.Sub(r.Connected).Seconds(), arrow, e.Label())
			continue
		}
		fmt.Fprintf(&b, "%+12.6f  %s  seq %-7s  %-28s %9d bytes", e.Time.Sub(r.Connected).Seconds(), arrow, e.IDs(), e.Label(), e.Bytes)
		if e.Violation != session.None {
			fmt.Fprintf(&b, "   ← %s", e.Violation)
			if e.Violation == session.SequenceMismatch || e.Violation == session.MisnumberedError {
				fmt.Fprintf(&b, ", %d was due", r.Evidence.Expected)
			}
		}
		b.WriteByte('\n')
	}
	switch end := r.Evidence.Stream; end {
	case cause.StreamOpen:
	case cause.StreamTimeout:
		fmt.Fprintf(&b, "%+12.6f       a time limit of this side ran out\n", r.Time.Sub(r.Connected).Seconds())
	default:
		fmt.Fprintf(&b, "%+12.6f  ◀──  connection %s\n", r.Time.Sub(r.Connected).Seconds(), end)
	}
	return b.String()
}
