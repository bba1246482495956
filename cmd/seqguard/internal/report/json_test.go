package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Running a misuse again would only fail again, so nothing is said of a retry.
func TestJSONWithoutRetry(t *testing.T) {
	for severity, want := range map[cause.Severity]bool{cause.Notice: true, cause.Error: true, cause.Misuse: false, cause.DataIntegrity: true} {
		v := Violation{Cause: cause.Diagnosis{Slug: "x", Severity: severity, Executed: cause.ExecutedNo, RetrySafe: true}}
		var b bytes.Buffer
		if err := v.JSON(&b); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), `"retry_safe":true`); got != want || !want && strings.Contains(b.String(), "retry") {
			t.Errorf("%s: %s", severity, &b)
		}
	}
}
