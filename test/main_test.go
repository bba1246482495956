package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	var b strings.Builder
	s := newSummary(&b)
	s.read(strings.NewReader(`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB/mysql9","Output":"=== RUN   TestB/mysql9\n"}
{"Action":"output","Package":"p","Test":"TestB/mysql9","Output":"    b_test.go:9: NOT TESTED on MySQL 9: get it with: x\n"}
{"Action":"output","Package":"p","Test":"TestB/mysql9","Output":"    --- SKIP: TestB/mysql9 (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB/mysql9"}
{"Action":"output","Package":"p","Test":"TestC","Output":"c_test.go:1: broken\n"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"ok  \tq\t0.1s\n"}
{"Action":"pass","Package":"q"}
not an event
`))
	s.print()
	got := b.String()
	for _, want := range []string{
		"--- FAIL: p TestC\nc_test.go:1: broken\n", "FAIL\tp\t0.1s\n", "ok  \tq\t0.1s\n", "not an event\n",
		"skipped    1  NOT TESTED on MySQL 9: get it with: x\n",
		"1 packages failed\n1 passed, 1 failed, 1 skipped\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "chatter") {
		t.Errorf("what a passing test says is noise:\n%s", got)
	}
}

func TestArguments(t *testing.T) {
	all := append(slices.Clone(longest), "./...")
	for _, c := range []struct{ args, want []string }{
		{nil, append([]string{"-timeout=30m"}, all...)},
		{[]string{"-count=1", "-timeout", "5m"}, append([]string{"-count=1", "-timeout", "5m"}, all...)},
		{[]string{"-test.timeout=5m", "./trace"}, []string{"-test.timeout=5m", "./trace"}},
		{[]string{"./trace", "./test/..."}, []string{"-timeout=30m", "./trace", "./test/..."}},
	} {
		if got := arguments(c.args); !slices.Equal(got, c.want) {
			t.Errorf("%q becomes %q, want %q", c.args, got, c.want)
		}
	}
	for _, dir := range longest {
		if files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go")); err != nil || len(files) == 0 {
			t.Errorf("%s has no tests", dir)
		}
	}
}
