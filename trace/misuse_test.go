package trace_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// Running a misuse again would only fail again: nothing that tells of it has the
// word retry, in any form. Of a state in which nothing has failed, it says neither
// that nor what was executed.
func TestWithoutRetry(t *testing.T) {
	for slug, words := range map[string][]string{
		"result_still_open": {"retry"},
		"pool_exhausted":    {"retry", "executed"},
	} {
		k := newKit()
		r := all(context.Background())[slug]
		k.rec.Report(r.Context, r)
		told := map[string]string{
			"span":      fmt.Sprint(k.violation(t).Attributes(), k.violation(t).Events(), k.violation(t).Status()),
			"record":    fmt.Sprint(k.logs.records[0].Body(), k.record(t)),
			"slog":      k.text.String(),
			"LogValue":  r.LogValue().String(),
			"String":    r.String(),
			"Summary":   r.Summary(),
			"diagnosis": r.Cause.Explanation + r.Cause.Advice + r.Cause.Do + r.Cause.Title,
		}
		for name, text := range told {
			if !strings.Contains(text, slug) && name != "diagnosis" {
				t.Errorf("%s: %s is not about it: %s", slug, name, text)
			}
			for _, w := range words {
				if strings.Contains(strings.ToLower(text), w) {
					t.Errorf("%s: %s has %q: %s", slug, name, w, text)
				}
			}
		}
	}
	// This shows that the test would see it.
	k := newKit()
	r := stalled(context.Background())
	k.rec.Report(r.Context, r)
	if v, ok := get(k.violation(t).Attributes(), "seqguard.retry_safe"); !ok || !v.AsBool() {
		t.Error("a failure has no seqguard.retry_safe")
	}
}
