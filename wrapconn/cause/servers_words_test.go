package cause

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// needs are things to do that are right on one server only, or with something said
// beside them: somebody on call does what is written.
var needs = []struct {
	what *regexp.Regexp
	with string
	why  string
}{
	{regexp.MustCompile(`ALTER USER … IDENTIFIED WITH`), "BY '…'", "MySQL takes the password away"},
	{regexp.MustCompile(`ALTER USER … IDENTIFIED VIA`), "USING PASSWORD('…')", "MariaDB takes the password away"},
	{regexp.MustCompile(`FLUSH HOSTS`), "MariaDB", "MySQL 9.7 says ERR 1064"},
	{regexp.MustCompile(`max_connect_errors\)\. Find out`), "a wrong password does not count", "measured on MariaDB 11.8 with max_connect_errors=3: six wrong passwords block nobody, three that hang up do"},
	{regexp.MustCompile("Aborted connection"), "log_error_verbosity=3", "MySQL does not write it by default"},
	{regexp.MustCompile("SHA-1 signatures"), "tlssha1=1|A newer library", "only Go 1.25 and later leave them out"},
}

// TestAdviceFitsTheServer holds the page and the sentences of each case to that.
func TestAdviceFitsTheServer(t *testing.T) {
	told := map[string]bool{}
	check := func(where, text string) {
		for _, n := range needs {
			if n.what.MatchString(text) && !regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(n.with), `\|`, "|")).MatchString(text) && !told[text] {
				told[text] = true
				t.Errorf("%s: %q without %q (%s): %s", where, n.what, n.with, n.why, text)
			}
		}
	}
	page, err := os.ReadFile("../../docs/causes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range regexp.MustCompile(`\n\n|\n- `).Split(strings.ReplaceAll(string(page), "\r\n", "\n"), -1) {
		check("docs/causes.md", strings.ReplaceAll(p, "\n", " "))
	}
	for _, c := range slices.Concat(cases, faultCases) {
		for _, mariaDB := range []bool{false, true} {
			for _, client := range []Client{c.e.Client, {Name: "pymysql", Address: "10.0.0.7:4711"}} {
				e := c.e
				e.MariaDB, e.Client = mariaDB, client
				d := Diagnose(&e)
				check(string(d.Slug), d.Explanation+" "+d.Advice)
				check(string(d.Slug), d.Do)
			}
		}
	}
	for code := range uint16(10000) { // whatever a server says in place of its greeting
		e := Evidence{ServerError: srv(code, "")}
		check("refused_before_greeting", do["refused_before_greeting"](&e))
		check("refused_before_greeting", refusal(&e))
	}
}
