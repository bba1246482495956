package grammar_test

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of differences in docs/limits.md anew")

// TestLimitsPage holds the table of docs/limits.md to the table of differences.
func TestLimitsPage(t *testing.T) {
	const page = "../../docs/limits.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const head = "| difference | why |\n|---|---|\n"
	before, rest, ok := strings.Cut(string(text), head)
	if !ok {
		t.Fatal("there is no table of differences")
	}
	want := before + head
	for _, d := range differences {
		want += "| " + d.name + " | " + d.why + " |\n"
	}
	if _, after, more := strings.Cut(rest, "\n\n"); more {
		want += "\n" + after
	}
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Error("the table of docs/limits.md is not that of the test: go test -run TestLimitsPage -update ./test/grammar")
	}
}
