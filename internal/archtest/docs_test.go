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
