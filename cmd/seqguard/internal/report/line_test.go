package report

import (
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
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
