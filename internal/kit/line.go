package kit

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// WantLine fails the test if the text of an error is not one line of at most
// wrapconn.MaxErrorLine characters that ends with the name of the cause.
func WantLine(t testing.TB, err error, slug string) {
	t.Helper()
	s := err.Error()
	if n := utf8.RuneCountInString(s); n > wrapconn.MaxErrorLine {
		t.Errorf("%d characters, at most %d: %s", n, wrapconn.MaxErrorLine, s)
	}
	if strings.ContainsAny(s, "\r\n") || !strings.HasPrefix(s, "seqguard: ") || !strings.HasSuffix(s, " ["+slug+"]") || strings.Contains(s, "://") {
		t.Errorf("not the line of an error: %q", s)
	}
}
