package cause

import (
	"fmt"
	"slices"
	"strings"
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
			// An ERR of this number and with the number that is due answers the
			// command: a procedure may say it too (SIGNAL … MYSQL_ERRNO = 4031).
			{mysql, said(erInteractionTimout), fact{is: "the ERR was not an answer to the command", holds: func(e *Evidence) bool {
				return e.Violation != session.None || e.BeforeCommand
			}}},
			// Measured on MariaDB: wait_timeout and idle_transaction_timeout make a
			// reset without an ERR, KILL a clean end. A balancer resets as well, so
			// it takes a time that is the server's default to tell.
			{mariaDB, idle, noPacket, noLastWord, fact{is: "the peer reset the connection", holds: func(e *Evidence) bool { return e.Stream == StreamReset }},
				fact{is: "it was idle for as long as wait_timeout, 8 h by default", holds: func(e *Evidence) bool {
					return e.Idle >= defaultWaitTimeout
				}}},
		},
		explain: func(e *Evidence) string {
			if e.ServerError == nil {
				return fmt.Sprintf("The server reset the connection after it was idle for %s. MariaDB does so, without a word, when wait_timeout (8 h by default) is over.", dur(e.Idle))
			}
			crossed := ""
			if e.Pending > 0 && !e.BeforeCommand && !partRan(e) {
				crossed = " Its words crossed the command on the way, so the command was not read."
			}
			return fmt.Sprintf("The server ended the connection because it was idle for %s (%s).%s", idleFor(e), e.err(), crossed)
		},
		advise: func(e *Evidence) string {
			if held(e) {
				return "The application held this connection itself (sql.Conn, sql.Tx). No limit of the pool closes such a connection: give it back between uses (Close, Commit), or take it from the pool when it is needed. Or raise wait_timeout (28800 s by default; a session may have its own)."
			}
			return e.library().idle + " the server's wait_timeout (28800 s by default; a session may have its own), so that the pool closes idle connections before the server does. Or raise wait_timeout."
		},
		executed: neverBegun,
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
			{ended, noPacket, loggedIn, lastWord(erShutdown, erOfflineMode)},
			// The end alone proves nothing: a KILL looks the same. That nobody
			// listens there any more does.
			{gone, ended, noPacket, loggedIn, settled, noLastWord, knownTo(timely), notSlow, endedByThat},
		},
		explain: func(e *Evidence) string {
			switch {
			case e.code() == erOfflineMode:
				return fmt.Sprintf("The server ended the connection because it was taken offline for users (%s).%s", e.err(), company(e))
			case e.ServerError != nil:
				return fmt.Sprintf("The server ended the connection because it is shutting down (%s).%s", e.err(), company(e))
			case !gone.holds(e):
				return fmt.Sprintf("The server had answered the command before with %s; then the connection was %s. A server ends the connection after such an answer.", lastWords(e), e.ending())
			case e.Siblings.Told == erOfflineMode:
				return fmt.Sprintf("%s At the same time the server said to others that it is offline for users (ERR 3032): offline_mode=ON cuts connections without a word.%s%s", howItEnded(e), company(e), alone(e))
			case e.Siblings.Told != 0:
				return fmt.Sprintf("%s At the same time the server said to others that it is shutting down (%s).%s%s", howItEnded(e), codeName(e.Siblings.Told, e.MariaDB), company(e), alone(e))
			}
			back := ""
			if e.Siblings.AnsweredAfter > 0 || e.Siblings.LoggedInAfter > 0 {
				back = " It takes them again by now."
			}
			return fmt.Sprintf("%s At the same time connecting %s was refused: the server, or the proxy in front of it, went away.%s%s%s", howItEnded(e), e.at(), back, company(e), alone(e))
		},
		advise: func(e *Evidence) string {
			s := "Connecting again is safe; wait longer after each failure. "
			if offline(e) {
				s = "Ask who set offline_mode=ON; connect to another member meanwhile. "
			}
			if unlessFarewell(e) == ExecutedUnknown {
				s = "The statement may have been executed: check before you run it again. " + s
			}
			if offline(e) {
				return strings.TrimSpace(s)
			}
			return s + "This is expected in a restart, an upgrade or a failover. If nobody stopped the server, read its error log and look for a crash or for the kernel's OOM killer. " + e.inGo("SetConnMaxLifetime", "A limit on the age of a pool's connections") + " helps connections to move to a new primary."
		},
		executed: unlessFarewell,
		others: func(e *Evidence) []Slug {
			switch {
			case e.code() == erShutdown && e.Siblings.Ended == 0 && !e.Siblings.down():
				// MySQL says 1053 also to a connection that was killed: the
				// state KILL_CONNECTION is this number (sql/sql_class.h).
				return []Slug{"connection_killed"}
			case e.ServerError == nil && idle.holds(e):
				return []Slug{"closed_while_idle", "connection_killed"}
			case e.ServerError == nil && gone.holds(e):
				// The end of one connection may have come in the same moment for a
				// reason of its own.
				if answering.holds(e) {
					return orSlow(e, "connection_killed", "connection_lost_mid_answer")
				}
				return []Slug{"connection_killed", "closed_before_answer"}
			case e.ServerError == nil:
				return []Slug{"connection_killed"}
			}
			return nil
		},
	},
	{
		// One event, one name, whatever each of its victims was doing. Whether it
		// was the server or somebody with KILL is not known, so it is not said.
		slug:     "ended_together",
		severity: Notice,
		title:    "Several connections to the server ended at once",
		signs:    when(inCompany, ended, noPacket, loggedIn, settled, noLastWord, knownTo(sameEvent), notForItsSize, notSlow),
		explain: func(e *Evidence) string {
			s := &e.Siblings
			within := "the same second"
			if s.Spread >= time.Millisecond {
				within = dur(s.Spread)
			}
			out := fmt.Sprintf("%s %s others %s ended within %s, without a word: ", howItEnded(e), number(s.Ended), e.at(), within)
			switch {
			case s.up():
				out += "a KILL of each (pt-kill, an operator, a managed service), offline_mode, a limit of a proxy or balancer, an orderly stop that has just begun, or one of several servers behind the address."
			default:
				out += "a restart, a failover or a crash of the server or the proxy in front of it, offline_mode, a limit of a proxy or balancer, or a KILL of each (pt-kill, an operator)."
			}
			if s.SameRun {
				out += fmt.Sprintf(" Each had a command out for the same time, %s: a limit on the time of a statement does that too.", dur(e.SinceCommand))
			}
			return out + life(e)
		},
		advise: func(e *Evidence) string {
			s := "Look into the error log of the server and the proxy at this moment (restart, crash, out of memory), and for who ran KILL. Connecting again is safe; wait longer after each failure."
			if ifSent(e) == ExecutedUnknown {
				s = "The statement may have been executed: check before you run it again. " + s
			}
			return s
		},
		executed: ifSent,
		others: func(e *Evidence) []Slug {
			out := orSlow(e, "connection_killed", "server_shutdown")
			if e.large() {
				out = append(out, "packet_too_large")
			}
			return out
		},
	},
	{
		slug:     "connection_killed",
		severity: Notice,
		title:    "Somebody killed the connection",
		signs: []sign{
			{said(erConnectionKilled, erSessionKilled), notMaxScale},
			{ended, noPacket, loggedIn, lastWord(erConnectionKilled, erSessionKilled), notMaxScale},
		},
		explain: func(e *Evidence) string {
			if e.ServerError == nil {
				return fmt.Sprintf("The server had answered the command before with %s; then the connection was %s. A server ends the connection after such an answer.", lastWords(e), e.ending())
			}
			return fmt.Sprintf("The server ended the connection because it was killed (%s).%s", e.words(), company(e))
		},
		advise: func(*Evidence) string {
			return "Find out who ran KILL for this connection's id: an operator, a watchdog that ends long queries or transactions (pt-kill, a managed service), or SHUTDOWN on MariaDB, which sends this error to the session that asked for it. The general log and performance_schema.events_statements_history of other sessions show it."
		},
		executed: unlessFarewell,
		others: func(e *Evidence) []Slug {
			if e.Siblings.Ended > 0 {
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
			{loggedIn, anyERR, notSaid(transportCodes...), notEarlier, violation(session.Unsolicited), fact{is: "the ERR is the last word, or has the number of a farewell", holds: func(e *Evidence) bool { return finalWord(e) }}},
			{phase(session.PhaseLogin), anyERR, notSaid(transportCodes...), violation(session.Unsolicited)},
			{waiting, anyERR, notSaid(transportCodes...), notEarlier, violation(session.MisnumberedError), fact{is: "the ERR has number 0", holds: func(e *Evidence) bool { return e.Actual == 0 }}},
			{loggedIn, said(erConnectionKilled), fact{is: "the words are MaxScale's", holds: byMaxScale}},
			{ended, noPacket, loggedIn, lastWord(erConnectionKilled), fact{is: "the words are MaxScale's", holds: byMaxScale}},
			{ended, noPacket, loggedIn, lastWord(erMemoryGlobal, erMemory, erNewAborting)},
		},
		explain: func(e *Evidence) string {
			if e.ServerError == nil {
				return fmt.Sprintf("The server had answered the command before with %s; then the connection was %s. A server ends the connection after such an answer.", lastWords(e), e.ending())
			}
			if byMaxScale(e) {
				return fmt.Sprintf("MaxScale ended the connection with %s. It gives this number to whatever makes it close a session, also when nobody ran KILL: the words say what it was.%s", e.words(), company(e))
			}
			awaited := "a command"
			if connecting.holds(e) {
				awaited = "the login"
			}
			return fmt.Sprintf("While it waited for %s the server said %s.%s", awaited, e.words(), company(e))
		},
		advise: func(e *Evidence) string {
			if e.ServerError == nil && e.LastError != nil && e.LastError.Code == erNewAborting {
				return "The statements of the server's init_connect, which it runs for each account without SUPER or CONNECTION_ADMIN, failed for this account: SELECT @@init_connect shows them, and the server's error log says why. Correct them: the server answers the first command with this ERR and hangs up."
			}
			if e.ServerError == nil && !byMaxScale(e) {
				return "The command before took more memory than connection_memory_limit or global_connection_memory_limit allows: make its result or its sort smaller, or raise the limit. This connection was lost with it, whoever uses it next."
			}
			if byMaxScale(e) {
				s := "Look into MaxScale's log at this moment: it names the server behind it that failed, or the limit that was over (connection_timeout, a router that cannot replace its server, delayed_retry and transaction_replay). Connecting again is safe."
				if unlessFarewell(e) == ExecutedUnknown {
					s = "The statement may have been executed: check before you run it again. " + s
				}
				return s
			}
			return "Act on the server's words; they are about the connection and not about a statement. Code and words that MySQL's manual does not know are a proxy's: its log has more."
		},
		executed: unlessFarewell,
	},
	{
		slug:     "closed_while_idle",
		severity: Notice,
		title:    "The connection was closed while it was idle",
		signs:    when(idle, over, noPacket, noLastWord),
		explain: func(e *Evidence) string {
			hint := ""
			if e.MariaDB && e.Stream == StreamReset && e.Idle >= time.Second {
				limit := "wait_timeout is over (8 h by default, but the server or the session may have set less)"
				if e.lostTransaction() {
					limit = "wait_timeout, or in a transaction idle_transaction_timeout, is over"
				}
				hint = " MariaDB resets connections like this, without a word, when " + limit + "; a load balancer, NAT or firewall resets idle ones too."
			}
			if e.Unsent > 0 || e.NothingWritten {
				return fmt.Sprintf("When the next command was to be written the connection was already %s%s. Nothing of the command was sent.%s%s%s", e.ending(), since(e.Idle, "after its last byte"), hint, company(e), life(e))
			}
			return fmt.Sprintf("The connection was %s while no command was outstanding%s. The peer said nothing.%s%s%s", e.ending(), since(e.Idle, "after its last byte"), hint, company(e), life(e))
		},
		advise: func(e *Evidence) string {
			switch {
			case e.Idle > 0 && e.Idle < shortestIdleLimit:
				return fmt.Sprintf("It was idle for only %s, which is shorter than usual idle limits. Look for KILL (an operator, pt-kill, a managed service), COMMIT RELEASE or completion_type=RELEASE in the program itself, offline_mode, and a stop, a restart or a crash of the server or the proxy at this moment.", dur(e.Idle))
			case held(e):
				return "The application held this connection itself (sql.Conn, sql.Tx). No limit of the pool closes such a connection: give it back between uses, or take it from the pool when it is needed. Compare the time with wait_timeout of the server and the idle limits of what stands in between (proxy, load balancer, NAT, firewall: often 350 s or less); if it fits none, look for KILL, offline_mode, or a restart."
			}
			return e.library().idle + " the shortest idle limit on the way: wait_timeout of the server (without a farewell: MariaDB, and MySQL before 8.0.24), the idle timeout of the proxy, load balancer, NAT or firewall (often 350 s or less). If it happens to single connections that were busy a moment ago, look for KILL or offline_mode; if it happens to many at once, for a restart or a crash."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			out := []Slug{"connection_killed"}
			if e.Idle == 0 || e.Idle >= time.Second {
				out = append(out, "idle_timeout")
			}
			if !e.Siblings.up() {
				out = append(out, "server_shutdown")
			}
			return out
		},
	},
}

// byMaxScale: its words under the number of a KILL. They are in
// server/modules/protocol/MariaDB/mariadb_client.cc (error, kill: number 1927 with
// the words of whatever it was), server/core/session.cc (session_get_close_reason)
// and the routers' of MaxScale 24.02. MariaDB itself says "Connection was killed",
// in its language, and MaxScale passes that on.
func byMaxScale(e *Evidence) bool {
	s := e.ServerError
	if s == nil {
		s = e.LastError
	}
	if s == nil || s.Code != erConnectionKilled {
		return false
	}
	return strings.Contains(s.Message, "MaxScale") || strings.HasPrefix(s.Message, "Lost connection to backend server") || strings.HasPrefix(s.Message, "Server shutdown in progress")
}

// notMaxScale keeps a KILL apart from what MaxScale gives its number.
var notMaxScale = guard("the words are not MaxScale's", func(e *Evidence) bool { return !byMaxScale(e) })

// orSlow adds to what the end of an answer may have been, besides, that its
// reader was slow: what others met at that time excludes that as little as chance.
func orSlow(e *Evidence, s ...Slug) []Slug {
	if answering.holds(e) && e.LongestReadGap >= time.Second {
		s = append(s, "slow_reader")
	}
	return s
}

// defaultWaitTimeout is wait_timeout's default, 28800 s, less what clocks differ by.
const defaultWaitTimeout = 8*time.Hour - time.Second

// shortestIdleLimit is less than what balancers and firewalls are set to; a
// server's wait_timeout may be shorter and is then known to who set it.
const shortestIdleLimit = time.Second

// held reports whether the connection belongs to somebody, so that no limit of a
// pool can close it.
func held(e *Evidence) bool { return e.ours() && (e.Pinned || e.lostTransaction()) }

// lostTransaction reports whether a transaction was open: by the server's word,
// or because it was begun here.
func (e *Evidence) lostTransaction() bool { return e.InTransaction || e.TxBegun }

// offline reports whether the server was taken offline for users.
func offline(e *Evidence) bool {
	return e.code() == erOfflineMode || e.ServerError == nil && (e.Siblings.Told == erOfflineMode || e.LastError != nil && e.LastError.Code == erOfflineMode)
}

// closers are codes behind which a server ends the connection although they were
// a proper answer.
var closers = []uint16{erPacketTooLarge, erShutdown, erNewAborting, erConnectionKilled, erOfflineMode, erSessionKilled, erMemoryGlobal, erMemory}

// Closes reports whether a server ends the connection after it has answered with
// this code. Such a connection should not be kept.
func Closes(code uint16, mariaDB bool) bool {
	return slices.Contains(closers, code) && !(mariaDB && code >= 4000)
}

// noLastWord keeps ends apart that the server had announced in its last answer.
var noLastWord = guard("the server's last answer did not announce the end", func(e *Evidence) bool {
	return e.LastError == nil || !Closes(e.LastError.Code, e.MariaDB)
})

// lastWord holds if the last complete answer was an ERR of one of the codes.
func lastWord(codes ...uint16) fact {
	f := said(codes...)
	return fact{is: "the last answer was such an ERR", holds: func(e *Evidence) bool {
		return f.holds(&Evidence{ServerError: e.LastError}) && Closes(e.LastError.Code, e.MariaDB)
	}}
}

func lastWords(e *Evidence) string {
	l := Evidence{ServerError: e.LastError, MariaDB: e.MariaDB}
	return l.words()
}

// alone says what the end of a server looks like on one connection. It begins
// with a space.
func alone(e *Evidence) string {
	s := " What ends a single connection in the same moment (KILL, a limit of a proxy or balancer"
	switch {
	case e.large():
		s += ", max_allowed_packet"
	case answering.holds(e) && e.LongestReadGap >= time.Second:
		s += ", net_write_timeout"
	}
	return s + ") would look the same."
}

// howItEnded says what this connection showed, as a sentence.
func howItEnded(e *Evidence) string {
	switch {
	case e.Phase == session.PhaseLocalInfile:
		return fmt.Sprintf("While the file of LOAD DATA LOCAL INFILE was being sent the connection was %s.", e.ending())
	case waiting.holds(e) && e.Unsent > 0:
		return fmt.Sprintf("While %s was being sent the connection was %s.", what(e), e.ending())
	case waiting.holds(e):
		return fmt.Sprintf("%s later the connection was %s without a byte of an answer to %s.", capital(dur(e.SinceCommand)), e.ending(), what(e))
	case answering.holds(e):
		return fmt.Sprintf("In the middle of the answer to %s the connection was %s.", what(e), e.ending())
	}
	if !idle.holds(e) { // binary logs, say
		return fmt.Sprintf("While %s was under way the connection was %s.", what(e), e.ending())
	}
	return fmt.Sprintf("The connection was %s while no command was outstanding%s.", e.ending(), since(e.Idle, "after its last byte"))
}

// number is a count at the beginning of a clause, in words if it is small.
func number(n int) string {
	words := [...]string{"No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"}
	if n >= 0 && n < len(words) {
		return words[n]
	}
	return fmt.Sprint(n)
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

func finalWord(e *Evidence) bool {
	return e.Stream == StreamEOF || e.Stream == StreamReset || e.Actual == 0 || slices.Contains(farewellCodes, e.code())
}
