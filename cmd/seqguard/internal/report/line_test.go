package report

import (
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Before the greeting a connection has no number.
func TestLineWithoutNumber(t *testing.T) {
	for id, want := range map[uint32]bool{0: false, 57: true} {
		v := Violation{Server: "db:3306", Finding: conversation.Finding{Connection: id}}
		if line := v.Line(); strings.Contains(line, "connection") != want || !strings.Contains(line, "→ db:3306") {
			t.Errorf("%d: %s", id, line)
		}
	}
}

// Who reads the log finds the request by the trace that its statement carried.
func TestLineWithTrace(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	for trace, want := range map[string]bool{id: true, "": false} {
		v := Violation{Server: "db:3306", TraceID: trace}
		if line := v.Line(); strings.Contains(line, ", trace "+id+"]") != want || strings.Contains(line, "trace") != want {
			t.Errorf("%q: %s", trace, line)
		}
	}
}

// TestWhatWasDue: a client's command with number 5 where 0 was due, and behind it the
// server's ERR with number 0 where 6 was due, which is what the report is about.
func TestWhatWasDue(t *testing.T) {
	v := Violation{}
	e := &v.Finding.Evidence
	e.Violation, e.Expected, e.Actual = session.MisnumberedError, 6, 0
	v.Finding.History = []conversation.Packet{
		{Direction: session.FromClient, First: 5, Last: 5, Count: 1, Kind: session.KindCommand, Violation: session.SequenceMismatch},
		{Direction: session.FromServer, Kind: session.KindERR, Count: 1, Violation: session.MisnumberedError},
	}
	for i, want := range []string{"sequence mismatch", "misnumbered ERR, 6 was due"} {
		if got := Margin(&v.Finding.History[i], &v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
