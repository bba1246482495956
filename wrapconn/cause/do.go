package cause

import (
	"fmt"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// do holds, for each cause, the one thing to do first, in the few words that fit
// into an error line. The advice has the rest.
var do = map[Slug]func(*Evidence) string{
	"pool_exhausted":    say("Look at the call sites that hold most."),
	"rows_never_closed": say("Close the rows where they are opened: defer rows.Close()."),
	"held_too_long":     say("Close what is open: rows, transaction, sql.Conn."),
	"abandoned": func(e *Evidence) string {
		switch {
		case e.Phase == session.PhaseLocalInfile:
			return "Check what was loaded before you load it again."
		case neverGreeted(e):
			return "Look at the proxy and the server behind this address."
		case e.Phase.Connecting():
			return "Find what makes logins slow; keep more connections open."
		}
		return "It may still run on the server: KILL it there."
	},
	"read_nothing_due":    say("Update the client library; compare without a proxy."),
	"client_left":         say("Look at the client: its limits, cancelled requests."),
	"used_after_fork":     say("Open the pool after the fork."),
	"concurrent_use":      inGo("Share the *sql.DB, not a Conn, Tx, Rows or Stmt of it.", "Give each thread or task a connection of its own."),
	"more_results_unread": inGo("Read all results (NextResultSet), or close the rows.", "Read all results before the next statement."),
	"result_still_open": func(e *Evidence) string {
		if e.Goroutines == OtherGoroutine {
			return "Give each goroutine a connection: share the *sql.DB."
		}
		return inGo("Close the rows first, or read them into a slice.", "Read or close the result before the next statement.")(e)
	},

	"packet_too_large": func(e *Evidence) string {
		if e.ServerError == nil {
			return "After ERR 1153, give the connection back to the pool."
		}
		if ofFile(e) {
			return "Raise max_allowed_packet; check what was run."
		}
		return "Send less at once, or raise max_allowed_packet."
	},
	"split_packet_misnumbered":  say("Update the driver; keep commands below 16 MiB."),
	"client_misnumbered":        say("Update the driver."),
	"renumbered_on_the_way":     say(comparePaths),
	"upload_interrupted":        say("Send without pauses, or raise net_read_timeout."),
	"compression_corrupt":       inGo("Connect without compress=true and compare.", "Connect without compression and compare."),
	"local_infile_partial":      say("Roll back, or delete what was loaded."),
	"local_infile_aborted":      say("Read the server's words, and check what was loaded."),
	"stale_answer":              say("Find what left an earlier answer unread."),
	"continued_after_error":     say("Send statements one at a time; report it to its makers."),
	"unsolicited_packet":        say(comparePaths),
	"mismatched_answer":         say(comparePaths),
	"peer_misnumbers_results":   say(comparePaths),
	"peer_misnumbers_handshake": say(comparePaths),
	"not_prepared":              inGo("Send it without arguments, or interpolateParams=true.", "Send it as an ordinary statement."),
	"malformed_packet":          say(comparePaths),

	"read_too_late":     say("Find what held this process up (CPU limit, overload)."),
	"peer_unresponsive": say("Look for the statement in SHOW PROCESSLIST."), // where the kernel does not know better, see proof.go
	"closed_before_answer": func(e *Evidence) string {
		if e.large() {
			return "Compare its size with max_allowed_packet (proxy's, too)."
		}
		return "Look for KILL, a crash, or a limit of the proxy."
	},
	"connection_lost_mid_answer": func(e *Evidence) string {
		if unseenRest(e) {
			return "Check what was run; look for a slow LOCAL INFILE reader, KILL or a crash."
		}
		return "Discard what was read; look for KILL or a crash."
	},
	"slow_reader": say("Read the rows faster, or raise net_write_timeout."),

	// The server says that it was idle for too long, however short that was.
	"idle_timeout": func(e *Evidence) string {
		switch {
		case held(e):
			return giveBack
		case e.library() != &goLibrary:
			return "Keep idle connections for less than wait_timeout."
		}
		return "Set SetConnMaxIdleTime below wait_timeout."
	},
	"closed_while_idle": whileIdle("Set SetConnMaxIdleTime below the idle limit.", "Keep idle connections for less than the idle limit."),
	"server_shutdown":   say("Connect again, with a pause that grows."),
	"ended_together":    say("Look for a restart or KILL at this moment."),
	"connection_killed": say("Find who ran KILL."),
	"server_farewell": func(e *Evidence) string {
		if e.ServerError == nil && e.LastError != nil {
			return fmt.Sprintf("Its words were the answer before: ERR %d.", e.LastError.Code)
		}
		return "Act on the server's words."
	},

	"refused_before_greeting": func(e *Evidence) string {
		switch {
		case byRouter(e):
			return "It is MySQL Router's own limit: look at the route."
		case e.code() == 1040:
			return e.inGo("Lower SetMaxOpenConns, or raise max_connections.", "Cap the pools, or raise max_connections.")
		case e.code() == 1203 || e.code() == 1226:
			return e.inGo("Lower SetMaxOpenConns, or raise max_user_connections.", "Cap the pools, or raise max_user_connections.")
		case e.code() == 1129:
			return "Find what hangs up in its logins; empty the host cache."
		case e.code() == 1130:
			return "Check the host part of the account."
		case e.code() == erShutdown:
			return "Connect again after a moment, or to another member."
		}
		return "Act on the server's words."
	},
	"not_mysql": func(e *Evidence) string {
		if name, _ := protocol(e.FirstBytes); name != "" {
			return "It speaks " + name + ": check host and port."
		}
		return e.inGo("Check host and port of the DSN.", "Check host and port that it connects to.")
	},
	"no_greeting":              say("Look at the proxy and the server behind this address."),
	"login_stalled_locally":    inGo("Find what held this process up (CPU limit, overload).", "Find what held the client up (CPU limit, event loop)."),
	"login_delayed_on_the_way": say("Look at the network and the proxy in between."),
	"login_unreadable":         say("Look for what closes one direction of connections."),
	"tls_failed": func(e *Evidence) string {
		if e.code() == erOutOfOrder {
			return comparePaths
		}
		if e.Stream == StreamTimeout && e.TLSAlert == "" && e.ClientAlert == "" {
			return "Look at the server or proxy: it did not go on with TLS."
		}
		if slowHandshake(e) || e.maybeStalled() || slowHere(e) != "" {
			return "Find what held the login up; if each one fails, compare TLS versions."
		}
		return "Compare certificates, names and TLS versions."
	},
	"auth_plugin_mismatch": func(e *Evidence) string {
		switch {
		case turnedAway.holds(e) && e.PasswordDue:
			return "Use TLS, or let the client ask for the public key."
		case keyRefused.holds(e):
			return "Use TLS: the server has no public key to give."
		case shortNonce(e):
			return "Connect again: go-sql-driver gives up one of 256 such logins."
		}
		return "Give the account a plugin that both sides have."
	},
	"proxy_header_refused":      say("Compare send-proxy with proxy_protocol_networks."),
	"proxy_refusal_misnumbered": say("Look into the proxy's log; the words are its own."),
	"login_unanswered":          say("Look into the log of the server and the proxy."),

	Undetermined: say("Look into the log of the server and the proxy."),
}

func say(s string) func(*Evidence) string { return func(*Evidence) string { return s } }

// inGo is for what a library of another language calls otherwise.
func inGo(ours, others string) func(*Evidence) string {
	return func(e *Evidence) string { return e.inGo(ours, others) }
}

const comparePaths = "Connect past the proxy and compare."

// giveBack is for a connection that no limit of the pool reaches.
const giveBack = "Close the sql.Conn or sql.Tx between uses."

// whileIdle is for a connection that ended between two commands.
func whileIdle(limit, others string) func(*Evidence) string {
	return func(e *Evidence) string {
		switch {
		case e.Idle > 0 && e.Idle < shortestIdleLimit:
			return "Look for KILL or a restart: it was not idle for long."
		case held(e):
			return giveBack
		case e.library() != &goLibrary:
			return others
		}
		return limit
	}
}
