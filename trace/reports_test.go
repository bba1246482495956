package trace_test

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

var epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// stalled is a login that came too late.
func stalled(ctx context.Context) *wrapconn.Report {
	e := cause.Evidence{
		Violation: session.MisnumberedError, Phase: session.PhaseAuth, Kind: session.KindERR, Expected: 2, Actual: 1, Length: 50,
		ServerError:   &session.ServerError{Code: 1159, SQLState: "08S01", Message: "Got timeout reading communication packets"},
		ServerVersion: "9.7.4", Network: "tcp", Age: 3001 * time.Millisecond, GreetingAfter: time.Millisecond,
		LoginAfter: 3 * time.Second, SinceLogin: 1250 * time.Microsecond, OwnPause: 3 * time.Second, DialTook: 150 * time.Millisecond, GreetingLay: 120 * time.Millisecond, GreetingTimed: true, WriteTook: 110 * time.Millisecond,
		PostMortem: cause.PostMortem{Asked: true, After: 40 * time.Millisecond, UptimeKnown: true, Uptime: time.Hour, ThreadKnown: true, ThreadFound: true, ThreadCommand: "Query", ThreadState: "updating",
			ThreadTime: 3 * time.Second, Statement: "UPDATE …", ConnectTimeout: 10 * time.Second, NetReadTimeout: 30 * time.Second, NetWriteTimeout: time.Minute, WaitTimeout: 8 * time.Hour,
			MaxAllowedPacket: 64 << 20, AbortedClients: 3, AbortedConnects: 4, ReadOnly: true},
		Stall: cause.Stall{Known: true, Stack: "shop.(*Cache).fill (shop/cache.go:42), in sync.(*Mutex).Lock", Window: 3500 * time.Millisecond, ThrottleKnown: true, Throttled: 2700 * time.Millisecond, Periods: 27, CPULimit: 0.5,
			WaitKnown: true, Waited: 2900 * time.Millisecond, Pressure: 2800 * time.Millisecond, Ran: 310 * time.Millisecond,
			LongestGC: 2 * time.Millisecond, SchedLatency: 20 * time.Millisecond, Beats: 3, Late: 80 * time.Millisecond},
	}
	op := &wrapconn.Operation{
		Kind: wrapconn.OpConnect, Started: epoch, Age: 3001 * time.Millisecond, Context: ctx,
		Stack: []wrapconn.Frame{
			{Function: "main.(*Shop).Checkout", File: "/src/shop/shop.go", Line: 42},
			{Function: "main.main", File: "/src/shop/main.go", Line: 7},
		},
	}
	return &wrapconn.Report{
		Time: epoch.Add(3001 * time.Millisecond), Cause: cause.Diagnose(&e), Evidence: e,
		ID:              "QX7ZJ3",
		FlightRecording: "/var/tmp/seqguard-20261124T120003.001-login_stalled_locally-77.trace",
		Server:          "db.internal:3306", Network: "tcp", Database: "shop", Connection: 77, Connected: epoch,
		Peer:  &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 3306},
		Local: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 50000},
		Owner: op, Goroutine: "9", Context: ctx,
		History: []wrapconn.HistoryEntry{
			{Time: epoch.Add(time.Millisecond), Kind: session.KindGreeting, Count: 1, Bytes: 75},
			{Time: epoch.Add(3 * time.Second), Direction: session.FromClient, Kind: session.KindLogin, First: 1, Last: 1, Count: 1, Bytes: 191},
			{Time: epoch.Add(3001 * time.Millisecond), Kind: session.KindERR, First: 1, Last: 1, Count: 1, Bytes: 50, ErrorCode: 1159, Violation: session.MisnumberedError},
		},
	}
}

// idle is a server's farewell, seen while the pool looked at the connection.
// Its packets are older than the span, which has no length.
func idle(ctx context.Context) *wrapconn.Report {
	e := cause.Evidence{
		Violation: session.Unsolicited, Phase: session.PhaseReady, Command: session.ComQuery, Kind: session.KindERR, Length: 145,
		BeforeCommand: true, NothingWritten: true,
		ServerError:   &session.ServerError{Code: 4031, SQLState: "HY000", Message: "The client was disconnected by the server because of inactivity."},
		ServerVersion: "9.7.4", Network: "unix", TLS: cause.TLSVisible, Commands: 5, Age: time.Minute, Idle: 30 * time.Second, SinceCommand: 30 * time.Second,
	}
	return &wrapconn.Report{
		Time: epoch.Add(time.Minute), Cause: cause.Diagnose(&e), Evidence: e, Server: "/run/mysqld.sock", Network: "unix",
		Peer: &net.UnixAddr{Name: "/run/mysqld.sock", Net: "unix"}, Local: &net.UnixAddr{Name: "@", Net: "unix"},
		Connection: 8, Connected: epoch, Context: ctx, Forgotten: 3,
		History: []wrapconn.HistoryEntry{
			{Time: epoch.Add(30 * time.Second), Direction: session.FromClient, Kind: session.KindCommand, Command: session.ComQuery, Count: 1, Bytes: 9},
			{Time: epoch.Add(30*time.Second + time.Millisecond), Kind: session.KindColumnCount, First: 1, Last: 1, Count: 1, Bytes: 1},
			{Time: epoch.Add(30*time.Second + time.Millisecond), Kind: session.KindColumn, First: 2, Last: 2, Count: 1, Bytes: 23},
			{Time: epoch.Add(30*time.Second + time.Millisecond), Kind: session.KindRow, First: 3, Last: 2, Count: 4096, Bytes: 81920},
			{Time: epoch.Add(30*time.Second + 4*time.Millisecond), Kind: session.KindEOF, First: 3, Last: 3, Count: 1, Bytes: 7},
			{Time: epoch.Add(time.Minute), Kind: session.KindERR, Count: 1, Bytes: 145, ErrorCode: 4031, Violation: session.Unsolicited},
		},
	}
}

// conflict is a call while the rows of a query are open.
func conflict(owner, intruder context.Context) *wrapconn.Report {
	e := cause.Evidence{
		Phase: session.PhaseRows, Command: session.ComQuery, Pending: 1, Expected: 7, Ownership: cause.OwnershipInterleaving, NothingWritten: true, Goroutines: cause.OtherGoroutine,
		Owner:         cause.Party{Operation: "query", Site: "shop/list.go:10", Age: time.Second},
		Intruder:      cause.Party{Operation: "exec", Site: "shop/list.go:14"},
		ServerVersion: "5.5.5-10.11.19-MariaDB", MariaDB: true, Network: "tcp", Commands: 9, Age: time.Hour, AnswerStarted: true, InTransaction: true,
		SinceCommand: time.Second, LongestReadGap: 900 * time.Millisecond,
	}
	return &wrapconn.Report{
		Time: epoch.Add(time.Hour), Cause: cause.Diagnose(&e), Evidence: e, Server: "[2001:db8::1]:3307", Network: "tcp", Connection: 9, Connected: epoch,
		Peer:  &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 3307},
		Local: &net.TCPAddr{IP: net.ParseIP("fe80::2"), Zone: "eth0", Port: 50001},
		Owner: &wrapconn.Operation{Kind: wrapconn.OpQuery, Started: epoch.Add(time.Hour - time.Second), Age: time.Second, Context: owner,
			Stack: []wrapconn.Frame{{Function: "shop.list", File: "/src/shop/list.go", Line: 10}}},
		Intruder: &wrapconn.Operation{Kind: wrapconn.OpExec, Started: epoch.Add(time.Hour), Context: intruder,
			Stack: []wrapconn.Frame{{Function: "shop.mark", File: "/src/shop/list.go", Line: 14}}},
		Conflict: wrapconn.Interleaving, Goroutine: "12", Context: intruder,
		History: []wrapconn.HistoryEntry{
			{Time: epoch.Add(time.Hour - time.Second), Direction: session.FromClient, Kind: session.KindCommand, Command: session.ComQuery, Count: 1, Bytes: 31},
			{Time: epoch.Add(time.Hour - 900*time.Millisecond), Kind: session.KindRow, First: 4, Last: 6, Count: 3, Bytes: 60},
		},
	}
}

// notMySQL is a peer that speaks something else and never greets: nothing is
// known of a server.
func notMySQL(ctx context.Context) *wrapconn.Report {
	e := cause.Evidence{Violation: session.NotMySQL, Phase: session.PhaseGreeting, FirstBytes: []byte("SSH-2.0"), Age: time.Millisecond, Actual: 0x2d, Length: 0x485353}
	return &wrapconn.Report{Time: epoch.Add(time.Millisecond), Cause: cause.Diagnose(&e), Evidence: e, Server: "db.internal:22", Network: "tcp", Connected: epoch, Context: ctx,
		History: []wrapconn.HistoryEntry{{Time: epoch.Add(time.Millisecond), First: 0x2d, Last: 0x2d, Count: 1, Bytes: 0x485353, Violation: session.NotMySQL}}}
}

// lost is one of many connections that ended at once, in the middle of an answer,
// with the facts that the other reports do not have.
func lost(ctx context.Context) *wrapconn.Report {
	e := cause.Evidence{
		Violation: session.Truncated, Phase: session.PhaseRows, Command: session.ComStmtExecute, Stream: cause.StreamReset, InsidePacket: true,
		Pending: 1, AnswerStarted: true, Unsent: 17, TLS: cause.TLSOpaque, TLSAlert: "internal_error", Compressed: true, Compression: "bad checksum",
		AuthPlugin: "caching_sha2_password", ServerVersion: "9.7.4", Network: "cloud", Commands: 3, Age: time.Minute, Idle: 5 * time.Millisecond,
		SinceCommand: 40 * time.Millisecond, LongestReadGap: 2 * time.Millisecond, AnswerAfter: 3 * time.Millisecond, RelatedFailures: 30,
		Siblings: cause.Siblings{Looked: 300 * time.Millisecond, Ended: 30, Spread: 80 * time.Millisecond, Refused: true},
		Transport: cause.Transport{Known: true, State: cause.TCPClosed, Written: 417, Acked: 400, NotSent: 17, Retransmitted: 3, Unanswered: 2,
			RTT: 1500 * time.Microsecond, LeastRTT: 900 * time.Microsecond, SinceData: 12 * time.Millisecond, SinceAck: 11 * time.Millisecond},
	}
	return &wrapconn.Report{
		Time: epoch.Add(time.Minute), Cause: cause.Diagnose(&e), Evidence: e, Server: "project:region:instance", Network: "cloud", OpaqueReason: "the cipher suite is not an AEAD",
		Connection: 4294967295, Connected: epoch, Context: ctx, Goroutine: "31", Lost: 12, Err: errors.New("near 'SELECT card_number FROM customers'"),
		Owner: &wrapconn.Operation{Kind: wrapconn.OpRowsNext, Started: epoch.Add(59 * time.Second), Age: time.Second, Context: ctx},
	}
}

// exhausted is a pool whose callers wait.
func exhausted(ctx context.Context) *wrapconn.Report {
	e := cause.Evidence{Held: 4 * time.Minute, HeldAs: "17 by shop/list.go:10 (rows open), 3 by shop/pay.go:7 (idle in transaction)",
		PoolWaits: 3, PoolWaited: 900 * time.Millisecond, PoolInUse: 20, PoolLimit: 20}
	return &wrapconn.Report{Time: epoch.Add(time.Hour), Cause: cause.Diagnose(&e), Evidence: e, Server: "db.internal:3306", Network: "tcp", Context: ctx}
}

// foreign is a connection of another process, seen from a proxy.
func foreign(ctx context.Context) *wrapconn.Report {
	e := cause.Evidence{
		Violation: session.CommandDuringAnswer, Phase: session.PhaseCommand, Direction: session.FromClient, Kind: session.KindCommand, Command: session.ComQuery,
		Pending: 1, ServerVersion: "9.7.4", Network: "tcp", Commands: 4, Age: time.Second, SinceCommand: time.Millisecond, Vantage: cause.VantageProxy,
		Client: cause.Client{Address: "[2001:db8::7]:4711", User: "shop", Database: "orders", Name: "pymysql", Version: "1.0.2", Program: "billing"},
	}
	return &wrapconn.Report{
		Time: epoch.Add(time.Second), Cause: cause.Diagnose(&e), Evidence: e, Server: "db.internal:3306", Network: "tcp", Database: "orders", Connection: 12, Connected: epoch, Context: ctx,
		Peer: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 3306}, Local: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 50002},
	}
}

// all are the reports above, with slugs for names.
func all(ctx context.Context) map[string]*wrapconn.Report {
	return map[string]*wrapconn.Report{
		"login_stalled_locally": stalled(ctx),
		"idle_timeout":          idle(ctx),
		"result_still_open":     conflict(ctx, ctx),
		"not_mysql":             notMySQL(ctx),
		"server_shutdown":       lost(ctx),
		"pool_exhausted":        exhausted(ctx),
		"concurrent_use":        foreign(ctx),
	}
}
