package cause

import (
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// TestBehindAnAnswerMayHaveRun: behind the beginning of an answer, or behind a request for a file, a part of the command has been executed, if only
// the first of its statements. Whatever ends the connection then, it is not "not executed", and it is not safe to run the command again.
func TestBehindAnAnswerMayHaveRun(t *testing.T) {
	places := map[string]Evidence{
		"file":           {Phase: session.PhaseLocalInfile, AnswerStarted: true},
		"file asked for": {Phase: session.PhaseLocalInfile},
		"file sent":      {Phase: session.PhaseCommand, FileSent: 100, AnswerStarted: true},
		"columns":        {Phase: session.PhaseColumns, AnswerStarted: true},
		"rows":           {Phase: session.PhaseRows, AnswerStarted: true},
		"further result": {Phase: session.PhaseMoreResults, AnswerStarted: true},
		"unseen":         {Phase: session.PhaseOpaque, AnswerStarted: true, SinceCommand: 1},
	}
	codes := []uint16{0, 1064}
	for c := range codeNames {
		codes = append(codes, c)
	}
	told := map[string]bool{}
	for name, at := range places {
		for _, code := range codes {
			for _, stream := range []StreamEnd{StreamOpen, StreamEOF, StreamReset, StreamTimeout, StreamBroken} {
				for _, unsent := range []int{0, 100} {
					for _, v := range []session.Violation{session.None, session.Truncated, session.SequenceMismatch, session.MisnumberedError, session.Unsolicited, session.Malformed} {
						for _, maria := range []bool{false, true} {
							e := at
							e.Violation, e.Stream, e.Unsent, e.MariaDB = v, stream, unsent, maria
							e.Direction, e.Command, e.Pending, e.Commands = session.FromServer, session.ComQuery, 1, 3
							e.Client.Local, e.Watched = true, true
							if code != 0 {
								e.ServerError, e.Kind, e.Expected, e.Actual = &session.ServerError{Code: code}, session.KindERR, 9, 3
							}
							if v == session.MisnumberedError && code == 0 {
								continue
							}
							d := Diagnose(&e)
							if d.Executed != ExecutedNo && !d.RetrySafe {
								continue
							}
							k := name + " " + string(d.Slug)
							if !told[k] {
								told[k] = true
								t.Errorf("%s, ERR %d, %v, unsent %d, %v: %s: executed %v, retry safe %t", name, code, stream, unsent, v, d.Slug, d.Executed, d.RetrySafe)
							}
						}
					}
				}
			}
		}
	}
}
