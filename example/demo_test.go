package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	seqguard "github.com/seqguard/mysql-seqguard"
)

// expected is what a scenario must come to.
type expected struct {
	plain, log string   // in the plain driver's error and in its log; "" is no error
	plainNotes []string // that the application must see
	slug       string   // the cause
	fails      bool     // the guarded operation returns an error
	notes      []string
}

var expectations = map[string]expected{
	"login-stalled": {
		plain: "Error 1159", log: "expected 2, got 1",
		slug: "login_stalled_locally", fails: true,
	},
	"login-held": {
		plain: "Error 1159", log: "expected 2, got 1",
		slug: "login_delayed_on_the_way", fails: true,
	},
	"refused": {
		plain: "Error 1040: Too many connections",
		slug:  "refused_before_greeting", fails: true,
	},
	"not-mysql": {
		plain: "invalid connection", log: "expected 0, got 80",
		slug: "not_mysql", fails: true,
	},
	"idle-pool": {
		log:  "closing bad idle connection: unexpected read from socket",
		slug: "idle_timeout",
	},
	"idle-pinned": {
		plain: "Error 4031", log: "expected 1, got 0",
		slug: "idle_timeout", fails: true,
	},
	"rows-open": {
		plain: "busy buffer", plainNotes: []string{"then commands out of sync", "COMMIT: invalid connection"},
		slug: "result_still_open", fails: true,
		notes: []string{"rows read: 300 of 300", "COMMIT: ok"},
	},
	"ghost-update": {
		plainNotes: []string{"UPDATE no_such_table SET a = 1: ok", "no_such_table", "COMMIT: invalid connection"},
		slug:       "result_still_open", fails: true,
		notes: []string{"rows read: 300 of 300", "COMMIT: ok"},
	},
	"stale": {
		plainNotes: []string{"SELECT 'Alice': Alice", "SELECT 'Bob': Alice ← wrong", "SELECT 'Carol': Bob ← wrong"},
		slug:       "unsolicited_packet", fails: true,
		notes: []string{"SELECT 'Alice': Alice", "SELECT 'Bob': refused"},
	},
	"misnumbered": {
		plain: "commands out of sync", log: "expected 7, got 8",
		slug: "peer_misnumbers_results", fails: true,
		notes: []string{"rows read: 3"},
	},
	"cut": {
		plain: "invalid connection", log: "unexpected EOF",
		slug: "connection_lost_mid_answer", fails: true,
	},
	"load-data": {
		plain: "disk read error", plainNotes: []string{"rows in the table: 10"},
		slug: "local_infile_partial", fails: true,
		notes: []string{"rows in the table: 10"},
	},
}

// TestDemo holds every scenario to its outcome, so that the demo cannot rot.
func TestDemo(t *testing.T) {
	server, stop, err := newTarget(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if len(expectations) != len(scenarios) {
		t.Errorf("%d scenarios, %d expectations", len(scenarios), len(expectations))
	}
	chosen, err := choose("")
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range compareAll(t.Context(), server, chosen) {
		s := chosen[i]
		t.Run(s.name, func(t *testing.T) {
			c := <-result
			if c.err != nil || c.skipped != "" {
				t.Fatalf("not run: %v %s", c.err, c.skipped)
			}
			want, ok := expectations[s.name]
			if !ok {
				t.Fatal("no expectation")
			}
			want.check(t, &c)
			checkOutput(t, &c)
		})
	}
}

func (want *expected) check(t *testing.T, c *comparison) {
	t.Helper()
	if c.plain.panicked != nil {
		t.Errorf("%s panicked: %v", plain, c.plain.panicked)
	}
	checkError(t, plain, c.plain.err, want.plain != "", want.plain)
	if log := strings.Join(c.plain.log, "\n"); !strings.Contains(log, want.log) {
		t.Errorf("%s logged %q, want %q in it", plain, log, want.log)
	}
	checkNotes(t, plain, c.plain.notes, want.plainNotes)
	if len(c.plain.reports) > 0 {
		t.Errorf("%s reports", plain)
	}

	if c.guarded.panicked != nil {
		t.Errorf("%s panicked: %v", guarded, c.guarded.panicked)
	}
	checkError(t, guarded, c.guarded.err, want.fails, "seqguard: ")
	checkNotes(t, guarded, c.guarded.notes, want.notes)
	r := c.guarded.report()
	if r == nil {
		t.Fatalf("no report; error %v", c.guarded.err)
	}
	if len(c.guarded.reports) != 1 {
		t.Errorf("%d reports, want 1", len(c.guarded.reports))
	}
	if string(r.Cause.Slug) != want.slug {
		t.Errorf("cause %s, want %s\n%s", r.Cause.Slug, want.slug, r.Timeline())
	}
	var typed interface{ ErrorType() string }
	if want.fails && (!errors.As(c.guarded.err, &typed) || typed.ErrorType() != want.slug) {
		t.Errorf("the error's type is not %s: %v", want.slug, c.guarded.err)
	}
	var refused *seqguard.OwnershipError
	if got := errors.As(c.guarded.err, &refused); got != (want.slug == "result_still_open") {
		t.Errorf("OwnershipError %v: %v", got, c.guarded.err)
	}
}

func checkError(t *testing.T, driver string, err error, fails bool, text string) {
	t.Helper()
	if (err != nil) != fails || err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("%s: error %v, want %q", driver, err, text)
	}
}

func checkNotes(t *testing.T, driver string, got []note, want []string) {
	t.Helper()
	var lines []string
	for _, n := range got {
		lines = append(lines, n.what+": "+n.result)
	}
	all := strings.Join(lines, "\n")
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("%s: notes\n%s\nwant %q in them", driver, all, w)
		}
	}
}

// checkOutput: the terminal has 100 columns.
func checkOutput(t *testing.T, c *comparison) {
	t.Helper()
	var b bytes.Buffer
	(&printer{w: &b}).comparison(c)
	for l := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(l, "\n")); n > width {
			t.Errorf("%d columns: %s", n, l)
		}
	}
	if !strings.Contains(b.String(), string(c.guarded.report().Cause.Slug)) {
		t.Errorf("the cause is not in\n%s", b.String())
	}
}

func TestFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-list":           "ghost-update ",
		"-list -run sta":  "stale ",
		"-run refused -v": "the error of mysql-seqguard, in full",
		"-run not.*sql":   "not_mysql",
	} {
		var b bytes.Buffer
		if err := demo(t.Context(), strings.Fields(args), &b); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%s: %v\n%s", args, err, b.String())
		}
	}
	for args, want := range map[string]string{
		"-run nothing":                         "no scenario",
		"-run (":                               "-run",
		"-dsn nonsense":                        "invalid DSN",
		"-dsn u:p@tcp(127.0.0.1:1)/d":          "the server of -dsn",
		"-dsn u:p@tcp(127.0.0.1:1)/d?tls=true": "take tls out",
	} {
		var b bytes.Buffer
		if err := demo(t.Context(), strings.Fields(args), &b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// With -stdout each scenario's span is printed, and its trace named.
func TestStdout(t *testing.T) {
	var b bytes.Buffer
	start := time.Now()
	if err := demo(t.Context(), []string{"-stdout", "-run", "refused"}, &b); err != nil {
		t.Fatal(err)
	}
	if time.Since(start) > 10*time.Second {
		t.Error("it took too long")
	}
	for _, want := range []string{`"Name": "demo refused"`, `"Name": "seqguard.violation `, "mysql-seqguard-example", "trace "} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}
