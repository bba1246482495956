package cause

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// TestConfusion tells causes apart that show the client the same two numbers,
// under clocks and details that differ from case to case.
func TestConfusion(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	between := func(a, b time.Duration) time.Duration { return a + rand.N(b-a) }
	groups := []struct {
		numbers string
		causes  map[Slug]func() Evidence
	}{
		{"got 1 expected 2", map[Slug]func() Evidence{
			"login_stalled_locally": func() Evidence {
				return login(1159, 2, 1, between(2*time.Second, time.Minute), between(time.Microsecond, time.Second))
			},
			"login_delayed_on_the_way": func() Evidence {
				return login(1159, 2, 1, between(time.Microsecond, 2*time.Second), between(2*time.Second, time.Minute))
			},
			"proxy_refusal_misnumbered": func() Evidence { return login(1105, 2, 1, between(time.Microsecond, time.Minute), time.Millisecond) },
			"renumbered_on_the_way":     func() Evidence { return login(1156, 2, 1, between(time.Microsecond, time.Minute), time.Millisecond) },
			"login_unreadable":          func() Evidence { return login(1158, 2, 1, between(time.Microsecond, time.Minute), time.Millisecond) },
			"client_misnumbered": func() Evidence {
				return with(login(1156, 2, 1, time.Millisecond, time.Millisecond), func(e *Evidence) { e.Misnumbered = true })
			},
			"peer_misnumbers_handshake": func() Evidence { return login(1045, 2, 1, time.Millisecond, time.Millisecond) },
		}},
		{"got 0 expected 1", map[Slug]func() Evidence{
			"idle_timeout":      func() Evidence { return farewell(4031, 0) },
			"server_shutdown":   func() Evidence { return farewell(1053, 0) },
			"connection_killed": func() Evidence { return farewell(1927, 0) },
			"server_farewell":   func() Evidence { return farewell(9001, 0) },
		}},
		{"got 2 expected 1", map[Slug]func() Evidence{
			"idle_timeout":            func() Evidence { return farewell(4031, 2) }, // MySQL Router
			"peer_misnumbers_results": func() Evidence { return farewell(1064, 2) },
		}},
	}
	for _, g := range groups {
		for want, make := range g.causes {
			for range 100 {
				e := make()
				e.Length, e.Commands, e.MariaDB = uint32(rnd.IntN(500)), rnd.Uint64N(1000), false
				e.TLS, e.InTransaction = TLS(rnd.IntN(2)), rnd.IntN(2) == 0
				if rnd.IntN(2) == 0 {
					e.Stream = StreamEOF // the FIN behind the ERR may have been seen already
				}
				if d := Diagnose(&e); d.Slug != want {
					t.Fatalf("%s: named %s, want %s: %s", g.numbers, d.Slug, want, d.Explanation)
				}
			}
		}
	}
}

// random is evidence without sense, built so that every row is met.
func random(r *rand.Rand) Evidence {
	codes := []uint16{0, 0, 0, 1040, 1045, 1053, 1062, 1105, 1129, 1153, 1156, 1157, 1158, 1159, 1161, 1251, 1317, 1927, 3032, 3159, 3169, 4031, 9001, uint16(r.Uint32())}
	durations := []time.Duration{0, 0, 1, time.Millisecond, time.Second, 3 * time.Second, 11 * time.Second, 70 * time.Second, 8 * time.Hour, -time.Second, time.Duration(r.Int64())}
	firsts := [][]byte{nil, nil, []byte("HTTP/1.1 400 Bad Request, and the secret"), {84, 0, 0, 0, 11, 8, 5, 26, 0}, {0x15, 3, 1}, []byte("SSH-2.0-OpenSSH_9.2p1 the secret"), {0xff}, {0x4a, 0, 0, 0, 10}}
	commands := []session.Command{session.ComSleep, session.ComQuery, session.ComQuery, session.ComPing, session.ComStmtExecute, session.ComChangeUser, session.ComStmtPrepare, session.Command(r.Uint32())}
	bit := func(n int) bool { return r.IntN(n) == 0 }
	d := func() time.Duration { return durations[r.IntN(len(durations))] }
	e := Evidence{
		Violation: session.Violation(r.IntN(11)), Phase: session.Phase(r.IntN(17)), Direction: session.Direction(r.IntN(2)), Kind: session.Kind(r.IntN(26)),
		Command: commands[r.IntN(len(commands))], Expected: uint8(r.IntN(3)), Actual: uint8(r.IntN(3)), Length: r.Uint32(),
		Stream: StreamEnd(r.IntN(6)), InsidePacket: bit(3), FirstBytes: firsts[r.IntN(len(firsts))],
		ServerVersion: "9.7.4\nforged line", MariaDB: bit(2), TLS: TLS(r.IntN(4)), Compressed: bit(4), Commands: r.Uint64N(3),
		Pending: r.IntN(3), AnswerStarted: bit(2), Unsent: r.IntN(3) * 1000, InTransaction: bit(3), BeforeCommand: bit(3), Pinned: bit(3), Misnumbered: bit(4),
		MoreResults: bit(2), EarlierUnfinished: bit(4), NothingWritten: bit(3), Forked: bit(20), InfileFailed: bit(20),
		Watched: bit(2), CommandBytes: r.Int64N(3 << 20),
		Age: d(), GreetingAfter: d(), LoginAfter: d(), SinceLogin: d(), OwnPause: d(), DialTook: d(), GreetingLay: d(), GreetingTimed: bit(2), WriteTook: d(), Idle: d(), SinceCommand: d(), LongestReadGap: d(),
		RelatedFailures: r.IntN(4), EndWindow: d(), GapBytes: r.Int64N(1 << 17), LastNumber: uint8(r.IntN(3)), AuthSwitches: r.IntN(3),
		TxBegun: bit(3), Unread: bit(20), Late: bit(10), Server: "db:3306\nforged line", Vantage: Vantage(r.IntN(6)),
		Siblings: Siblings{Looked: d(), Ended: r.IntN(12), Spread: d(), Large: r.IntN(3), SameRun: bit(2), AnsweredAfter: d(), LoggedInAfter: d(), Open: r.IntN(3), Refused: bit(3)},
	}
	e.AuthDue, e.PasswordDue, e.KeyRefused, e.NoTLSOffered = bit(3), bit(3), bit(10), bit(3)
	e.ClientAlert = []string{"", "", "bad certificate", "protocol version not supported\nforged line"}[r.IntN(4)]
	if bit(2) {
		e.Client = Client{Local: bit(4), Address: "10.0.0.7:4711", User: "shop\nforged line", Name: []string{"aiomysql", "MySQL Connector/J", "x"}[r.IntN(3)]}
	}
	if bit(8) {
		e.Kind, e.Violation, e.Phase = session.KindOK, session.UnexpectedKind, session.PhaseCommand
	}
	if bit(8) {
		e.Siblings.Told = []uint16{erShutdown, erOfflineMode}[r.IntN(2)]
	}
	if bit(4) {
		e.LastError = &session.ServerError{Code: codes[3+r.IntN(len(codes)-3)], Message: "words\nforged line"}
	}
	if bit(4) {
		e.Ownership = Ownership(r.IntN(5))
	}
	if bit(50) {
		e.Abandoned = Abandon(r.IntN(3))
	}
	e.AnswerAfter = d()
	if bit(50) {
		e.Held, e.HeldAs, e.PoolWaits, e.RowsLost = d(), "rows open", r.Int64N(2), bit(3)
	}
	if bit(2) {
		e.Transport = Transport{Known: true, State: TCPState(r.IntN(14)), Written: r.Uint64N(300), Acked: r.Uint64N(300), NotSent: r.Uint64N(9), Retransmitted: r.Uint32N(3),
			Unanswered: r.Uint32N(3), Full: bit(3), RTT: d(), LeastRTT: d(), SinceData: d(), SinceAck: d()}
	}
	if bit(2) {
		e.Stall = Stall{Known: true, Window: d(), ThrottleKnown: bit(2), Throttled: d(), CPULimit: r.Float64(), WaitKnown: bit(2), Waited: d(), Pressure: d(),
			Ran: d(), LongestGC: d(), SchedLatency: d(), Beats: r.IntN(3), Late: d()}
	}
	if bit(50) {
		e.NothingDue, e.AnswerAge, e.AnswerFailed = d(), d(), bit(2)
	}
	if bit(20) {
		e.Compression = "wrong checksum"
	}
	if bit(20) {
		e.TLSAlert = "handshake failure"
	}
	if bit(4) {
		e.AuthPlugin = "plugin\nforged line"
	}
	if bit(4) {
		e.Owner, e.Intruder = Party{"query", "a.go:12", d()}, Party{Operation: "exec"}
	}
	if c := codes[r.IntN(len(codes))]; c != 0 {
		e.ServerError = &session.ServerError{Code: c, Message: []string{"words", "Failed to parse proxy header"}[r.IntN(2)] + "\nforged line " + strings.Repeat("x", r.IntN(400))}
		if bit(2) {
			e.Kind = session.KindERR
		}
	}
	return e
}

func TestDiagnoseAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	known := Slugs()
	met := map[Slug]int{}
	for range iterations() {
		e := random(r)
		d := Diagnose(&e)
		met[d.Slug]++
		if again := Diagnose(&e); again.Slug != d.Slug || again.Explanation != d.Explanation {
			t.Fatalf("%+v: two diagnoses", e)
		}
		at := slices.Index(known, d.Slug)
		if at < 0 {
			t.Fatalf("%+v: unknown slug %q", e, d.Slug)
		}
		title := rules[at].title
		if f := rules[at].titled; f != nil && f(&e) != "" {
			title = f(&e)
		}
		if d.Title != title || d.Explanation == "" || d.Advice == "" {
			t.Fatalf("%s: incomplete: %+v", d.Slug, d)
		}
		if d.RetrySafe && d.Executed != ExecutedNo {
			t.Fatalf("%s: retry called safe although executed: %s", d.Slug, d.Executed)
		}
		for _, a := range d.Alternatives {
			if !slices.Contains(known, a) || a == d.Slug {
				t.Fatalf("%s: alternative %q", d.Slug, a)
			}
		}
		for _, s := range []string{d.Explanation, d.Advice} {
			if strings.ContainsAny(s, "\n\r\x00") || !utf8.ValidString(s) {
				t.Fatalf("%s: not one clean line: %q", d.Slug, s)
			}
			if strings.Contains(s, "secret") || strings.Contains(s, "%!") || len(s) > 2000 {
				t.Fatalf("%s: %q", d.Slug, s)
			}
			if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "issues") {
				t.Fatalf("%s: unfinished: %q", d.Slug, s)
			}
		}
	}
	for _, s := range known {
		if met[s] == 0 {
			t.Errorf("%s was never met", s)
		}
	}
}

// A command that may have been run must never be called safe to repeat, in any
// case that a person wrote down.
func TestRetry(t *testing.T) {
	for _, tt := range []struct {
		name     string
		e        Evidence
		executed Executed
		safe     bool
	}{
		{"sent whole, no answer", with(out(), func(e *Evidence) { e.Stream = StreamEOF }), ExecutedUnknown, false},
		{"ping, no answer", with(out(), func(e *Evidence) { e.Stream, e.Command = StreamEOF, session.ComPing }), ExecutedNo, true},
		{"not sent whole", with(out(), func(e *Evidence) { e.Stream, e.Unsent = StreamReset, 10 }), ExecutedNo, true},
		{"not sent whole, in a transaction", with(out(), func(e *Evidence) { e.Stream, e.Unsent, e.InTransaction = StreamReset, 10, true }), ExecutedNo, false},
		{"rows broken off", with(out(), func(e *Evidence) { e.Stream, e.Phase, e.AnswerStarted = StreamEOF, session.PhaseRows, true }), ExecutedUnknown, false},
		{"4031 crossed", farewell(4031, 2), ExecutedNo, true},
		{"1053 crossed", farewell(1053, 0), ExecutedNo, true},
		{"1053 as an answer", farewell(1053, 1), ExecutedUnknown, false},
		{"1053, compressed: its number says nothing", with(farewell(1053, 0), func(e *Evidence) { e.Compressed = true }), ExecutedUnknown, false},
		{"silence", with(out(), func(e *Evidence) { e.Stream = StreamTimeout }), ExecutedUnknown, false},
		{"login", login(1159, 2, 1, 11*time.Second, time.Millisecond), ExecutedNo, true},
		{"another OK in front of a command", with(rest(), func(e *Evidence) {
			e.Kind, e.Length, e.Actual, e.Violation, e.Commands = session.KindOK, 7, 1, session.Unsolicited, 3
		}), ExecutedNo, true},
		{"another OK behind an answer", with(rest(), func(e *Evidence) {
			e.Kind, e.Length, e.Actual, e.Violation, e.Commands, e.BeforeCommand, e.Command = session.KindOK, 7, 1, session.Unsolicited, 3, false, session.ComQuery
		}), ExecutedUnknown, false},
		{"half of a file in the table", with(rest(), func(e *Evidence) { e.InfileFailed = true }), ExecutedYes, false},
		{"refused beside an open result, in a transaction", with(out(), func(e *Evidence) {
			e.Ownership, e.NothingWritten, e.InTransaction = OwnershipInterleaving, true, true
		}), ExecutedNo, true},
	} {
		if d := Diagnose(&tt.e); d.Executed != tt.executed || d.RetrySafe != tt.safe {
			t.Errorf("%s (%s): executed %s, retry safe %v", tt.name, d.Slug, d.Executed, d.RetrySafe)
		}
	}
}

func TestSeverity(t *testing.T) {
	peeked := with(rest(), func(e *Evidence) {
		e.Kind, e.Violation, e.ServerError = session.KindERR, session.Unsolicited, srv(4031, "")
	})
	for _, tt := range []struct {
		name string
		e    Evidence
		want Severity
	}{
		{"found idle", peeked, Notice},
		{"crossed a command", farewell(4031, 0), Error},
		{"took a transaction along", with(peeked, func(e *Evidence) { e.InTransaction = true }), Error},
	} {
		if d := Diagnose(&tt.e); d.Severity != tt.want {
			t.Errorf("%s: %s", tt.name, d.Severity)
		}
	}
}

func TestSentences(t *testing.T) {
	for _, tt := range []struct {
		e    Evidence
		want string
	}{
		{login(1159, 2, 1, 11*time.Second, time.Millisecond), "gave up (ERR 1159 ER_NET_READ_INTERRUPTED); this process sent it 11.0 s after it read the greeting"},
		{login(1159, 2, 1, time.Millisecond, 10*time.Second), "10.0 s after the login was sent; this process sent it 1 ms after it read the greeting"},
		{login(1159, 3, 2, 3*time.Second, time.Millisecond), "The ERR's number (2 where 3 was due) says that the server had not read the last packet of this login"},
		{with(rest(), func(e *Evidence) { e.ServerError, e.Kind = srv(4031, ""), session.KindERR }), "idle for 10 min 0 s (ERR 4031 ER_CLIENT_INTERACTION_TIMEOUT)"},
		{Evidence{Violation: session.NotMySQL, FirstBytes: []byte("HTTP/1.1 400 Bad Request")}, `(48 54 54 50 2f 31 2e 31 20 34 30 30 20 42 61 64, as text "HTTP/1.1 400 Bad") look like HTTP`},
		{with(out(), func(e *Evidence) {
			e.Ownership, e.NothingWritten = OwnershipOverlap, true
			e.Owner, e.Intruder = Party{"query", "orders.go:12", 3 * time.Second}, Party{Operation: "exec", Site: "audit.go:7"}
		}), "Operation exec at audit.go:7 began while query at orders.go:12 (begun 3.0 s ago) had not ended"},
		{with(out(), func(e *Evidence) { e.Stream, e.InTransaction = StreamEOF, true }), "COM_QUERY was sent whole; 20 ms later the connection was closed by the peer without a byte of an answer. The transaction that was open on this connection is lost."},
		{with(login(1159, 2, 1, 0, 0), func(e *Evidence) { e.SinceLogin = 0 }), "login_stalled_locally — that the client paused in the login for 2 s or more"},
	} {
		if d := Diagnose(&tt.e); !strings.Contains(d.Explanation, tt.want) {
			t.Errorf("%s: %s\nwant: %s", d.Slug, d.Explanation, tt.want)
		}
	}
}

func TestProtocol(t *testing.T) {
	for first, want := range map[string]string{
		"\x54\x00\x00\x00\x0b\x08\x05\x1a\x00":  "MySQL's X Protocol",
		"\x15\x03\x01\x00\x02":                  "TLS from the first byte",
		"SSH-2.0-OpenSSH":                       "SSH",
		"220 mail ESMTP":                        "SMTP or FTP",
		"E\x00\x00\x00\x8fSFATAL\x00VFATAL\x00": "PostgreSQL",
		"R\x00\x00\x00\x08\x00\x00\x00\x03":     "PostgreSQL",
		"EFATAL:  unsupported frontend":         "PostgreSQL",
		"\x04\x01\x00\x25\x00\x00\x01\x00":      "SQL Server's TDS",
		"\xff\xfd\x18\xff\xfd\x20":              "Telnet",
		// Packets of a server that speaks MySQL, of some lengths and with a first byte that is none of a greeting.
		"E\x00\x00\x00\x8f8.0.11":              "",
		"E\x00\x00\x00\x0b8.0.11":              "",
		"R\x00\x00\x00\x0b8.0.11":              "",
		"\x04\x01\x00\x00\x0b8.0.11":           "",
		"\xff\xfb\x00\x00\x0b8.0.11":           "",
		"\x54\x00\x00\x00\x0b8.0.11":           "",
		"-ERR unknown command":                 "Redis",
		"\x00\x00\x12\x04\x00\x00\x00\x00\x00": "HTTP/2",
		"\x4a\x00\x00\x00\x09":                 "the MySQL protocol of before 3.21",
		"\x4a\x00\x00\x00\x0a":                 "MySQL, but with a greeting that breaks off or contradicts itself",
		"\x01":                                 "",
		"":                                     "",
	} {
		if got, _ := protocol([]byte(first)); got != want {
			t.Errorf("%q: %q, want %q", first, got, want)
		}
	}
}

func TestDur(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "less than 1 ms", 350 * time.Millisecond: "350 ms", 10 * time.Second: "10.0 s", 90 * time.Second: "90.0 s",
		35*time.Minute + 5*time.Second: "35 min 5 s", 8 * time.Hour: "8 h 0 min",
	} {
		if got := dur(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func BenchmarkDiagnose(b *testing.B) {
	for _, bb := range []struct {
		name string
		e    Evidence
	}{
		{"first", Evidence{Violation: session.Refused, ServerError: srv(1040, "Too many connections")}},
		{"login", login(1159, 2, 1, 11*time.Second, time.Millisecond)},
		{"last", with(out(), func(e *Evidence) { e.Phase, e.AnswerStarted, e.Stream = session.PhaseRows, true, StreamEOF })},
		{"undetermined", out()},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Diagnose(&bb.e)
			}
		})
	}
}

// iterations is enough for every row to be met.
func iterations() int {
	if testing.Short() {
		return 60_000
	}
	return 200_000
}
