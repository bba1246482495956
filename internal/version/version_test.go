package version

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The newest release in CHANGELOG.md is this one.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^## \[(\d[^\]]*)\]`).FindSubmatch(text)
	if m == nil {
		if !strings.Contains(string(text), "\n## [Unreleased]\n") {
			t.Error("CHANGELOG.md has neither a release nor what is to be one")
		}
		return
	}
	if got := string(m[1]); got != Version {
		t.Errorf("the newest release in CHANGELOG.md is %s, and Version is %s", got, Version)
	}
}

// What README.md tells to install is this one.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`mysql-seqguard@v(\d+\.\d+\.\d+)`).FindAllStringSubmatch(string(text), -1) {
		if m[1] != Version {
			t.Errorf("README.md says %s, and Version is %s", strings.TrimSpace(m[0]), Version)
		}
	}
}
