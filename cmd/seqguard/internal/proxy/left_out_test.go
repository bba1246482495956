package proxy

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// TestLeftOutIsTold: how many reports were left out is said soon behind the storm, also
// if no further report comes; and at the end of the proxy.
func TestLeftOutIsTold(t *testing.T) {
	for _, atEnd := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var lines []string
			told := 0
			p := New(Config{
				Log:      func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) },
				OnReport: func(*report.Violation) { told++ },
			})
			for range burst + 7 {
				p.report(&report.Violation{Cause: cause.Diagnosis{Slug: "concurrent_use"}})
				synctest.Wait()
			}
			if atEnd {
				p.Farewell()
			} else {
				<-time.After(leftOutTime + time.Millisecond)
			}
			synctest.Wait()
			text := strings.Join(lines, "\n")
			if told != burst || strings.Count(text, "7 more reports of concurrent_use were left out") != 1 {
				t.Errorf("at the end %t: %d told\n%s", atEnd, told, text)
			}
			if atEnd != strings.Contains(text, "seqguard proxy ends: 0 connections, 57 violations") {
				t.Errorf("at the end %t:\n%s", atEnd, text)
			}
			<-time.After(2 * leftOutTime)
			if synctest.Wait(); strings.Count(strings.Join(lines, "\n"), "left out") != 1 {
				t.Errorf("told again:\n%s", strings.Join(lines, "\n"))
			}
		})
	}
}

// TestStormOfLines: a server that is down makes no line for each client that tries.
func TestStormOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		p := New(Config{Log: func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }})
		for i := range 3 * burst {
			p.logOf(unreached, "client %d: no connection to the server", i)
			synctest.Wait()
		}
		<-time.After(leftOutTime + time.Millisecond)
		p.logOf(unreached, "client again")
		synctest.Wait()
		want := fmt.Sprintf("%d more reports of a server that is not reached were left out: there were too many", 2*burst)
		if n := len(lines); n != burst+2 || lines[n-2] != want || lines[n-1] != "client again" {
			t.Errorf("%d lines\n%s", n, strings.Join(lines, "\n"))
		}
	})
}
