package cause

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

func srv(code uint16, msg string) *session.ServerError {
	return &session.ServerError{Code: code, SQLState: "08S01", Message: msg}
}

// login is evidence of an ERR in the login: number n where due was due, the
// login written after pause, the ERR read since later.
func login(code uint16, due, n uint8, pause, since time.Duration) Evidence {
	e := Evidence{
		Phase: session.PhaseAuth, Kind: session.KindERR, Expected: due, Actual: n, Length: 60, ServerError: srv(code, "words of the server"),
		ServerVersion: "9.7.4", Network: "tcp", LoginAfter: pause, OwnPause: pause, SinceLogin: since, GreetingAfter: time.Millisecond, Age: pause + since + time.Millisecond,
	}
	if due != n {
		e.Violation = session.MisnumberedError
	}
	return e
}

// out is evidence of a command that waits for its answer.
func out() Evidence {
	return Evidence{Phase: session.PhaseCommand, Command: session.ComQuery, Expected: 1, Pending: 1, Commands: 7, ServerVersion: "9.7.4",
		Network: "tcp", Age: time.Hour, Idle: 5 * time.Millisecond, SinceCommand: 20 * time.Millisecond}
}

// rest is evidence of a connection on which nothing is outstanding.
func rest() Evidence {
	return Evidence{Phase: session.PhaseReady, Command: session.ComQuery, Commands: 7, ServerVersion: "9.7.4", Network: "tcp",
		Age: time.Hour, Idle: 10 * time.Minute, BeforeCommand: true}
}

func with(e Evidence, change func(*Evidence)) Evidence {
	change(&e)
	return e
}

// farewell is evidence of an ERR that crossed a command on its way.
func farewell(code uint16, n uint8) Evidence {
	return with(out(), func(e *Evidence) {
		e.Kind, e.Actual, e.Length, e.Violation, e.ServerError = session.KindERR, n, 140, session.MisnumberedError, srv(code, "farewell")
	})
}

type change = func(*Evidence)

// ruleCase is a picture of a cause, and what makes it something else.
type ruleCase struct {
	want Slug
	name string
	e    Evidence
	// near are changes after which the case is not this one any more, by what
	// it is then.
	near map[Slug]change
}

// cases has pictures of each slug; faultCases has more.
var cases = []ruleCase{
	{"pool_exhausted", "somebody waited", Evidence{PoolWaits: 3, PoolInUse: 20, PoolLimit: 20, Held: 4 * time.Minute, HeldAs: "20 by shop/list.go:10 (rows open)"}, map[Slug]change{
		"held_too_long": func(e *Evidence) { e.PoolWaits = 0 },
	}},
	{"rows_never_closed", "garbage", with(rest(), func(e *Evidence) {
		e.Held, e.HeldAs, e.RowsLost, e.Owner = time.Minute, "rows never closed", true, Party{Operation: "query", Site: "shop/list.go:10"}
	}), map[Slug]change{
		"held_too_long": func(e *Evidence) { e.RowsLost = false },
	}},
	{"held_too_long", "idle in a transaction", with(rest(), func(e *Evidence) {
		e.Held, e.HeldAs, e.InTransaction = time.Minute, "idle in transaction", true
	}), map[Slug]change{
		"closed_while_idle": func(e *Evidence) { e.Held, e.Violation, e.Stream = 0, session.Truncated, StreamEOF },
	}},
	{"abandoned", "in the login", with(login(0, 2, 2, time.Millisecond, time.Second), func(e *Evidence) {
		e.ServerError, e.Violation, e.Abandoned = nil, session.None, AbandonDeadline
	}), map[Slug]change{
		"undetermined": func(e *Evidence) { e.Abandoned = NotAbandoned },
	}},
	{"abandoned", "before the answer", with(out(), func(e *Evidence) { e.Abandoned = AbandonDeadline }), map[Slug]change{
		"undetermined": func(e *Evidence) { e.Abandoned = NotAbandoned },
	}},
	{"abandoned", "in the middle of the answer", with(out(), func(e *Evidence) {
		e.Abandoned, e.AnswerStarted, e.Phase, e.InTransaction = AbandonCanceled, true, session.PhaseRows, true
	}), map[Slug]change{
		"connection_lost_mid_answer": func(e *Evidence) {
			e.Abandoned, e.Violation, e.Stream = NotAbandoned, session.Truncated, StreamReset
		},
	}},
	{"client_left", "in its login", with(login(0, 2, 2, time.Millisecond, time.Second), func(e *Evidence) {
		e.Direction, e.Kind, e.ServerError, e.Violation, e.Stream = session.FromClient, session.KindUnknown, nil, session.Truncated, StreamEOF
		e.Client, e.Vantage = Client{Address: "10.0.0.7:4711"}, VantageProxy
	}), map[Slug]change{
		"login_unanswered": func(e *Evidence) { e.Direction = session.FromServer },
	}},
	{"client_left", "before the answer", with(out(), func(e *Evidence) {
		e.Direction, e.Violation, e.Stream = session.FromClient, session.Truncated, StreamReset
		e.Client, e.Vantage = Client{Address: "10.0.0.7:4711"}, VantageServerHost
	}), map[Slug]change{
		"closed_before_answer": func(e *Evidence) { e.Direction = session.FromServer },
	}},
	{"read_nothing_due", "the answer is complete", with(rest(), func(e *Evidence) {
		e.BeforeCommand, e.NothingDue, e.AnswerAge = false, time.Second, 1100*time.Millisecond
	}), map[Slug]change{
		"undetermined": func(e *Evidence) { e.NothingDue = 0 },
	}},
	{"refused_before_greeting", "1040 with number 0", Evidence{Violation: session.Refused, Kind: session.KindERR, ServerError: &session.ServerError{Code: 1040, Message: "Too many connections"}}, map[Slug]change{
		"not_mysql": func(e *Evidence) {
			e.ServerError, e.Violation, e.FirstBytes = nil, session.NotMySQL, []byte("HTTP/1.1 400 Bad")
		},
	}},
	{"refused_before_greeting", "1129 with number 1", Evidence{Violation: session.Refused, Kind: session.KindERR, Actual: 1, MariaDB: true, ServerError: srv(1129, "blocked")}, nil},
	{"refused_before_greeting", "1053", Evidence{Violation: session.Refused, Kind: session.KindERR, ServerError: srv(1053, "Server shutdown in progress")}, nil},
	{"not_mysql", "HTTP", Evidence{Violation: session.NotMySQL, FirstBytes: []byte("HTTP/1.1 400 Bad Request")}, map[Slug]change{
		"no_greeting": func(e *Evidence) { e.FirstBytes, e.Violation, e.Stream = nil, session.Truncated, StreamEOF },
	}},
	{"not_mysql", "a single answer, then the end", Evidence{Stream: StreamEOF, FirstBytes: []byte("-ERR wrong")}, nil},
	{"not_mysql", "a client that speaks HTTP", with(login(1156, 2, 1, 0, 0), func(e *Evidence) {
		e.Phase, e.ClientSpeaks = session.PhaseLogin, "an HTTP request"
	}), map[Slug]change{
		"proxy_header_refused": func(e *Evidence) { e.ClientSpeaks = "" },
	}},
	{"not_mysql", "a client that speaks TLS at once", with(login(0, 0, 1, 0, 0), func(e *Evidence) {
		e.ServerError, e.Phase, e.Direction, e.Kind, e.Violation = nil, session.PhaseLogin, session.FromClient, 0, session.SequenceMismatch
		e.ClientSpeaks = "a TLS ClientHello"
	}), map[Slug]change{
		"client_misnumbered": func(e *Evidence) { e.ClientSpeaks = "" },
	}},
	{"not_mysql", "an alert of TLS", Evidence{Violation: session.NotMySQL, FirstBytes: []byte{0x15, 3, 3, 0, 2, 2, 0x32}}, map[Slug]change{
		"undetermined": func(e *Evidence) { e.FirstBytes = append(e.FirstBytes, 0x4b, 0, 0, 0, 10, '9', '.', '7', '.') },
	}},
	{"not_mysql", "unknown bytes", Evidence{Violation: session.NotMySQL, FirstBytes: []byte{1, 2, 3}}, nil},
	{"no_greeting", "silence", Evidence{Stream: StreamTimeout, Age: 5 * time.Second}, map[Slug]change{
		"login_unanswered": func(e *Evidence) { e.Phase, e.LoginAfter = session.PhaseAuth, time.Millisecond },
		"undetermined":     func(e *Evidence) { e.Stream = StreamOpen },
	}},
	{"no_greeting", "half a greeting", Evidence{Stream: StreamEOF, InsidePacket: true, FirstBytes: []byte{0x4a, 0, 0, 0, 10, '9'}}, nil},

	{"login_stalled_locally", "blocked for 11 s", login(1159, 2, 1, 11*time.Second, time.Millisecond), map[Slug]change{
		"login_delayed_on_the_way": func(e *Evidence) {
			e.LoginAfter, e.OwnPause, e.SinceLogin = time.Millisecond, time.Millisecond, 10*time.Second
		},
		"login_unreadable":          func(e *Evidence) { e.ServerError = srv(1158, "") },
		"renumbered_on_the_way":     func(e *Evidence) { e.ServerError = srv(1156, "") },
		"proxy_refusal_misnumbered": func(e *Evidence) { e.ServerError = srv(1105, "Proxy: max client connections") },
	}},
	{"login_stalled_locally", "with TLS, 2 and 3", with(login(1159, 3, 2, 3*time.Second, time.Millisecond), func(e *Evidence) { e.TLS = TLSVisible }), nil},
	{"login_stalled_locally", "second round of caching_sha2, 3 and 4", with(login(1159, 4, 3, time.Millisecond, 11*time.Second+time.Millisecond), func(e *Evidence) { e.OwnPause, e.SinceLogin = 11*time.Second, time.Millisecond }), nil},
	{"login_stalled_locally", "before SSLRequest", with(login(1159, 2, 1, 3*time.Second, time.Millisecond), func(e *Evidence) { e.Phase = session.PhaseTLS }), nil},
	{"login_stalled_locally", "the ERR was read before the login was written", Evidence{Phase: session.PhaseLogin, Kind: session.KindERR, Expected: 1, Actual: 1, Violation: session.Unsolicited,
		ServerError: srv(1159, ""), GreetingAfter: time.Millisecond, Age: 11 * time.Second}, nil},
	{"login_stalled_locally", "MariaDB", Evidence{Phase: session.PhaseAuth, MariaDB: true, Stream: StreamReset, Violation: session.Truncated, LoginAfter: 11 * time.Second, OwnPause: 11 * time.Second, SinceLogin: time.Millisecond}, map[Slug]change{
		"login_unanswered": func(e *Evidence) { e.Stream = StreamEOF },
		"no_greeting":      func(e *Evidence) { e.Phase = session.PhaseGreeting },
	}},
	{"login_stalled_locally", "MariaDB, the login's write failed", Evidence{Phase: session.PhaseLogin, MariaDB: true, Stream: StreamBroken, Unsent: 120, OwnPause: 11 * time.Second, GreetingAfter: time.Millisecond, Age: 11 * time.Second}, nil},

	{"login_stalled_locally", "the dial returned late, by the kernel", with(login(1159, 1, 1, 0, 0), func(e *Evidence) {
		e.Phase, e.SinceLogin, e.OwnPause, e.GreetingLay, e.GreetingTimed, e.DialTook = session.PhaseLogin, 0, 2600*time.Millisecond, 2500*time.Millisecond, true, 2550*time.Millisecond
	}), map[Slug]change{
		"login_delayed_on_the_way": func(e *Evidence) {
			e.OwnPause, e.GreetingLay, e.GreetingAfter = 100*time.Millisecond, 0, 2500*time.Millisecond
		},
	}},
	{"login_stalled_locally", "the dial returned late, and the process had no CPU", with(login(1159, 1, 1, 0, 0), func(e *Evidence) {
		e.Phase, e.SinceLogin, e.OwnPause, e.Age, e.DialTook, e.Stall = session.PhaseLogin, 0, 900*time.Millisecond, time.Second, 2500*time.Millisecond, noCPU
		e.Kind, e.Transport = session.KindERR, Transport{Known: true, SinceData: 2 * time.Second}
	}), map[Slug]change{
		"login_delayed_on_the_way": func(e *Evidence) { e.Transport.SinceData = 300 * time.Millisecond }, // a process that is busy reads everything late
	}},
	{"login_stalled_locally", "a write of the connection below that took its time", with(login(1159, 2, 1, 3*time.Second, time.Millisecond), func(e *Evidence) { e.WriteTook = 3 * time.Second }), nil},
	{"login_delayed_on_the_way", "held by a relay", login(1159, 2, 1, time.Millisecond, 3*time.Second), map[Slug]change{
		"login_stalled_locally": func(e *Evidence) { e.OwnPause = 4 * time.Second },
		"undetermined":          func(e *Evidence) { e.LoginAfter, e.OwnPause, e.SinceLogin = 0, 0, 0 },
	}},
	{"login_delayed_on_the_way", "the greeting came late", with(login(1159, 2, 1, time.Millisecond, time.Millisecond), func(e *Evidence) { e.GreetingAfter = 12 * time.Second }), nil},
	{"login_unreadable", "half-closed", login(1158, 2, 1, time.Millisecond, time.Millisecond), map[Slug]change{
		"upload_interrupted": func(e *Evidence) { e.Phase = session.PhaseCommand },
	}},
	{"tls_failed", "closed after SSLRequest", Evidence{Phase: session.PhaseTLS, Violation: session.Truncated, Stream: StreamEOF}, map[Slug]change{
		"login_unanswered": func(e *Evidence) { e.Phase = session.PhaseAuth },
	}},
	{"tls_failed", "plaintext ERR", Evidence{Phase: session.PhaseTLS, Kind: session.KindERR, Violation: session.Unsolicited, Expected: 2, Actual: 2, ServerError: srv(3159, "")}, nil},
	{"tls_failed", "ERR 1156 to the request for TLS", with(login(1156, 2, 1, 0, 0), func(e *Evidence) { e.Phase = session.PhaseTLS }), map[Slug]change{
		"client_misnumbered":    func(e *Evidence) { e.Misnumbered = true },
		"renumbered_on_the_way": func(e *Evidence) { e.Phase = session.PhaseAuth },
	}},
	{"tls_failed", "alert", Evidence{Phase: session.PhaseTLS, TLSAlert: "handshake failure"}, nil},
	{"auth_plugin_mismatch", "1251", login(1251, 2, 2, time.Millisecond, time.Millisecond), map[Slug]change{
		"peer_misnumbers_handshake": func(e *Evidence) { e.Actual, e.Violation = 1, session.MisnumberedError },
		"undetermined":              func(e *Evidence) { e.ServerError = srv(1045, "") },
	}},
	{"auth_plugin_mismatch", "plugin that the driver lacks", Evidence{Phase: session.PhaseAuth, Kind: session.KindAuthSwitch, Expected: 2, Actual: 2, AuthPlugin: "sha256_password"}, nil},
	{"peer_misnumbers_handshake", "OK with a wrong number", Evidence{Phase: session.PhaseAuth, Kind: session.KindOK, Expected: 4, Actual: 3, Violation: session.SequenceMismatch}, map[Slug]change{
		"client_misnumbered": func(e *Evidence) { e.Direction = session.FromClient },
	}},
	{"peer_misnumbers_handshake", "1045 that was not counted", login(1045, 2, 1, time.Millisecond, time.Millisecond), nil},
	{"proxy_refusal_misnumbered", "1105 at once", login(1105, 2, 1, time.Millisecond, time.Millisecond), map[Slug]change{
		"undetermined":             func(e *Evidence) { e.Actual, e.Violation = 2, session.None },
		"login_delayed_on_the_way": func(e *Evidence) { e.ServerError = srv(1159, "") },
		"server_shutdown":          func(e *Evidence) { e.ServerError = srv(1053, "") },
	}},
	{"login_unanswered", "silence", Evidence{Phase: session.PhaseAuth, Stream: StreamTimeout, SinceLogin: 30 * time.Second}, map[Slug]change{
		"undetermined":      func(e *Evidence) { e.Stream = StreamOpen },
		"peer_unresponsive": func(e *Evidence) { e.Command = session.ComChangeUser },
		"login_stalled_locally": func(e *Evidence) {
			e.Stream, e.MariaDB, e.OwnPause, e.SinceLogin = StreamReset, true, 11*time.Second, 0
		},
	}},
	{"login_unanswered", "closed after the greeting", Evidence{Phase: session.PhaseLogin, Stream: StreamEOF, GreetingAfter: time.Millisecond, Age: 3 * time.Millisecond}, nil},

	{"idle_timeout", "4031 found before a command", with(rest(), func(e *Evidence) {
		e.Kind, e.Length, e.Violation, e.ServerError = session.KindERR, 140, session.Unsolicited, srv(4031, "")
	}), map[Slug]change{
		"server_shutdown":    func(e *Evidence) { e.ServerError = srv(1053, "") },
		"connection_killed":  func(e *Evidence) { e.ServerError = srv(1927, "") },
		"server_farewell":    func(e *Evidence) { e.ServerError = srv(1152, "Aborted connection") },
		"closed_while_idle":  func(e *Evidence) { e.ServerError, e.Kind, e.Violation, e.Stream = nil, 0, session.None, StreamEOF },
		"stale_answer":       func(e *Evidence) { e.ServerError, e.Actual, e.EarlierUnfinished = srv(1062, ""), 1, true },
		"unsolicited_packet": func(e *Evidence) { e.ServerError, e.Actual = srv(1062, ""), 1 },
	}},
	{"idle_timeout", "4031 crossed, number 0", farewell(4031, 0), map[Slug]change{
		// In MariaDB 4031 is about a trigger.
		"server_farewell":         func(e *Evidence) { e.MariaDB = true },
		"peer_misnumbers_results": func(e *Evidence) { e.MariaDB, e.Actual = true, 2 },
	}},
	{"idle_timeout", "4031 through MySQL Router, number 2", farewell(4031, 2), nil},
	{"idle_timeout", "4031 with the number that is due", with(farewell(4031, 1), func(e *Evidence) { e.Violation = session.Unsolicited }), nil},
	{"idle_timeout", "4031 crossed COM_CHANGE_USER", with(farewell(4031, 0), func(e *Evidence) { e.Phase, e.Command = session.PhaseAuth, session.ComChangeUser }), nil},
	{"idle_timeout", "MariaDB resets", with(rest(), func(e *Evidence) { e.MariaDB, e.Stream, e.Idle = true, StreamReset, 8*time.Hour }), map[Slug]change{
		"closed_while_idle":    func(e *Evidence) { e.Stream = StreamEOF },
		"closed_before_answer": func(e *Evidence) { e.BeforeCommand, e.Phase, e.Pending = false, session.PhaseCommand, 1 },
	}},
	{"server_shutdown", "1053 crossed", farewell(1053, 0), map[Slug]change{
		"idle_timeout": func(e *Evidence) { e.ServerError = srv(4031, "") },
	}},
	{"connection_killed", "1927", farewell(1927, 0), map[Slug]change{
		"server_farewell": func(e *Evidence) { e.ServerError = srv(1926, "") },
	}},
	{"connection_killed", "3169", farewell(3169, 0), nil},
	{"server_farewell", "MaxScale, whose server went away", with(farewell(1927, 0), func(e *Evidence) { e.ServerError, e.MariaDB = srv(1927, "Server shutdown in progress"), true }), map[Slug]change{
		"connection_killed": func(e *Evidence) { e.ServerError = srv(1927, "Connection was killed") },
		"server_shutdown":   func(e *Evidence) { e.ServerError = srv(1053, "Server shutdown in progress") },
	}},
	{"server_farewell", "MaxScale, in the middle of an answer", with(farewell(1927, 0), func(e *Evidence) {
		e.ServerError, e.Phase, e.AnswerStarted, e.Expected = srv(1927, "Lost connection to backend server: network error"), session.PhaseRows, true, 9
	}), nil},
	{"server_farewell", "MaxScale, as the answer", with(rest(), func(e *Evidence) {
		e.LastError, e.Stream = srv(1927, "Connection killed by MaxScale: Router could not recover from connection errors"), StreamEOF
	}), map[Slug]change{
		"connection_killed": func(e *Evidence) { e.LastError.Message = "Connection was killed" },
	}},
	{"server_farewell", "a proxy's words", farewell(9001, 0), map[Slug]change{
		"peer_misnumbers_results": func(e *Evidence) { e.Actual = 3 },
		"packet_too_large":        func(e *Evidence) { e.ServerError = srv(1153, "") },
	}},
	{"server_farewell", "before the login", Evidence{Phase: session.PhaseLogin, Kind: session.KindERR, Expected: 1, Actual: 1, Violation: session.Unsolicited, ServerError: srv(1040, "Too many connections")}, nil},
	{"closed_while_idle", "found before a command", with(rest(), func(e *Evidence) { e.Stream = StreamEOF }), map[Slug]change{
		"unsolicited_packet": func(e *Evidence) { e.Kind, e.Violation, e.Length = session.KindOK, session.Unsolicited, 7 },
		"undetermined":       func(e *Evidence) { e.Stream = StreamOpen },
	}},
	{"closed_while_idle", "the write took nothing", with(rest(), func(e *Evidence) {
		e.BeforeCommand, e.NothingWritten, e.Unsent, e.Stream = false, true, 20, StreamBroken
	}), nil},

	{"used_after_fork", "another pid", with(out(), func(e *Evidence) { e.Forked, e.Violation, e.Actual = true, session.SequenceMismatch, 3 }), map[Slug]change{
		"mismatched_answer": func(e *Evidence) { e.Forked = false },
	}},
	{"concurrent_use", "refused", with(out(), func(e *Evidence) {
		e.Ownership, e.NothingWritten = OwnershipOverlap, true
		e.Owner, e.Intruder = Party{"query", "a.go:12", 3 * time.Second}, Party{"exec", "b.go:7", 0}
	}), map[Slug]change{
		"result_still_open": func(e *Evidence) { e.Ownership = OwnershipInterleaving },
		"undetermined":      func(e *Evidence) { e.Ownership = OwnershipNone },
	}},
	{"concurrent_use", "1156 after an overlap that was only observed", with(out(), func(e *Evidence) {
		e.Ownership, e.Kind, e.ServerError, e.Misnumbered = OwnershipOverlap, session.KindERR, srv(1156, ""), true
	}), map[Slug]change{
		"client_misnumbered": func(e *Evidence) { e.Ownership = OwnershipNone },
	}},
	{"concurrent_use", "seen on the wire only", with(out(), func(e *Evidence) {
		e.Violation, e.Direction, e.Kind, e.Pending = session.CommandDuringAnswer, session.FromClient, session.KindCommand, 2
	}), map[Slug]change{
		"result_still_open":   func(e *Evidence) { e.Phase, e.AnswerStarted = session.PhaseRows, true },
		"more_results_unread": func(e *Evidence) { e.Phase, e.AnswerStarted = session.PhaseMoreResults, true },
	}},
	{"more_results_unread", "refused", with(out(), func(e *Evidence) { e.Ownership, e.MoreResults, e.NothingWritten = OwnershipInterleaving, true, true }), map[Slug]change{
		"result_still_open": func(e *Evidence) { e.MoreResults = false },
	}},
	{"result_still_open", "refused", with(out(), func(e *Evidence) { e.Ownership, e.NothingWritten, e.InTransaction = OwnershipInterleaving, true, true }), map[Slug]change{
		"concurrent_use": func(e *Evidence) { e.Ownership = OwnershipOutside },
	}},

	{"stale_answer", "before a command", with(rest(), func(e *Evidence) {
		e.Kind, e.Length, e.Actual, e.Violation, e.EarlierUnfinished = session.KindOK, 7, 1, session.Unsolicited, true
	}), map[Slug]change{
		"unsolicited_packet": func(e *Evidence) { e.EarlierUnfinished = false },
		"idle_timeout":       func(e *Evidence) { e.Kind, e.ServerError = session.KindERR, srv(4031, "") },
	}},
	{"stale_answer", "as the answer to the wrong command", with(out(), func(e *Evidence) {
		e.Kind, e.Length, e.Actual, e.Violation, e.Pending = session.KindOK, 7, 1, session.UnexpectedKind, 2
	}), map[Slug]change{
		"mismatched_answer": func(e *Evidence) { e.Pending = 1 },
	}},
	{"stale_answer", "a command behind an operation that had left its answer unread", with(out(), func(e *Evidence) {
		e.Direction, e.Kind, e.Violation, e.Watched, e.NothingWritten, e.InTransaction = session.FromClient, session.KindCommand, session.CommandDuringAnswer, true, true, true
	}), map[Slug]change{
		"concurrent_use": func(e *Evidence) { e.Watched = false },
	}},
	{"unsolicited_packet", "a row of somebody", with(rest(), func(e *Evidence) { e.Length, e.Actual, e.Violation = 30, 5, session.Unsolicited }), map[Slug]change{
		"undetermined": func(e *Evidence) { e.Violation = session.None },
	}},
	{"mismatched_answer", "OK for a statement that must have rows", with(out(), func(e *Evidence) {
		e.Kind, e.Length, e.Actual, e.Violation = session.KindOK, 7, 1, session.UnexpectedKind
	}), map[Slug]change{
		"malformed_packet": func(e *Evidence) { e.Phase, e.AnswerStarted = session.PhaseRows, true },
	}},
	{"mismatched_answer", "the rest of another result", with(out(), func(e *Evidence) {
		e.Kind, e.Length, e.Actual, e.Violation = session.KindColumnCount, 1, 5, session.SequenceMismatch
	}), map[Slug]change{
		"peer_misnumbers_results": func(e *Evidence) { e.Phase, e.AnswerStarted = session.PhaseRows, true },
	}},

	{"packet_too_large", "1153 while sending", with(out(), func(e *Evidence) {
		e.Kind, e.Expected, e.Actual, e.Violation, e.ServerError, e.Unsent, e.Stream = session.KindERR, 3, 1, session.MisnumberedError, srv(1153, "Got a packet bigger than 'max_allowed_packet' bytes"), 18<<20, StreamReset
	}), map[Slug]change{
		"closed_before_answer": func(e *Evidence) { e.ServerError, e.Kind, e.Violation = nil, 0, session.None },
	}},
	{"split_packet_misnumbered", "second part", with(out(), func(e *Evidence) {
		e.Direction, e.Kind, e.Violation, e.Expected, e.Actual = session.FromClient, session.KindContinuation, session.SequenceMismatch, 1, 0
	}), map[Slug]change{
		"client_misnumbered": func(e *Evidence) { e.Kind = session.KindCommand },
	}},
	{"client_misnumbered", "a command that does not begin with 0", with(rest(), func(e *Evidence) {
		e.BeforeCommand, e.Direction, e.Kind, e.Violation, e.Actual = false, session.FromClient, session.KindCommand, session.SequenceMismatch, 3
	}), nil},
	{"client_misnumbered", "1156", with(login(1156, 2, 1, time.Millisecond, time.Millisecond), func(e *Evidence) { e.Misnumbered = true }), map[Slug]change{
		"renumbered_on_the_way": func(e *Evidence) { e.Misnumbered = false },
	}},
	{"renumbered_on_the_way", "1156 though ours were right", login(1156, 2, 1, time.Millisecond, time.Millisecond), map[Slug]change{
		"client_misnumbered": func(e *Evidence) { e.Misnumbered = true },
		"login_unreadable":   func(e *Evidence) { e.ServerError = srv(1158, "") },
	}},
	{"upload_interrupted", "a reader that waits", with(out(), func(e *Evidence) {
		e.Phase, e.Kind, e.ServerError = session.PhaseLocalInfile, session.KindERR, srv(1159, "")
	}), map[Slug]change{
		"local_infile_aborted": func(e *Evidence) { e.ServerError = srv(1062, "Duplicate entry") },
	}},
	{"compression_corrupt", "1157", with(out(), func(e *Evidence) { e.Kind, e.Compressed, e.ServerError = session.KindERR, true, srv(1157, "") }), nil},
	{"compression_corrupt", "bad frame", with(out(), func(e *Evidence) { e.Compressed, e.Compression = true, "wrong checksum" }), map[Slug]change{
		"undetermined": func(e *Evidence) { e.Compression = "" },
	}},
	{"local_infile_partial", "reader failed", with(rest(), func(e *Evidence) { e.InfileFailed, e.BeforeCommand = true, false }), map[Slug]change{
		"undetermined": func(e *Evidence) { e.InfileFailed = false },
	}},
	{"local_infile_aborted", "ERR in the middle", with(out(), func(e *Evidence) {
		e.Phase, e.Kind, e.Expected, e.Actual, e.Violation, e.ServerError = session.PhaseLocalInfile, session.KindERR, 6, 2, session.MisnumberedError, srv(1062, "Duplicate entry")
	}), map[Slug]change{
		"peer_misnumbers_results": func(e *Evidence) { e.Phase = session.PhaseCommand },
	}},
	{"local_infile_aborted", "ERR when the file had been sent", with(out(), func(e *Evidence) {
		e.FileSent, e.Kind, e.Expected, e.Actual, e.Violation, e.ServerError = 720, session.KindERR, 4, 3, session.MisnumberedError, srv(1062, "Duplicate entry")
	}), map[Slug]change{
		"peer_misnumbers_results": func(e *Evidence) { e.FileSent = 0 },
	}},
	{"local_infile_aborted", "closed when the file had been sent", with(out(), func(e *Evidence) {
		e.FileSent, e.AnswerStarted, e.Stream = 720, true, StreamReset
	}), map[Slug]change{
		"connection_lost_mid_answer": func(e *Evidence) { e.FileSent = 0 },
		"peer_unresponsive":          func(e *Evidence) { e.Stream = StreamTimeout },
	}},
	{"local_infile_aborted", "closed", with(out(), func(e *Evidence) { e.Phase, e.Stream = session.PhaseLocalInfile, StreamEOF }), nil},

	{"peer_misnumbers_results", "the second result jumps", with(out(), func(e *Evidence) {
		e.Phase, e.AnswerStarted, e.Kind, e.Expected, e.Actual, e.Violation = session.PhaseMoreResults, true, session.KindOK, 2, 3, session.SequenceMismatch
	}), map[Slug]change{
		"concurrent_use": func(e *Evidence) { e.Ownership = OwnershipOverlap },
	}},
	{"malformed_packet", "an OK that is too short", with(out(), func(e *Evidence) { e.Kind, e.Actual, e.Length, e.Violation = session.KindOK, 1, 2, session.Malformed }), map[Slug]change{
		"undetermined": func(e *Evidence) { e.Violation = session.None },
	}},
	{"peer_unresponsive", "silence", with(out(), func(e *Evidence) { e.Stream, e.SinceCommand = StreamTimeout, 30*time.Second }), map[Slug]change{
		"closed_before_answer": func(e *Evidence) { e.Stream = StreamEOF },
	}},
	{"closed_before_answer", "closed", with(out(), func(e *Evidence) { e.Stream = StreamEOF }), map[Slug]change{
		"connection_lost_mid_answer": func(e *Evidence) { e.Phase, e.AnswerStarted = session.PhaseRows, true },
		"closed_while_idle":          func(e *Evidence) { e.Phase, e.Pending = session.PhaseReady, 0 },
	}},
	{"closed_before_answer", "TLS that cannot be seen through", with(out(), func(e *Evidence) { e.Phase, e.TLS, e.Stream, e.Command = session.PhaseOpaque, TLSOpaque, StreamEOF, 0 }), map[Slug]change{
		"connection_lost_mid_answer": func(e *Evidence) { e.AnswerStarted = true },
		"closed_while_idle":          func(e *Evidence) { e.BeforeCommand, e.Pending = true, 0 },
	}},
	{"slow_reader", "60 s", with(out(), func(e *Evidence) {
		e.Phase, e.AnswerStarted, e.Stream, e.LongestReadGap, e.SinceCommand = session.PhaseRows, true, StreamEOF, 61*time.Second, 200*time.Second
	}), map[Slug]change{
		"connection_lost_mid_answer": func(e *Evidence) { e.LongestReadGap = 20 * time.Second },
	}},
	{"slow_reader", "a server with a shorter limit", with(out(), func(e *Evidence) {
		e.Phase, e.AnswerStarted, e.InsidePacket, e.Stream, e.LongestReadGap, e.SinceCommand = session.PhaseRows, true, true, StreamReset, 3*time.Second, 4*time.Second
	}), map[Slug]change{
		"connection_lost_mid_answer": func(e *Evidence) { e.InsidePacket = false },
	}},
	{"connection_lost_mid_answer", "inside a row", with(out(), func(e *Evidence) {
		e.Phase, e.AnswerStarted, e.InsidePacket, e.Stream, e.Violation = session.PhaseRows, true, true, StreamEOF, session.Truncated
	}), map[Slug]change{
		"peer_unresponsive": func(e *Evidence) { e.Stream = StreamTimeout },
		"ended_together":    func(e *Evidence) { e.Siblings = Siblings{Looked: 1, Ended: 2} },
	}},
	{"undetermined", "nothing", Evidence{}, map[Slug]change{
		"no_greeting": func(e *Evidence) { e.Stream = StreamEOF },
	}},
}

func TestRules(t *testing.T) {
	positive, negative := map[Slug]bool{}, map[Slug]bool{}
	for _, c := range slices.Concat(cases, faultCases) {
		t.Run(fmt.Sprintf("%s/%s", c.want, c.name), func(t *testing.T) {
			e := c.e
			d := Diagnose(&e)
			if d.Slug != c.want {
				t.Fatalf("named %s: %s", d.Slug, d.Explanation)
			}
			positive[c.want] = true
			for want, change := range c.near {
				e := c.e
				change(&e)
				if d := Diagnose(&e); d.Slug != want {
					t.Errorf("near miss: named %s, want %s: %s", d.Slug, want, d.Explanation)
				}
				negative[c.want] = true
			}
		})
	}
	for _, s := range Slugs() {
		if !positive[s] || !negative[s] {
			t.Errorf("%s: positive case %v, near miss %v", s, positive[s], negative[s])
		}
	}
}

// noCPU is a process that had no CPU for most of 3.5 s.
var noCPU = Stall{Known: true, Window: 3500 * time.Millisecond, WaitKnown: true, Waited: 3 * time.Second, Late: 2 * time.Second, Ran: 20 * time.Millisecond}
