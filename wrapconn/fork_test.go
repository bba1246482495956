package wrapconn

import (
	"context"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// A Go program cannot fork, so the connection is told that another process made
// it. The first sign is an answer whose head the other one has read.
func TestUsedAfterFork(t *testing.T) {
	headless := func(change func(*Conn)) (told *Report) {
		c, m := loggedIn(t, Options{OnReport: func(_ context.Context, r *Report) { told = r }})
		change(c)
		pass(t, c, m, []segment{fromClient(0, []byte("\x03SELECT 1")), fromServer(3, []byte("\x011"))}, whole)
		return told
	}
	if r := headless(func(*Conn) {}); r == nil || r.Cause.Slug != "mismatched_answer" {
		t.Errorf("in the process that made it: %v", r)
	}
	r := headless(func(c *Conn) { c.pid++ })
	if r == nil || r.Cause.Slug != "used_after_fork" || r.Cause.Severity != cause.Misuse || r.Cause.RetrySafe {
		t.Fatalf("in another one: %v", r)
	}
	if !strings.Contains(r.Cause.Advice, "after the fork") {
		t.Error(r.Cause.Advice)
	}
}
