package cause

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// An error line has 300 characters. With these bounds there is room for the
// client's own error and for the place (see wrapconn.MaxErrorLine).
const (
	maxTitle = 68
	maxDo    = 60
	maxSlug  = 26
)

// Each cause has one thing to do, in words that fit into an error line.
func TestWhatFitsIntoAnErrorLine(t *testing.T) {
	fits := func(slug Slug, what, s string, most int) {
		if n := utf8.RuneCountInString(s); n == 0 || n > most || strings.ContainsAny(s, "\n\r\t") {
			t.Errorf("%s: the %s has %d characters, and 1 to %d fit: %q", slug, what, n, most, s)
		}
	}
	for _, r := range rules {
		fits(r.slug, "title", r.title, maxTitle)
		fits(r.slug, "slug", string(r.slug), maxSlug)
		if do[r.slug] == nil {
			t.Errorf("%s: there is nothing to do in do.go", r.slug)
		}
	}
	if len(do) != len(rules) {
		t.Errorf("%d causes, and %d have something to do", len(rules), len(do))
	}
	for _, c := range cases {
		d := Diagnose(&c.e)
		fits(d.Slug, "title of the picture", d.Title, maxTitle)
		fits(d.Slug, "Do", d.Do, maxDo)
		if !strings.HasSuffix(d.Do, ".") {
			t.Errorf("%s: %q is no sentence", d.Slug, d.Do)
		}
	}
}

// What to do about an idle connection depends on how long it was idle, and on
// who held it.
func TestDoWhileIdle(t *testing.T) {
	for _, tt := range []struct {
		change func(*Evidence)
		want   string
	}{
		{func(*Evidence) {}, "SetConnMaxIdleTime"},
		{func(e *Evidence) { e.Idle = shortestIdleLimit / 10 }, "KILL"},
		{func(e *Evidence) { e.Pinned = true }, "Close the sql.Conn"},
	} {
		e := rest()
		tt.change(&e)
		if got := do["closed_while_idle"](&e); !strings.Contains(got, tt.want) {
			t.Errorf("%q, want %q in it", got, tt.want)
		}
	}
}

// A server that says it was idle for too long is believed, however short that was: nobody is told to look for a KILL.
func TestDoIdleTimeout(t *testing.T) {
	e := rest()
	e.Idle = shortestIdleLimit / 10
	if got := do["idle_timeout"](&e); got != "Set SetConnMaxIdleTime below wait_timeout." {
		t.Errorf("%q", got)
	}
	e.Pinned = true
	if got := do["idle_timeout"](&e); got != giveBack {
		t.Errorf("%q", got)
	}
}

// A command that may have been refused for its size is compared with the limit first: a KILL is the rarer case.
func TestDoClosedBeforeAnswer(t *testing.T) {
	for _, tt := range []struct {
		change func(*Evidence)
		want   string
	}{
		{func(*Evidence) {}, "KILL"},
		{func(e *Evidence) { e.CommandBytes = 2 << 20 }, "max_allowed_packet"},
		{func(e *Evidence) { e.Unsent = 5000 }, "max_allowed_packet"},
	} {
		e := with(out(), func(e *Evidence) { e.Stream = StreamEOF })
		tt.change(&e)
		if d := Diagnose(&e); d.Slug != "closed_before_answer" || !strings.Contains(d.Do, tt.want) || utf8.RuneCountInString(d.Do) > maxDo {
			t.Errorf("%s: %q, want %q in it", d.Slug, d.Do, tt.want)
		}
	}
}

// What to do about a refusal depends on its code.
func TestDoRefused(t *testing.T) {
	for code, want := range map[uint16]string{1040: "max_connections", 1203: "max_user_connections", 1129: "empty the host cache", 1130: "account", 1053: "again", 1135: "words"} {
		e := Evidence{ServerError: &session.ServerError{Code: code}}
		got := do["refused_before_greeting"](&e)
		if !strings.Contains(got, want) || utf8.RuneCountInString(got) > maxDo {
			t.Errorf("%d: %q, want %q in it", code, got, want)
		}
	}
}

// Rows that another goroutine reads are not closed by this one.
func TestDoAcrossGoroutines(t *testing.T) {
	e := Evidence{Phase: session.PhaseRows, Ownership: OwnershipInterleaving, NothingWritten: true, Goroutines: OtherGoroutine}
	d := Diagnose(&e)
	if d.Slug != "result_still_open" || !strings.Contains(d.Do, "each goroutine") || !strings.Contains(d.Explanation, "different goroutines") {
		t.Errorf("%+v", d)
	}
	e.Goroutines = SameGoroutine
	if d := Diagnose(&e); !strings.HasPrefix(d.Do, "Close the rows") || strings.Contains(d.Explanation, "goroutine") {
		t.Errorf("%+v", d)
	}
}

// A pause of the program's own is told by its line, if that is known and fits.
func TestDoNamesThePlace(t *testing.T) {
	const ownCode = "It was not short of CPU: look at your own code."
	for stack, want := range map[string]string{
		"": ownCode,
		"shop.(*Cache).fill (shop/cache.go:42), in sync.(*Mutex).Lock":               "Look at shop/cache.go:42: the program was there.",
		"main.main (shop/main.go:7)":                                                 "Look at shop/main.go:7: the program was there.",
		"shop.(*Cache).fill":                                                         ownCode,
		"shop.fill (a_folder_with_a_long_name/and_a_file_with_a_long_name.go:10042)": ownCode,
	} {
		e := Evidence{Phase: session.PhaseRows, Pending: 1, AnswerStarted: true, Stream: StreamReset, LongestReadGap: 61 * time.Second, SinceCommand: 62 * time.Second,
			Stall: Stall{Known: true, Window: 62 * time.Second, WaitKnown: true, Beats: 60, Stack: stack}}
		if d := Diagnose(&e); d.Do != want || utf8.RuneCountInString(d.Do) > maxDo {
			t.Errorf("%s: %q, want %q", stack, d.Do, want)
		}
	}
}
