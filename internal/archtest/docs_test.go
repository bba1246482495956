package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// A path, in backquotes: it ends in a slash or in the extension of a file.
var quotedPath = regexp.MustCompile("`([a-z][a-zA-Z0-9_./-]*(?:/|\\.go|\\.md|\\.sh))`")

// TestArchitecturePaths holds the paths of docs/architecture.md: what it describes is there.
func TestArchitecturePaths(t *testing.T) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "docs/architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	paths := quotedPath.FindAllSubmatch(text, -1)
	if len(paths) < 15 {
		t.Fatalf("%d paths: has their form changed?", len(paths))
	}
	for _, m := range paths {
		if _, err := os.Stat(filepath.Join(root, string(m[1]))); err != nil {
			t.Errorf("it speaks of %s, which is not there", m[1])
		}
	}
}

var (
	namedTest = regexp.MustCompile(`\bTest[A-Z]\w*`)
	testFunc  = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// TestAdoptTests holds the tests that docs/adopt.md names beside its lines: they are there.
func TestAdoptTests(t *testing.T) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "docs/adopt.md"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, dir := range []string{"example/adopt", "example/adopt/byname", "example/adopt/ddtrace", "test/doors", "wrapconn"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d tests, %v", dir, len(files), err)
		}
		for _, f := range files {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range testFunc.FindAllSubmatch(src, -1) {
				there[string(m[1])] = true
			}
		}
	}
	named := namedTest.FindAll(text, -1)
	if len(named) < 25 {
		t.Fatalf("%d tests are named: has their form changed?", len(named))
	}
	for _, n := range named {
		if !there[string(n)] {
			t.Errorf("it names %s, which is not there", n)
		}
	}
}
