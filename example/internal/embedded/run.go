package embedded

import (
	"fmt"
	"os"
	"testing"

	seqguard "github.com/seqguard/mysql-seqguard"
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
