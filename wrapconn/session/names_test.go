package session

import (
	"fmt"
	"strings"
	"testing"
)

// Every value of every enumeration has a name of its own, and what is none says so.
func TestNames(t *testing.T) {
	for _, tt := range []struct {
		what  string
		last  int
		of    func(i int) fmt.Stringer
		wrong string
	}{
		{"phase", int(PhaseOpaque), func(i int) fmt.Stringer { return Phase(i) }, "invalid phase 200"},
		{"kind", int(KindAuthNextFactor), func(i int) fmt.Stringer { return Kind(i) }, "invalid kind 200"},
		{"violation", int(Truncated), func(i int) fmt.Stringer { return Violation(i) }, "invalid violation 200"},
	} {
		seen := map[string]bool{}
		for i := range tt.last + 1 {
			s := tt.of(i).String()
			if s == "" || strings.HasPrefix(s, "invalid") || seen[s] {
				t.Errorf("%s %d is called %q", tt.what, i, s)
			}
			seen[s] = true
		}
		if s := tt.of(tt.last + 1).String(); !strings.HasPrefix(s, "invalid") {
			t.Errorf("%s %d is called %q, and this test does not know it", tt.what, tt.last+1, s)
		}
		if s := tt.of(200).String(); s != tt.wrong {
			t.Errorf("%q, want %q", s, tt.wrong)
		}
	}
	if s := Command(0x77).String(); s != "command 0x77" {
		t.Errorf("an unknown command is called %q", s)
	}
	if s := ComStmtExecute.String(); s != "COM_STMT_EXECUTE" {
		t.Errorf("%q", s)
	}
	if FromClient.String() == FromServer.String() {
		t.Error("both directions have one name")
	}
	for p := PhaseGreeting; p <= PhaseOpaque; p++ {
		if p.Connecting() && p.Answering() {
			t.Errorf("%s is both", p)
		}
	}
}
