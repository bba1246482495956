package cause

import (
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// wireTest plays packets into a tracker and takes the evidence as a connection
// does, so that the rules are tried on what the tracker really says.
type wireTest struct {
	session.Tracker
	e Evidence
}

func (w *wireTest) packet(d session.Direction, seq uint8, payload string) {
	before := Evidence{Phase: w.Phase(), Pending: w.Pending(), AnswerStarted: w.AnswerStarted() && w.Phase().Answering(), Command: w.Command(), InTransaction: w.InTransaction()}
	ev := w.Packet(session.Packet{Direction: d, Seq: seq, Length: uint32(len(payload)), Prefix: []byte(payload)})
	before.Violation, before.Kind, before.Direction, before.Expected, before.Actual, before.Length = ev.Violation, ev.Kind, d, ev.Expected, seq, uint32(len(payload))
	if ev.Kind == session.KindERR {
		x, _ := session.ParseError([]byte(payload))
		before.ServerError = &x
	}
	w.e = before
}

func (w *wireTest) server(seq uint8, payload string) { w.packet(session.FromServer, seq, payload) }
func (w *wireTest) client(seq uint8, payload string) { w.packet(session.FromClient, seq, payload) }

func (w *wireTest) end(inside bool) {
	w.e = Evidence{Phase: w.Phase(), Pending: w.Pending(), AnswerStarted: w.AnswerStarted() && w.Phase().Answering(), Command: w.Command(), Stream: StreamEOF, InsidePacket: inside}
	w.e.Violation = w.EndOfStream(inside)
}

const (
	greeting = "\x0a9.7.4\x00" + "\x01\x00\x00\x00" + "12345678\x00" + "\xff\xf7" + "\x21\x02\x00" + "\xff\xff" + "\x15" + "0123456789" + "abcdefghijkl\x00" + "caching_sha2_password\x00"
	loginOK  = "\x05\x82\x00\x00" + "\x00\x00\x00\x01" + "\x21" + "01234567890123456789012" + "root\x00"
	sslReq   = "\x05\x8a\x00\x00" + "\x00\x00\x00\x01" + "\x21" + "01234567890123456789012"
	ok       = "\x00\x00\x00\x02\x00\x00\x00"
	more     = "\x00\x00\x00\x0a\x00\x00\x00"
	query    = "\x03SELECT 1"
)

func errPacket(code uint16) string {
	return "\xff" + string([]byte{byte(code), byte(code >> 8)}) + "#08S01words"
}

func TestOnTracker(t *testing.T) {
	in := func(w *wireTest) { // logged in
		w.server(0, greeting)
		w.client(1, loginOK)
		w.server(2, ok)
	}
	for _, tt := range []struct {
		want Slug
		name string
		play func(*wireTest)
	}{
		{"refused_before_greeting", "1040", func(w *wireTest) { w.server(0, errPacket(1040)) }},
		{"refused_before_greeting", "number 1", func(w *wireTest) { w.server(1, errPacket(1129)) }},
		{"not_mysql", "X Protocol", func(w *wireTest) {
			w.server(0, "\x0b"+strings.Repeat("\x00", 83))
			w.e.FirstBytes = []byte("\x54\x00\x00\x00\x0b")
		}},
		{"no_greeting", "closed", func(w *wireTest) { w.end(false) }},
		{"login_stalled_locally", "1 and 2", func(w *wireTest) {
			w.server(0, greeting)
			w.client(1, loginOK)
			w.server(1, errPacket(1159))
			w.e.LoginAfter, w.e.OwnPause, w.e.SinceLogin = 3*time.Second, 3*time.Second, time.Millisecond
		}},
		{"login_stalled_locally", "before SSLRequest", func(w *wireTest) {
			w.server(0, greeting)
			w.client(1, sslReq)
			w.server(1, errPacket(1159))
			w.e.OwnPause = 3 * time.Second
		}},
		{"login_stalled_locally", "2 and 3, in TLS", func(w *wireTest) {
			w.server(0, greeting)
			w.client(1, sslReq)
			w.client(2, loginOK)
			w.server(2, errPacket(1159))
			w.e.OwnPause = 3 * time.Second
		}},
		{"login_delayed_on_the_way", "held", func(w *wireTest) {
			w.server(0, greeting)
			w.client(1, loginOK)
			w.server(1, errPacket(1159))
			w.e.LoginAfter, w.e.SinceLogin = time.Millisecond, 3*time.Second
		}},
		{"login_unreadable", "1158", func(w *wireTest) { w.server(0, greeting); w.client(1, loginOK); w.server(1, errPacket(1158)) }},
		{"renumbered_on_the_way", "1156", func(w *wireTest) { w.server(0, greeting); w.client(1, loginOK); w.server(1, errPacket(1156)) }},
		{"proxy_refusal_misnumbered", "1105", func(w *wireTest) { w.server(0, greeting); w.client(1, loginOK); w.server(1, errPacket(1105)) }},
		{"peer_misnumbers_handshake", "OK", func(w *wireTest) { w.server(0, greeting); w.client(1, loginOK); w.server(3, ok) }},
		{"login_unanswered", "closed", func(w *wireTest) { w.server(0, greeting); w.client(1, loginOK); w.end(false) }},
		{"client_misnumbered", "login", func(w *wireTest) { w.server(0, greeting); w.client(0, loginOK) }},
		{"idle_timeout", "waiting", func(w *wireTest) { in(w); w.server(0, errPacket(4031)); w.e.BeforeCommand = true }},
		{"idle_timeout", "crossed", func(w *wireTest) { in(w); w.client(0, query); w.server(0, errPacket(4031)) }},
		{"idle_timeout", "crossed, through MySQL Router", func(w *wireTest) { in(w); w.client(0, query); w.server(2, errPacket(4031)) }},
		{"server_shutdown", "crossed", func(w *wireTest) { in(w); w.client(0, query); w.server(0, errPacket(1053)) }},
		{"connection_killed", "waiting", func(w *wireTest) { in(w); w.server(0, errPacket(1927)) }},
		{"server_farewell", "crossed", func(w *wireTest) { in(w); w.client(0, query); w.server(0, errPacket(9001)) }},
		{"closed_while_idle", "closed", func(w *wireTest) { in(w); w.end(false) }},
		{"concurrent_use", "two commands", func(w *wireTest) { in(w); w.client(0, query); w.client(0, query) }},
		{"result_still_open", "a command among rows", func(w *wireTest) {
			in(w)
			w.client(0, query)
			w.server(1, "\x01")
			w.server(2, "\x03def column")
			w.server(3, "\xfe\x00\x00\x02\x00")
			w.server(4, "\x011")
			w.client(0, query)
		}},
		{"more_results_unread", "a command before the next result", func(w *wireTest) { in(w); w.client(0, query); w.server(1, more); w.client(0, query) }},
		{"unsolicited_packet", "one more OK", func(w *wireTest) {
			in(w)
			w.client(0, query)
			w.server(1, ok)
			w.server(1, ok)
			w.e.BeforeCommand = true
		}},
		{"mismatched_answer", "a row for a ping", func(w *wireTest) { in(w); w.client(0, "\x0e"); w.server(1, "\x011") }},
		{"mismatched_answer", "the rest of another answer", func(w *wireTest) { in(w); w.client(0, query); w.server(5, "\x01") }},
		{"peer_misnumbers_results", "the second result", func(w *wireTest) { in(w); w.client(0, query); w.server(1, more); w.server(3, ok) }},
		{"peer_misnumbers_results", "an ERR", func(w *wireTest) { in(w); w.client(0, query); w.server(2, errPacket(1064)) }},
		{"malformed_packet", "a short OK", func(w *wireTest) { in(w); w.client(0, query); w.server(1, "\x00") }},
		{"local_infile_aborted", "ERR", func(w *wireTest) {
			in(w)
			w.client(0, query)
			w.server(1, "\xfbfile")
			w.client(2, "data")
			w.client(3, "data")
			w.server(2, errPacket(1062))
		}},
		{"local_infile_aborted", "ERR when the file had been sent", func(w *wireTest) {
			in(w)
			w.client(0, query)
			w.server(1, "\xfbfile")
			w.client(2, "data")
			w.client(3, "")
			w.server(3, errPacket(1062))
			w.e.FileSent = w.Infile()
		}},
		{"closed_before_answer", "closed", func(w *wireTest) { in(w); w.client(0, query); w.end(false) }},
		{"connection_lost_mid_answer", "closed", func(w *wireTest) { in(w); w.client(0, query); w.server(1, "\x01"); w.end(true) }},
		{"connection_lost_mid_answer", "in the first packet", func(w *wireTest) { in(w); w.client(0, query); w.end(true) }},
	} {
		t.Run(string(tt.want)+"/"+tt.name, func(t *testing.T) {
			var w wireTest
			tt.play(&w)
			if d := Diagnose(&w.e); d.Slug != tt.want {
				t.Errorf("named %s: %s", d.Slug, d.Explanation)
			}
			// Counted with the packet that shows the failure.
			w.e.AnswerStarted = w.AnswerStarted()
			if d := Diagnose(&w.e); d.Slug != tt.want {
				t.Errorf("with the packet counted: named %s: %s", d.Slug, d.Explanation)
			}
		})
	}
}
