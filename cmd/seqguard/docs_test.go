package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocs holds docs/command.md against the flags: each is in the table of its
// command with its default, and there is no other.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/command.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "`seqguard version` (or `-version`)") {
		t.Error("it does not speak of seqguard version")
	}
	row := regexp.MustCompile("(?m)^\\| `-([a-z-]+)` \\| .* \\| (.*)\\|$")
	for _, c := range commands {
		_, section, ok := strings.Cut(string(b), "\n## seqguard "+c.name+"\n")
		if !ok {
			t.Errorf("no section of %s", c.name)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		if !strings.Contains(section, "    "+c.usage+"\n") {
			t.Errorf("%s: the usage line is not %q", c.name, c.usage)
		}
		written := map[string]string{}
		for _, m := range row.FindAllStringSubmatch(section, -1) {
			written[m[1]] = strings.Trim(strings.TrimSpace(strings.Split(m[2], " (")[0]), "` ")
		}
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		c.setup(fs)
		fs.VisitAll(func(f *flag.Flag) {
			want := f.DefValue
			if want == "false" {
				want = ""
			}
			got, ok := written[f.Name]
			if !ok {
				t.Errorf("%s: -%s is not in the table", c.name, f.Name)
			} else if got != want {
				t.Errorf("%s: the default of -%s is %q, the table says %q", c.name, f.Name, want, got)
			}
			delete(written, f.Name)
		})
		for name := range written {
			t.Errorf("%s has no flag -%s", c.name, name)
		}
	}
}

// TestHelp: -h teaches, and names each flag; a wrong call says what is wrong.
func TestHelp(t *testing.T) {
	for _, c := range commands {
		for _, args := range [][]string{{c.name, "-h"}, {"help", c.name}, {c.name, "--help"}} {
			var out, errs bytes.Buffer
			if code := run(context.Background(), args, streams{nil, &out, &errs}); code != 0 || errs.Len() > 0 {
				t.Errorf("%v: status %d, %s", args, code, &errs)
			}
			fs := flag.NewFlagSet("", flag.ContinueOnError)
			c.setup(fs)
			fs.VisitAll(func(f *flag.Flag) {
				if !strings.Contains(out.String(), "\n  -"+f.Name) {
					t.Errorf("%v does not explain -%s", args, f.Name)
				}
			})
			if !strings.Contains(out.String(), "Examples:") || !strings.Contains(out.String(), "Exit status:") {
				t.Errorf("%v:\n%s", args, &out)
			}
		}
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "seqguard explain"},
		{[]string{"explian"}, `no command "explian"`},
		{[]string{"explain"}, "one capture is needed"},
		{[]string{"explain", "-json", "-html", "x", "y"}, "exclude each other"},
		{[]string{"explain", "-port", "0", "y"}, "not a port"},
		{[]string{"explain", "-sql", "y"}, "go with -packets"},
		{[]string{"explain", "-rows", "y"}, "go with -packets"},
		{[]string{"explain", "-packets", "-sql", "-json", "y"}, "-sql is for the text"},
		{[]string{"explain", "-packets", "-html", "x", "y"}, "has a timeline"},
		{[]string{"proxy"}, "-server is missing"},
		{[]string{"proxy", "-server", "db"}, "neither host:port"},
		{[]string{"proxy", "-server", "db:1", "-tls", "on"}, "passthrough or terminate"},
		{[]string{"proxy", "-server", "db:1", "-cert", "x"}, "go together"},
		{[]string{"proxy", "-server", "db:1", "-cert-out", "x"}, "for -tls terminate"},
		{[]string{"proxy", "-server", "/run/db", "-tls", "terminate", "-server-ca", "x"}, "-server-ca checks the server's name"},
		{[]string{"proxy", "-server", "db:1", "more"}, `unexpected argument "more"`},
	} {
		var out, errs bytes.Buffer
		if code := run(context.Background(), c.args, streams{nil, &out, &errs}); code != 2 || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%v: status %d, %s", c.args, code, &errs)
		}
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"explain", "/no/such/file"}, "no such file"},
		{[]string{"proxy", "-server", "db:1", "-keylog", t.TempDir()}, "no regular file"},
		{[]string{"proxy", "-server", "db:1", "-keylog", "docs_test.go/x"}, "-keylog: "},
	} {
		var out, errs bytes.Buffer
		if code := run(context.Background(), c.args, streams{nil, &out, &errs}); code != 1 || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%v: status %d, %s", c.args, code, &errs)
		}
	}
}
