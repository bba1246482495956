package cause

import (
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// What is said of a failure, and what must not be said because nobody has seen it.
func TestNothingIsSaidThatWasNotSeen(t *testing.T) {
	file := with(out(), func(e *Evidence) { e.Phase, e.FileSent = session.PhaseLocalInfile, 4096 })
	opaque := with(out(), func(e *Evidence) { e.Phase, e.TLS, e.Command, e.Stream = session.PhaseOpaque, TLSOpaque, 0, StreamEOF })
	company := Siblings{Looked: time.Second, Ended: 2, Spread: 300 * time.Millisecond}
	for _, tt := range []struct {
		name          string
		e             Evidence
		slug          Slug
		says, saysNot []string
	}{
		{"where an answer broke off that is not seen", with(opaque, func(e *Evidence) { e.AnswerStarted = true }), "connection_lost_mid_answer",
			[]string{"at a place that cannot be seen"}, []string{"between two packets", "inside a packet"}},
		{"the same, if it looks like a part of a packet", with(opaque, func(e *Evidence) { e.AnswerStarted, e.InsidePacket = true, true }), "connection_lost_mid_answer",
			[]string{"at a place that cannot be seen"}, []string{"between two packets", "inside a packet"}},
		{"many ends, one of them while a file was sent", with(file, func(e *Evidence) { e.Stream, e.Siblings = StreamBroken, company }), "ended_together",
			[]string{"While the file of LOAD DATA LOCAL INFILE was being sent"}, []string{"no command was outstanding"}},
		{"many ends, one of them of a binary log", with(out(), func(e *Evidence) {
			e.Phase, e.Command, e.Stream, e.Siblings = session.PhaseEvents, session.ComBinlogDump, StreamEOF, company
		}), "ended_together", []string{"While COM_BINLOG_DUMP was under way"}, []string{"no command was outstanding"}},
		{"a file, given up", with(file, func(e *Evidence) { e.Abandoned, e.AnswerStarted, e.Transport = AbandonDeadline, true, acked(200, nil) }), "abandoned",
			[]string{"while the file of LOAD DATA LOCAL INFILE was on its way", "Check what was loaded"}, []string{"does not answer", "in the middle of the answer", "go on running", "max_execution_time"}},
		{"a file that is taken slowly, given up", with(file, func(e *Evidence) {
			e.Abandoned, e.AnswerStarted, e.Transport = AbandonDeadline, true, acked(100, func(x *Transport) { x.Full, x.NotSent = true, 90 })
		}), "abandoned", []string{"more slowly than it is sent", "Check what was loaded"}, []string{"hangs", "keeps the server"}},
		{"a statement, given up", with(out(), func(e *Evidence) { e.Abandoned = AbandonDeadline }), "abandoned",
			[]string{"need not notice that before it writes"}, []string{"notices that only when"}},
		{"how much was left of a command inside TLS", with(out(), func(e *Evidence) {
			e.TLS, e.CommandBytes, e.Unsent, e.Kind, e.Violation, e.ServerError = TLSVisible, 3<<20, 7138, session.KindERR, session.MisnumberedError, srv(1153, "")
		}), "packet_too_large", []string{"At least the last 7138 bytes"}, nil},
		{"the same without a word of the server", with(out(), func(e *Evidence) { e.TLS, e.CommandBytes, e.Unsent, e.Stream = TLSVisible, 3<<20, 7138, StreamBroken }), "closed_before_answer",
			[]string{"with at least 7138 bytes not sent", "max_allowed_packet"}, nil},
		{"and in plaintext", with(out(), func(e *Evidence) { e.CommandBytes, e.Unsent, e.Stream = 3<<20, 7138, StreamBroken }), "closed_before_answer",
			[]string{"with 7138 bytes not sent"}, []string{"at least 7138"}},
		{"a small command on a connection that had ended", with(opaque, func(e *Evidence) { e.Unsent, e.CommandBytes, e.Stream = 31, 31, StreamReset }), "closed_before_answer",
			[]string{"wait_timeout"}, []string{"max_allowed_packet"}},
		{"an end a moment after an answer", with(rest(), func(e *Evidence) {
			e.BeforeCommand, e.Violation, e.Stream, e.Idle = true, session.Truncated, StreamEOF, 50*time.Millisecond
		}), "closed_while_idle",
			[]string{"COMMIT RELEASE"}, nil},
		{"init_connect failed", with(rest(), func(e *Evidence) {
			e.BeforeCommand, e.Violation, e.Stream, e.LastError = true, session.Truncated, StreamEOF, srv(1184, "Aborted connection 7 (init_connect command failed)")
		}), "server_farewell", []string{"init_connect command failed", "SELECT @@init_connect"}, []string{"memory"}},
	} {
		d := Diagnose(&tt.e)
		if d.Slug != tt.slug {
			t.Errorf("%s: %s, want %s", tt.name, d.Slug, tt.slug)
		}
		text := d.Explanation + " " + d.Advice + " " + d.Do
		says(t, tt.name, text, tt.says, tt.saysNot)
	}
}

// A server that dies while its client pauses between two rows looks like one that has given up
// on it. Which of the two it was is not known, so the title, which the error line begins
// with, does not say.
func TestTitleOfAPause(t *testing.T) {
	died := with(out(), func(e *Evidence) {
		e.Phase, e.AnswerStarted, e.InsidePacket, e.Stream = session.PhaseRows, true, true, StreamEOF
		e.LongestReadGap, e.SinceCommand = 2900*time.Millisecond, 3*time.Second
	})
	long := with(died, func(e *Evidence) { e.LongestReadGap, e.SinceCommand = 90*time.Second, 100*time.Second })
	told := with(died, func(e *Evidence) {
		e.Stream, e.ServerError = StreamOpen, srv(erWriteInterrupted, "Got timeout writing communication packets")
	})
	for _, tt := range []struct {
		name   string
		e      Evidence
		gaveUp bool
	}{{"a pause of 2.9 s", died, false}, {"one of 90 s", long, true}, {"the server has said so", told, true}} {
		if d := Diagnose(&tt.e); d.Slug != "slow_reader" || strings.Contains(d.Title, "gave up") != tt.gaveUp {
			t.Errorf("%s: %s: %s", tt.name, d.Slug, d.Title)
		}
	}
}

// The words of a server that had said why before are named in the error line, which does
// not have them.
func TestFarewellNamesItsWords(t *testing.T) {
	e := with(out(), func(e *Evidence) {
		e.Stream, e.LastError = StreamEOF, srv(4082, "Connection closed. Connection memory limit exceeded.")
	})
	if d := Diagnose(&e); d.Slug != "server_farewell" || !strings.Contains(d.Do, "ERR 4082") || len(d.Do) > maxDo {
		t.Errorf("%s: %q", d.Slug, d.Do)
	}
}

// says looks into what is said for what it must and must not say.
func says(t *testing.T, name, text string, must, mustNot []string) {
	t.Helper()
	for _, s := range must {
		if !strings.Contains(text, s) {
			t.Errorf("%s: it does not say %q: %s", name, s, text)
		}
	}
	for _, s := range mustNot {
		if strings.Contains(text, s) {
			t.Errorf("%s: it says %q: %s", name, s, text)
		}
	}
}
