package wrapconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/internal/callers"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

func at(kind OpKind, file string, line int, age time.Duration) *Operation {
	return &Operation{Kind: kind, Age: age, Stack: []Frame{{Function: "main.f", File: file, Line: line}}}
}

func TestErrorLine(t *testing.T) {
	killed := &Report{
		Server: "db:3306", Connection: 2512, Owner: at(OpExec, "/src/shop/cart.go", 42, time.Second),
		Cause: cause.Diagnosis{Slug: "closed_before_answer", Title: "The connection ended before the command was answered",
			Do: "Look for KILL, a crash, or a limit of the proxy."},
	}
	stalled := &Report{
		Server: "db:3306", Connection: 8, Owner: at(OpConnect, "/src/shop/main.go", 7, 3*time.Second),
		Evidence: cause.Evidence{Violation: session.MisnumberedError, Actual: 1, Expected: 2, ServerError: &session.ServerError{Code: 1159, Message: "Got timeout"}},
		Cause: cause.Diagnosis{Slug: "login_stalled_locally", Title: "This process sent its login too late", Executed: cause.ExecutedNo, RetrySafe: true,
			Do: "Find what held this process up (CPU limit, overload)."},
	}
	open := &Report{
		Server: "db:3306", Connection: 1638, Conflict: Interleaving,
		Intruder: at(OpExec, "/src/svc/main.go", 208, 0), Owner: at(OpQuery, "/src/svc/main.go", 197, 500*time.Microsecond),
		Evidence: cause.Evidence{Goroutines: cause.OtherGoroutine, NothingWritten: true},
		Cause: cause.Diagnosis{Slug: "result_still_open", Title: "The rows of another command are still open", Severity: cause.Misuse, Executed: cause.ExecutedNo,
			Do: "Close the rows first, or read them into a slice."},
	}
	same := *open
	same.Evidence.Goroutines = cause.SameGoroutine
	same.Conflict = Overlap
	lost := *killed
	lost.Cause.Executed, lost.Cause.Lost = cause.ExecutedNo, true
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&ProtocolError{Report: killed, Err: errors.New("invalid connection")},
			"seqguard: invalid connection: The connection ended before the command was answered (db:3306 connection 2512, exec at shop/cart.go:42). " +
				"It may have been executed: check before you repeat it. Look for KILL, a crash, or a limit of the proxy. [closed_before_answer]"},
		{&ProtocolError{Report: killed},
			"seqguard: The connection ended before the command was answered (db:3306 connection 2512, exec at shop/cart.go:42). " +
				"It may have been executed: check before you repeat it. Look for KILL, a crash, or a limit of the proxy. [closed_before_answer]"},
		{&ProtocolError{Report: &lost, Err: errors.New("driver: bad connection")},
			"seqguard: driver: bad connection: The connection ended before the command was answered (db:3306 connection 2512, exec at shop/cart.go:42). " +
				"Not executed, and the transaction is lost. Look for KILL, a crash, or a limit of the proxy. [closed_before_answer]"},
		{&ProtocolError{Report: stalled, Err: errors.New("commands out of sync")},
			"seqguard: commands out of sync: This process sent its login too late " +
				"(db:3306 connection 8, connect at shop/main.go:7; ERR 1159, sequence id 1, 2 was due). Not executed. Find what held this process up (CPU limit, overload). [login_stalled_locally]"},
		{&OwnershipError{Report: open},
			"seqguard: The rows of another command are still open (db:3306 connection 1638, exec at svc/main.go:208 by another goroutine before the end of " +
				"query at svc/main.go:197, 500 µs ago). Not executed. Close the rows first, or read them into a slice. [result_still_open]"},
		{&OwnershipError{Report: &same},
			"seqguard: The rows of another command are still open (db:3306 connection 1638, exec at svc/main.go:208 during " +
				"query at svc/main.go:197, 500 µs ago). Not executed. Close the rows first, or read them into a slice. [result_still_open]"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		if got := fmt.Sprintf("%v|%s", tt.err, tt.err); got != tt.want+"|"+tt.want {
			t.Errorf("%%v and %%s: %s", got)
		}
		if got := fmt.Sprintf("%+v", tt.err); !strings.HasPrefix(got, tt.want+"\n") || !strings.Contains(got, "What to do: ") || !strings.Contains(got, "docs/causes.md#") {
			t.Errorf("%%+v: %s", got)
		}
		if got := fmt.Sprintf("%q", tt.err); got != fmt.Sprintf("%q", tt.want) {
			t.Errorf("%%q: %s", got)
		}
	}
}

// However long the parts are, the line is bounded, is one line, begins with the
// client's error and ends with what to do and the name of the cause.
func TestErrorLineIsBounded(t *testing.T) {
	long := strings.Repeat("ü", 2000)
	d := cause.Diagnosis{Slug: cause.Slug(strings.Repeat("s", 26)), Title: strings.Repeat("t", 68), Do: strings.Repeat("d", 59) + "."}
	for _, x := range []cause.Executed{cause.ExecutedNo, cause.ExecutedYes, cause.ExecutedUnknown} {
		for _, lost := range []bool{false, true} {
			for _, err := range []string{"", "invalid connection", "Error 1064: " + long, "a\nb\x00c\u2028d"} {
				for _, server := range []string{"db:3306", long} {
					d.Executed, d.Lost = x, lost
					r := &Report{
						Server: server, Connection: 1<<32 - 1, Conflict: Interleaving, Cause: d,
						Owner: at(OpNextResultSet, long+"/"+long+".go", 123456, time.Hour), Intruder: at(OpStmtClose, long+"/"+long+".go", 123456, time.Hour),
						Evidence: cause.Evidence{Goroutines: cause.OtherGoroutine, Violation: session.SequenceMismatch, Actual: 255, Expected: 254,
							ServerError: &session.ServerError{Code: 65535, Message: long}},
					}
					pe := &ProtocolError{Report: r}
					if err != "" {
						pe.Err = errors.New(err)
					}
					s := pe.Error()
					if n := utf8.RuneCountInString(s); n > MaxErrorLine {
						t.Errorf("%d characters: %s", n, s)
					}
					begin := strings.TrimSuffix(head(oneLine(err), minErr-1), "…")
					if !strings.HasPrefix(s, "seqguard: "+begin) || !strings.HasSuffix(s, d.Do+" ["+string(d.Slug)+"]") ||
						strings.ContainsAny(s, "\n\x00\u2028") {
						t.Errorf("%q", s)
					}
				}
			}
		}
	}
}

// A refusal tells whether the connection is in use by another goroutine; a build
// that has no numbers of goroutines (purego, other processors) says that it does not know.
func TestRefusalTellsGoroutines(t *testing.T) {
	same, other := cause.SameGoroutine, cause.OtherGoroutine
	if callers.Goroutine() == 0 {
		same, other = cause.GoroutinesUnknown, cause.GoroutinesUnknown
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for _, lease := range []bool{false, true} {
		c := New(a, Options{Operations: true, Server: "db:3306", CallSites: true})
		if _, err := c.Begin(context.Background(), OpQuery); err != nil {
			t.Fatal(err)
		}
		if lease {
			c.End(true)
		}
		refused := func() (g cause.Goroutines) {
			_, err := c.Begin(context.Background(), OpExec)
			var oe *OwnershipError
			if !errors.As(err, &oe) {
				t.Errorf("no refusal: %v", err)
				return 0
			}
			if other := strings.Contains(err.Error(), "by another goroutine"); other != (oe.Report.Evidence.Goroutines == cause.OtherGoroutine) {
				t.Errorf("%s", err)
			}
			return oe.Report.Evidence.Goroutines
		}
		if g := refused(); g != same {
			t.Errorf("lease %t: here: %s", lease, g)
		}
		done := make(chan cause.Goroutines)
		go func() { done <- refused() }()
		if g := <-done; g != other {
			t.Errorf("lease %t: there: %s", lease, g)
		}
	}
}
