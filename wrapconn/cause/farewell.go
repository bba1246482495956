package cause

import (
	"fmt"
	"slices"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// farewellCodes end a connection and are no answer to a statement.
var farewellCodes = []uint16{erShutdown, erConnectionKilled, erOfflineMode, erSessionKilled, erInteractionTimout}

// farewellRules are about a server that ended the connection of its own accord.
// It may speak while nothing is outstanding, or its words may cross a command
// on its way; they are the same words. The number does not help: MySQL says 0,
// MySQL Router was seen to pass the same ERR 4031 on with 2.
var farewellRules = []rule{
	{
		// Said only by a server that waits for a new command: sql_parse.cc and
		// net_serv.cc, MySQL 8.0.24 and later. So a command that it crossed was
		// not read.
		slug:     "idle_timeout",
		severity: Notice,
		title:    "The server closed the connection because it was idle for too long",
		signs: []sign{
			{mysql, said(erInteractionTimout)},
			// Measured on MariaDB 10.11: wait_timeout and idle_transaction_timeout
			// make a reset without an ERR, KILL a clean end.
			{mariaDB, idle, noPacket, fact{is: "the peer reset the connection", holds: func(e *Evidence) bool { return e.Stream == StreamReset }},
				fact{is: "it was idle for 1 s or more", holds: func(e *Evidence) bool { return e.Idle >= time.Second }}},
		},
		explain: func(e *Evidence) string {
			if e.ServerError == nil {
				limit := "wait_timeout is over"
				if e.InTransaction {
					limit = "wait_timeout, or in a transaction idle_transaction_timeout, is over"
				}
				return fmt.Sprintf("The server reset the connection after it was idle for %s. MariaDB does so, without a word, when %s.", dur(e.Idle), limit)
			}
			crossed := ""
			if e.Pending > 0 && !e.BeforeCommand {
				crossed = " Its words crossed the command on the way, so the command was not read."
			}
			return fmt.Sprintf("The server ended the connection because it was idle for %s (%s).%s", idleFor(e), e.err(), crossed)
		},
		advise: func(*Evidence) string {
			return "Let the pool close idle connections before the server does: SetConnMaxIdleTime below the server's wait_timeout (28800 s by default; a session may have its own), also for connections that the application holds itself (sql.Conn, sql.Tx). Or raise wait_timeout."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			if e.ServerError == nil {
				return []Slug{"closed_while_idle"}
			}
			return nil
		},
	},
	{
		slug:     "server_shutdown",
		severity: Notice,
		title:    "The server is going away",
		signs: []sign{
			{said(erShutdown, erOfflineMode)},
			{inCompany, ended, noERR, loggedIn, fact{is: "a command was outstanding", holds: func(e *Evidence) bool { return waiting.holds(e) || answering.holds(e) }}},
			// Idle connections that are found dead together need not have died
			// together, unless all were alive a moment ago.
			{inCompany, ended, noPacket, idle, fact{is: "it was in use within the last 30 s", holds: func(e *Evidence) bool { return e.Idle > 0 && e.Idle < 30*time.Second }}},
		},
		explain: func(e *Evidence) string {
			switch {
			case e.code() == erOfflineMode:
				return fmt.Sprintf("The server ended the connection because it was taken offline for users (%s).%s", e.err(), company(e))
			case e.ServerError != nil:
				return fmt.Sprintf("The server ended the connection because it is shutting down (%s).%s", e.err(), company(e))
			}
			return fmt.Sprintf("The connection was %s together with %s to the same server, within a second: the server, or the proxy in front of it, went away.", e.ending(), count(e.RelatedFailures, "other", "others"))
		},
		advise: func(e *Evidence) string {
			if e.code() == erOfflineMode {
				return "Ask who set offline_mode=ON; connect to another member meanwhile."
			}
			return "Expected in a restart, an upgrade or a failover: let the application try again with a growing pause. If nobody stopped the server, read its error log and look for a crash or for the kernel's OOM killer. SetConnMaxLifetime helps connections to move over to a new primary."
		},
		executed: unlessFarewell,
		others: func(e *Evidence) []Slug {
			switch {
			case e.code() == erShutdown && e.RelatedFailures == 0:
				// MySQL says 1053 also to a connection that was killed: the
				// state KILL_CONNECTION is this number (sql/sql_class.h).
				return []Slug{"connection_killed"}
			case e.ServerError == nil && idle.holds(e):
				return []Slug{"closed_while_idle", "connection_killed"}
			case e.ServerError == nil:
				return []Slug{"connection_killed"}
			}
			return nil
		},
	},
	{
		slug:     "connection_killed",
		severity: Notice,
		title:    "Somebody killed the connection",
		signs:    when(said(erConnectionKilled, erSessionKilled)),
		explain: func(e *Evidence) string {
			return fmt.Sprintf("The server ended the connection because it was killed (%s).%s", e.words(), company(e))
		},
		advise: func(*Evidence) string {
			return "Find who ran KILL for this connection's id: an operator, a watchdog that ends long queries or transactions (pt-kill, a managed service), or a shutdown of MariaDB. The general log and performance_schema.events_statements_history of other sessions show it."
		},
		executed: unlessFarewell,
		others: func(e *Evidence) []Slug {
			if e.RelatedFailures > 0 {
				return []Slug{"server_shutdown"}
			}
			return nil
		},
	},
	{
		slug:     "server_farewell",
		severity: Notice,
		title:    "The server ended the connection and said why",
		signs: []sign{
			{loggedIn, anyERR, notSaid(transportCodes...), notEarlier, violation(session.Unsolicited), fact{is: "the ERR is the last word, or has the number of a farewell", holds: func(e *Evidence) bool { return lastWord(e) }}},
			{phase(session.PhaseLogin), anyERR, notSaid(transportCodes...), violation(session.Unsolicited)},
			{waiting, anyERR, notSaid(transportCodes...), notEarlier, violation(session.MisnumberedError), fact{is: "the ERR has number 0", holds: func(e *Evidence) bool { return e.Actual == 0 }}},
		},
		explain: func(e *Evidence) string {
			awaited := "a command"
			if connecting.holds(e) {
				awaited = "the login"
			}
			return fmt.Sprintf("While it waited for %s the server said %s.%s", awaited, e.words(), company(e))
		},
		advise: func(*Evidence) string {
			return "Act on the server's words; they are about the connection and not about a statement. Code and words that MySQL's manual does not know are a proxy's: its log has more."
		},
		executed: unlessFarewell,
	},
	{
		slug:     "closed_while_idle",
		severity: Notice,
		title:    "The connection was closed while it was idle",
		signs:    when(idle, over, noPacket),
		explain: func(e *Evidence) string {
			if e.Unsent > 0 || e.NothingWritten {
				return fmt.Sprintf("When the next command was to be written the connection was already %s%s. Nothing of the command was sent.", e.ending(), since(e.Idle, "after its last byte"))
			}
			return fmt.Sprintf("The connection was %s while no command was outstanding%s. The peer said nothing.", e.ending(), since(e.Idle, "after its last byte"))
		},
		advise: func(e *Evidence) string {
			return "Set SetConnMaxIdleTime below the shortest idle limit on the way: wait_timeout of the server (without a farewell: MariaDB, and MySQL before 8.0.24), the idle timeout of the proxy, load balancer, NAT or firewall (often 350 s or less). If it happens to single connections that were busy a moment ago, look for KILL."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			out := []Slug{"connection_killed", "idle_timeout"}
			if e.RelatedFailures > 0 {
				out = append(out, "server_shutdown")
			}
			return out
		},
	},
}

// idleFor says for how long the connection was idle, to follow "idle for".
func idleFor(e *Evidence) string {
	if e.Idle <= 0 {
		return "too long"
	}
	return dur(e.Idle)
}

var notEarlier = guard("no earlier command is without its end", func(e *Evidence) bool {
	return !earlier(e) || e.Actual == 0
})

// earlier reports whether an answer to an earlier command may still come.
func earlier(e *Evidence) bool {
	present := 1
	if e.BeforeCommand || e.Phase == session.PhaseReady {
		present = 0
	}
	return e.EarlierUnfinished || e.Pending > present
}

func lastWord(e *Evidence) bool {
	return e.Stream == StreamEOF || e.Stream == StreamReset || e.Actual == 0 || slices.Contains(farewellCodes, e.code())
}

// company mentions the other connections that ended at the same time.
func company(e *Evidence) string {
	if e.RelatedFailures < 1 {
		return ""
	}
	return fmt.Sprintf(" %s to the same server ended within the same second.", count(e.RelatedFailures, "other connection", "other connections"))
}
