package debug

import (
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// TestWhatWasDue: the number that was due is told of the packet that the report is
// about, not of an earlier one that had a wrong number, too.
func TestWhatWasDue(t *testing.T) {
	r := &wrapconn.Report{History: []wrapconn.HistoryEntry{
		{Direction: session.FromClient, First: 5, Last: 5, Count: 1, Kind: session.KindCommand, Violation: session.SequenceMismatch},
		{Direction: session.FromServer, Kind: session.KindERR, Count: 1, Violation: session.MisnumberedError},
	}}
	r.Evidence.Violation, r.Evidence.Expected = session.MisnumberedError, 6
	p := packetsOf(r.History, time.Time{}, r)
	if p[0].Due != nil || p[1].Due == nil || *p[1].Due != 6 {
		t.Errorf("%+v", p)
	}
}
