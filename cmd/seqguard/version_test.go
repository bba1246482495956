package main

import (
	"bytes"
	"context"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/version"
)

// TestVersion: the version is said on the standard output, and alone.
func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "-version", "--version"} {
		var out, errs bytes.Buffer
		code := run(context.Background(), []string{arg}, streams{nil, &out, &errs})
		line := out.String()
		if code != 0 || errs.Len() > 0 || !strings.HasPrefix(line, "seqguard "+version.Version) || !strings.Contains(line, " go1.") || strings.Count(line, "\n") != 1 {
			t.Errorf("%s: status %d, %q, %q", arg, code, line, &errs)
		}
	}
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"version", "proxy"}, streams{nil, &out, &errs}); code != 2 || out.Len() > 0 || !strings.Contains(errs.String(), `"proxy"`) {
		t.Errorf("status %d, %q, %q", code, &out, &errs)
	}
	if !strings.Contains(overview(), "seqguard version") {
		t.Errorf("it is not in the overview:\n%s", overview())
	}
}

func TestCommitOf(t *testing.T) {
	of := func(pairs ...string) *debug.BuildInfo {
		var info debug.BuildInfo
		for i := 0; i < len(pairs); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return &info
	}
	const commit, day = "336e5fc0b7c110355a0313d9d0879df2497ce3e1", "2026-11-28T13:14:17Z"
	for _, c := range []struct {
		info *debug.BuildInfo
		want string
	}{
		{nil, ""},
		{of("GOOS", "linux"), ""},
		{of("vcs.revision", commit, "vcs.time", day, "vcs.modified", "false"), " (336e5fc0b7c1, 2026-11-28)"},
		{of("vcs.revision", commit, "vcs.time", day, "vcs.modified", "true"), " (336e5fc0b7c1, 2026-11-28, modified)"},
		{of("vcs.revision", "1"), " (1)"},
	} {
		if got := commitOf(c.info); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
