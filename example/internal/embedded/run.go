package embedded

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Main is for TestMain: it runs the tests with a server (anybody may
// log in) that is handed to use, and fails them if the guard has anything to
// report: what the examples do is lawful. Tests that break something on purpose
// say so in Server.Broken.
func Main(m *testing.M, use func(*Server)) {
	os.Exit(run(m, use))
}

func run(m *testing.M, use func(*Server)) int {
	s, err := Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer s.Close()
	use(s)
	code := m.Run()
	c := seqguard.Stats()
	if c.Connections == 0 || c.Reports != s.Broken || c.Notices+c.Untracked+c.Opaque+c.Panics > 0 {
		fmt.Fprintf(os.Stderr, "the guard's counters are %+v: connections were expected, and %d reports\n", c, s.Broken)
		return 1
	}
	return code
}

// WantSites fails t unless err is a refusal in which both operations were
// started in function.
func WantSites(t testing.TB, err error, function string) {
	t.Helper()
	var oe *seqguard.OwnershipError
	if !errors.As(err, &oe) {
		t.Fatalf("no OwnershipError in %v", err)
	}
	for who, op := range map[string]*wrapconn.Operation{"owner": oe.Report.Owner, "intruder": oe.Report.Intruder} {
		if f, ok := op.Site(); !ok || !strings.Contains(f.Function, function) {
			t.Errorf("the %s is at %v", who, f)
		}
	}
}
