package cause

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// cut is evidence of a command whose connection ended just now, after a look at
// the others.
func cut(s Siblings) Evidence {
	s.Looked = 300 * time.Millisecond
	return with(out(), func(e *Evidence) {
		e.Stream, e.Violation, e.Server, e.Siblings = StreamEOF, session.Truncated, "db:3306", s
	})
}

// faultCases are the faults of names that were given without a look for what
// speaks against them.
var faultCases = []ruleCase{
	{"ended_together", "3.1 four KILLs, the server up", cut(Siblings{Ended: 3, Spread: 90 * time.Millisecond, AnsweredAfter: 20 * time.Millisecond}), map[Slug]change{
		"closed_before_answer": func(e *Evidence) { e.Siblings.Ended = 0 },
		"server_shutdown":      func(e *Evidence) { e.Siblings.AnsweredAfter, e.Siblings.Refused = 0, true },
	}},
	{"closed_while_idle", "3.2 one KILL, and ends that were found long after", with(rest(), func(e *Evidence) {
		e.Stream, e.Idle, e.EndWindow, e.Siblings = StreamEOF, time.Minute, time.Minute, Siblings{Looked: 1, Ended: 5}
	}), map[Slug]change{
		"ended_together": func(e *Evidence) { e.Idle, e.EndWindow = 100*time.Millisecond, 100*time.Millisecond },
	}},
	{"closed_before_answer", "3.3 three large commands cut off", with(cut(Siblings{Ended: 3, Large: 3}), func(e *Evidence) { e.Unsent = 1 << 20 }), map[Slug]change{
		"ended_together": func(e *Evidence) { e.Siblings.Ended = 5 },
	}},
	{"ended_together", "3.3 a limit on statements", cut(Siblings{Ended: 3, SameRun: true}), nil},
	{"server_shutdown", "3.4 a crash, busy", cut(Siblings{Ended: 3, Refused: true}), map[Slug]change{
		"ended_together":       func(e *Evidence) { e.Siblings.Refused = false },
		"closed_before_answer": func(e *Evidence) { e.Siblings.Looked = 0 },
	}},
	{"server_shutdown", "3.4 a crash, in the middle of an answer", with(cut(Siblings{Ended: 3, Refused: true}), func(e *Evidence) { e.Phase, e.AnswerStarted = session.PhaseRows, true }), nil},
	{"server_shutdown", "3.4 a crash, held and idle", with(rest(), func(e *Evidence) {
		e.Stream, e.Idle, e.EndWindow, e.Siblings = StreamEOF, 2*time.Second, 2*time.Second, Siblings{Looked: 1, Refused: true}
	}), map[Slug]change{
		"closed_while_idle": func(e *Evidence) { e.EndWindow = time.Hour },
	}},
	{"closed_before_answer", "a KILL, and then a crash", cut(Siblings{Refused: true, LivedOn: 150 * time.Millisecond}), map[Slug]change{
		"server_shutdown": func(e *Evidence) { e.Siblings.LivedOn = 20 * time.Millisecond },
	}},
	{"server_shutdown", "a slow shutdown that was announced", cut(Siblings{Told: erShutdown, LivedOn: 150 * time.Millisecond}), nil},
	{"server_shutdown", "offline_mode, told to others", cut(Siblings{Told: erOfflineMode}), nil},
	{"connection_lost_mid_answer", "3.5 a server that is silent and then dies", with(cut(Siblings{}), func(e *Evidence) {
		e.Phase, e.AnswerStarted, e.InsidePacket, e.SinceCommand, e.LongestReadGap = session.PhaseRows, true, true, 1300*time.Millisecond, 2*time.Millisecond
	}), map[Slug]change{
		"slow_reader": func(e *Evidence) { e.LongestReadGap, e.GapBytes = 1300*time.Millisecond, 100<<10 },
	}},
	{"connection_lost_mid_answer", "3.5 a pause in which little had come", with(cut(Siblings{}), func(e *Evidence) {
		e.Phase, e.AnswerStarted, e.InsidePacket, e.SinceCommand, e.LongestReadGap, e.GapBytes = session.PhaseRows, true, true, 1300*time.Millisecond, 1200*time.Millisecond, 300
	}), nil},
	{"undetermined", "3.6 an ordinary error numbered 4031", with(out(), func(e *Evidence) {
		e.Kind, e.Actual, e.ServerError = session.KindERR, 1, srv(4031, "signalled")
	}), map[Slug]change{
		"idle_timeout": func(e *Evidence) { e.Actual, e.Violation = 0, session.MisnumberedError },
	}},
	{"packet_too_large", "3.7 the use after ERR 1153", with(rest(), func(e *Evidence) {
		e.Stream, e.Idle, e.LastError, e.Siblings = StreamEOF, 5*time.Millisecond, srv(1153, "Got a packet bigger"), Siblings{Looked: 1, Ended: 4}
	}), map[Slug]change{
		"closed_while_idle": func(e *Evidence) { e.LastError.Code, e.Siblings = 1062, Siblings{} },
		"server_farewell":   func(e *Evidence) { e.LastError.Code = 4082 },
		"server_shutdown":   func(e *Evidence) { e.LastError.Code = 1053 },
		"connection_killed": func(e *Evidence) { e.LastError.Code = 1927 },
	}},
	{"packet_too_large", "3.7 the next command crossed the end", with(cut(Siblings{}), func(e *Evidence) { e.LastError = srv(1153, "") }), nil},
	{"login_stalled_locally", "3.8 1159 with the right number", login(1159, 2, 2, 3*time.Second, time.Millisecond), map[Slug]change{
		"login_unreadable":      func(e *Evidence) { e.ServerError.Code = 1158 },
		"renumbered_on_the_way": func(e *Evidence) { e.ServerError.Code = 1156 },
	}},
	{"proxy_header_refused", "3.9 1105", with(login(1105, 2, 1, time.Millisecond, time.Millisecond), func(e *Evidence) { e.ServerError.Message = "Failed to parse proxy header" }), nil},
	{"proxy_header_refused", "3.9 1130", with(login(1130, 2, 1, time.Millisecond, time.Millisecond), func(e *Evidence) { e.ServerError.Message = "Proxy header is not accepted from 10.0.0.9" }), map[Slug]change{
		"proxy_refusal_misnumbered": func(e *Evidence) { e.ServerError = srv(1130, "Host '10.0.0.9' is not allowed to connect") },
	}},
	{"proxy_header_refused", "a PROXY header that MySQL does not know", Evidence{Phase: session.PhaseLogin, Kind: session.KindERR, Expected: 1, Actual: 1, Violation: session.Unsolicited,
		Direction: session.FromServer, ServerError: srv(1156, "Got packets out of order"), GreetingAfter: time.Millisecond, Age: time.Millisecond}, map[Slug]change{
		"renumbered_on_the_way": func(e *Evidence) { e.LoginAfter = time.Millisecond },
	}},
	{"proxy_header_refused", "3.9 before the login was written", Evidence{Phase: session.PhaseLogin, Kind: session.KindERR, Expected: 1, Actual: 1, Violation: session.Unsolicited,
		ServerError: srv(1105, "Failed to parse proxy header")}, nil},
	{"read_too_late", "3.11", with(out(), func(e *Evidence) { e.Stream, e.Late = StreamTimeout, true }), map[Slug]change{
		"peer_unresponsive": func(e *Evidence) { e.Late = false },
	}},
	{"read_too_late", "3.11 the greeting", Evidence{Stream: StreamTimeout, Late: true, Age: time.Second}, map[Slug]change{
		"no_greeting": func(e *Evidence) { e.Late = false },
	}},
	{"login_stalled_locally", "3.12 a callback within TLS", Evidence{Phase: session.PhaseTLS, Stream: StreamTimeout, Violation: session.Truncated, OwnPause: 3 * time.Second, Age: 3010 * time.Millisecond, TLS: TLSOpaque}, map[Slug]change{
		"tls_failed":       func(e *Evidence) { e.OwnPause = 5 * time.Millisecond },
		"login_unanswered": func(e *Evidence) { e.Phase, e.SinceLogin = session.PhaseAuth, 100*time.Millisecond },
	}},
	{"closed_while_idle", "3.13 MariaDB behind a balancer that resets", with(rest(), func(e *Evidence) { e.MariaDB, e.Stream, e.Idle = true, StreamReset, 1800*time.Millisecond }), nil},
	{"not_prepared", "3.14", with(out(), func(e *Evidence) {
		e.Command, e.Kind, e.Length, e.Actual, e.Violation = session.ComStmtPrepare, session.KindOK, 7, 1, session.UnexpectedKind
	}), map[Slug]change{
		"stale_answer":      func(e *Evidence) { e.EarlierUnfinished = true },
		"mismatched_answer": func(e *Evidence) { e.Command = session.ComQuery },
	}},
	{"refused_before_greeting", "3.15 number 3", Evidence{Violation: session.Refused, Kind: session.KindERR, Actual: 3, ServerError: srv(1040, "Too many connections")}, nil},
	{"peer_misnumbers_results", "3.16 one counter for the whole connection", with(out(), func(e *Evidence) {
		e.Kind, e.Violation, e.Commands, e.LastNumber, e.Actual = session.KindColumnCount, session.SequenceMismatch, 1, 2, 4
	}), map[Slug]change{
		"mismatched_answer": func(e *Evidence) { e.Actual = 5 },
		"stale_answer":      func(e *Evidence) { e.EarlierUnfinished = true },
	}},
	{"continued_after_error", "3.17", with(rest(), func(e *Evidence) {
		e.Kind, e.Length, e.Actual, e.LastNumber, e.Violation, e.LastError = session.KindOK, 7, 6, 5, session.Unsolicited, srv(1064, "")
	}), map[Slug]change{
		"unsolicited_packet": func(e *Evidence) { e.LastError = nil },
		"stale_answer":       func(e *Evidence) { e.EarlierUnfinished = true },
	}},
	{"malformed_packet", "3.20", with(rest(), func(e *Evidence) { e.BeforeCommand, e.Violation, e.Unread = false, session.Malformed, true }), nil},
	{"tls_failed", "3.21 an alert, and a plaintext ERR behind it", with(login(1043, 4, 2, time.Millisecond, time.Millisecond), func(e *Evidence) { e.TLS, e.TLSAlert = TLSVisible, "expired certificate" }), map[Slug]change{
		"login_unreadable": func(e *Evidence) { e.TLSAlert = "" },
	}},
	{"peer_misnumbers_results", "3.23 an ERR numbered 1 behind rows", with(out(), func(e *Evidence) {
		e.Phase, e.AnswerStarted, e.Kind, e.Expected, e.Actual, e.Violation, e.ServerError = session.PhaseRows, true, session.KindERR, 9, 1, session.MisnumberedError, srv(1317, "")
	}), map[Slug]change{
		"mismatched_answer": func(e *Evidence) { e.ServerError, e.Kind, e.Violation = nil, session.KindOK, session.SequenceMismatch },
	}},
	{"auth_plugin_mismatch", "a nonce that ends in 0", Evidence{Phase: session.PhaseAuth, Kind: session.KindAuthSwitch, Expected: 3, Actual: 3, AuthPlugin: "client_ed25519", AuthSwitches: 1, MariaDB: true}, nil},
	{"auth_plugin_mismatch", "3.25 a second switch", Evidence{Phase: session.PhaseAuth, Kind: session.KindAuthSwitch, Expected: 4, Actual: 4, AuthPlugin: "mysql_native_password", AuthSwitches: 2, MariaDB: true}, nil},
}

// TestFaultSentences: what is said is true, and is of use.
func TestFaultSentences(t *testing.T) {
	for _, tt := range []struct {
		name          string
		e             Evidence
		says, saysNot []string
	}{
		{"3.1", cut(Siblings{Ended: 5, Spread: 90 * time.Millisecond, AnsweredAfter: 20 * time.Millisecond}),
			[]string{"Five others to db:3306 ended within 90 ms", "a KILL of each", "was up then"}, []string{"crash of the server", "went away"}},
		{"3.4 unproven", cut(Siblings{Ended: 3}), []string{"a restart, a failover or a crash", "or a KILL of each"}, []string{"went away"}},
		{"a KILL, and then a crash", cut(Siblings{Refused: true, LivedOn: 150 * time.Millisecond}), []string{"It ended before the server went away", "KILL", "150 ms later"}, nil},
		{"3.18 shutdown", cut(Siblings{Refused: true}), []string{"check before you run it again", "Connecting again is safe"}, []string{"let the application try again"}},
		{"3.18 idle for a moment", with(rest(), func(e *Evidence) { e.Stream, e.Idle = StreamEOF, 100*time.Millisecond }), []string{"only 100 ms", "KILL", "offline_mode"}, []string{"SetConnMaxIdleTime"}},
		{"3.18 held", with(rest(), func(e *Evidence) { e.Stream, e.Pinned = StreamEOF, true }), []string{"No limit of the pool closes such a connection", "offline_mode"}, []string{"SetConnMaxIdleTime"}},
		{"3.18 held, MySQL's words", with(rest(), func(e *Evidence) {
			e.Kind, e.Violation, e.ServerError, e.Pinned = session.KindERR, session.Unsolicited, srv(4031, ""), true
		}),
			[]string{"No limit of the pool closes such a connection"}, []string{"SetConnMaxIdleTime"}},
		{"3.18 Router's 1040", Evidence{Violation: session.Refused, Kind: session.KindERR, ServerError: srv(1040, "Too many connections to MySQL Router")},
			[]string{"MySQL Router, not the server", "max_total_connections"}, []string{"All max_connections slots of the server"}},
		{"3.18 Router's 1129", Evidence{Violation: session.Refused, Kind: session.KindERR, ServerError: srv(1129, "Too many connection errors from 127.0.0.1:4711")},
			[]string{"MySQL Router, not the server", "max_connect_errors of the route"}, []string{"host_cache", "FLUSH HOSTS"}},
		{"3.18 ERR 2003", Evidence{Violation: session.Refused, Kind: session.KindERR, ServerError: srv(2003, "Can't connect to remote MySQL server for client connected to 127.0.0.1:6446")},
			[]string{"a proxy", "could not reach the server behind it"}, []string{"the server answered"}},
		{"the size of a command that did not leave whole", with(out(), func(e *Evidence) {
			e.Kind, e.Violation, e.ServerError, e.CommandBytes, e.Unsent = session.KindERR, session.MisnumberedError, srv(1153, ""), 62_990_000, 10_618_452
		}), []string{"of at least 62.9 MB", "At least the last 10618452 bytes of it"}, []string{"73.", "63.0"}},
		{"3.18 LOAD DATA", with(out(), func(e *Evidence) { e.Phase, e.Stream = session.PhaseLocalInfile, StreamEOF }), []string{"KILL"}, nil},
		{"3.18 1927", farewell(1927, 0), []string{"SHUTDOWN"}, nil},
		{"3.20", with(rest(), func(e *Evidence) { e.BeforeCommand, e.Violation, e.Unread = false, session.Malformed, true }), []string{"all its packets had come"}, []string{"0 bytes", "phase ready"}},
		{"3.21", with(login(1043, 4, 2, time.Millisecond, time.Millisecond), func(e *Evidence) { e.TLS, e.TLSAlert = TLSVisible, "expired certificate" }),
			[]string{"refused the certificate that this process showed", "expired certificate", "ssl_ca"}, []string{"half-closes"}},
		{"3.22", with(rest(), func(e *Evidence) { e.Stream, e.TxBegun = StreamEOF, true }), []string{"The transaction that was open on this connection is lost"}, nil},
		{"3.26", Evidence{Phase: session.PhaseAuth, Kind: session.KindAuthSwitch, Expected: 2, Actual: 2, AuthPlugin: "parsec", MariaDB: true}, []string{"ed25519"}, []string{"IDENTIFIED WITH), or"}},
		{"3.27 TLS wanted", Evidence{Phase: session.PhaseAuth, Stream: StreamEOF, Violation: session.Truncated, Network: "tcp"}, []string{"only over TLS", "a proxy ends TLS in between"}, nil},
		{"3.27 idle before", with(out(), func(e *Evidence) { e.Stream, e.Idle = StreamEOF, 5*time.Minute }), []string{"had been idle for 5 min 0 s"}, nil},
		{"3.27 a further result", with(out(), func(e *Evidence) { e.Phase, e.AnswerStarted, e.Stream = session.PhaseMoreResults, true, StreamTimeout }), []string{"announced a further one"}, nil},
		{"3.27 RSA key exchange", Evidence{Phase: session.PhaseTLS, TLSAlert: "handshake failure"}, []string{"tlsrsakex=1", "SHA-1"}, nil},
		{"3.27 ML-KEM", Evidence{Phase: session.PhaseTLS, Stream: StreamReset, CommandBytes: 1600}, []string{"tlsmlkem=0", "1564 bytes"}, nil},
		{"3.27 PREPARE", with(out(), func(e *Evidence) { e.Command, e.Stream = session.ComStmtPrepare, StreamEOF }), []string{"runs no statement"}, []string{"cannot be known"}},
	} {
		d := Diagnose(&tt.e)
		text := d.Explanation + " " + d.Advice
		says(t, tt.name+" ("+string(d.Slug)+")", text, tt.says, tt.saysNot)
	}
}

// TestFaultProof: executed=no and a safe retry need proof.
func TestFaultProof(t *testing.T) {
	signal := with(out(), func(e *Evidence) { e.Kind, e.Actual, e.ServerError = session.KindERR, 1, srv(4031, "signalled") })
	unread := with(rest(), func(e *Evidence) { e.BeforeCommand, e.Violation, e.Unread = false, session.Malformed, true })
	tx := with(rest(), func(e *Evidence) { e.Stream, e.TxBegun = StreamEOF, true })
	for _, tt := range []struct {
		name string
		e    Evidence
		want Executed
		safe bool
	}{
		{"3.6 a procedure that signals 4031", signal, ExecutedUnknown, false},
		{"3.7 a command behind ERR 1153", with(cut(Siblings{}), func(e *Evidence) { e.LastError = srv(1153, "") }), ExecutedUnknown, false},
		{"3.20 an answer that came whole", unread, ExecutedYes, false},
		{"3.20 of a PREPARE", with(unread, func(e *Evidence) { e.Command = session.ComStmtPrepare }), ExecutedNo, true},
		{"3.20 behind an ERR", with(unread, func(e *Evidence) { e.LastError = srv(1062, "") }), ExecutedUnknown, false},
		{"3.22 idle close, begun by our own hands", tx, ExecutedNo, false},
		{"3.22 a PREPARE cut off, begun by our own hands", with(out(), func(e *Evidence) { e.Command, e.Stream, e.TxBegun = session.ComStmtPrepare, StreamEOF, true }), ExecutedNo, false},
		{"3.14 a PREPARE that was answered with OK", with(out(), func(e *Evidence) {
			e.Command, e.Kind, e.Length, e.Actual, e.Violation = session.ComStmtPrepare, session.KindOK, 7, 1, session.UnexpectedKind
		}), ExecutedUnknown, false},
	} {
		if d := Diagnose(&tt.e); d.Executed != tt.want || d.RetrySafe != tt.safe {
			t.Errorf("%s (%s): executed %s, retry safe %v", tt.name, d.Slug, d.Executed, d.RetrySafe)
		}
	}
}

// TestMisuseWithoutRetry: running the same again is no advice to who misuses a
// connection.
func TestMisuseWithoutRetry(t *testing.T) {
	for _, c := range slices.Concat(cases, faultCases) {
		if d := Diagnose(&c.e); d.Severity == Misuse && strings.Contains(strings.ToLower(d.Title+d.Explanation+d.Advice), "retry") {
			t.Errorf("%s: %s %s", d.Slug, d.Explanation, d.Advice)
		}
	}
}

// TestVictimsOfOneEvent: whatever each was doing, one event has one name.
func TestVictimsOfOneEvent(t *testing.T) {
	for _, s := range []struct {
		want Slug
		s    Siblings
	}{
		{"server_shutdown", Siblings{Looked: time.Second, Ended: 3, Refused: true}},
		{"server_shutdown", Siblings{Looked: time.Second, Ended: 1, Told: erShutdown}},
		{"ended_together", Siblings{Looked: time.Second, Ended: 3}},
		{"ended_together", Siblings{Looked: time.Second, Ended: 3, AnsweredAfter: time.Millisecond}},
	} {
		for name, e := range map[string]Evidence{
			"busy":                out(),
			"being sent":          with(out(), func(e *Evidence) { e.Unsent = 10_000 }),
			"among rows":          with(out(), func(e *Evidence) { e.Phase, e.AnswerStarted = session.PhaseRows, true }),
			"inside a row":        with(out(), func(e *Evidence) { e.Phase, e.AnswerStarted, e.InsidePacket = session.PhaseRows, true, true }),
			"held and idle":       with(rest(), func(e *Evidence) { e.Idle, e.EndWindow = time.Second/2, time.Second/2 }),
			"idle in transaction": with(rest(), func(e *Evidence) { e.Idle, e.EndWindow, e.InTransaction = time.Second/2, time.Second/2, true }),
			"opaque":              with(out(), func(e *Evidence) { e.Phase, e.TLS, e.Command = session.PhaseOpaque, TLSOpaque, 0 }),
			"uploading":           with(out(), func(e *Evidence) { e.Phase = session.PhaseLocalInfile }),
		} {
			e.Stream, e.Violation, e.Siblings = StreamEOF, session.Truncated, s.s
			if d := Diagnose(&e); d.Slug != s.want {
				t.Errorf("%s: %s, want %s: %s", name, d.Slug, s.want, d.Explanation)
			}
		}
	}
}

// TestClients: sentences and advice are about the client whose connection it is.
func TestClients(t *testing.T) {
	other := Client{Name: "aiomysql", Version: "0.1.1", Address: "10.0.0.7:4711", User: "shop"}
	for _, tt := range []struct {
		e             Evidence
		says, saysNot []string
	}{
		{login(1159, 2, 1, 3*time.Second, time.Millisecond), []string{"this process sent it 3.0 s after", "GOMAXPROCS"}, nil},
		{with(login(1159, 2, 1, 3*time.Second, time.Millisecond), func(e *Evidence) { e.Client, e.Vantage = other, VantageProxy }),
			[]string{"aiomysql 0.1.1 at 10.0.0.7:4711 as user shop sent it 3.0 s after", "event loop", "PYTHONASYNCIODEBUG"}, []string{"this process", "SetMaxOpenConns", "DSN"}},
		{with(login(1159, 2, 1, 3*time.Second, time.Millisecond), func(e *Evidence) { e.Client, e.Vantage = other, VantageServerHost }),
			[]string{"a client that stalls and a network that is slow look the same", "event loop"}, []string{"this process", "outside"}},
		{with(out(), func(e *Evidence) {
			e.Client, e.Vantage, e.Violation, e.Direction, e.Kind, e.Pending = other, VantageProxy, session.CommandDuringAnswer, session.FromClient, session.KindCommand, 2
		}), []string{"by aiomysql 0.1.1", "asyncio.gather"}, []string{"*sql.DB", "this process"}},
		{with(rest(), func(e *Evidence) {
			e.Client, e.Vantage, e.Stream, e.BeforeCommand = other, VantageProxy, StreamEOF, false
		}),
			[]string{"pool_recycle"}, []string{"SetConnMaxIdleTime", "sql.Conn"}},
	} {
		d := Diagnose(&tt.e)
		text := d.Title + ". " + d.Explanation + " " + d.Advice
		says(t, string(d.Slug), text, tt.says, tt.saysNot)
	}
}
