package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/seqguard/mysql-seqguard/internal/version"
)

// versionLine is what a report of a bug needs: the release, the commit it was built
// from, where that is known, and what it was built with.
func versionLine() string {
	info, _ := debug.ReadBuildInfo()
	return "seqguard " + version.Version + commitOf(info) + fmt.Sprintf(" %s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// commitOf is the commit in parentheses; nothing where the go command has recorded none,
// as with -buildvcs=false or outside a clone.
func commitOf(info *debug.BuildInfo) string {
	if info == nil {
		return ""
	}
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	revision := set["vcs.revision"]
	if revision == "" {
		return ""
	}
	s := " (" + revision[:min(len(revision), 12)]
	if day, _, ok := strings.Cut(set["vcs.time"], "T"); ok {
		s += ", " + day
	}
	if set["vcs.modified"] == "true" {
		s += ", modified"
	}
	return s + ")"
}
