package cause

import (
	"fmt"
	"strings"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// greetingRules are about the peer's first bytes.
var greetingRules = []rule{
	{
		// The number proves nothing here: MySQL and MariaDB 10.11 were seen to
		// refuse with 0, MariaDB is reported to refuse with 1.
		slug:     "refused_before_greeting",
		severity: Error,
		title:    "The server refused the connection before its greeting",
		signs:    when(phase(session.PhaseGreeting), anyERR),
		explain: func(e *Evidence) string {
			number := ""
			if e.Actual > 1 {
				number = fmt.Sprintf(" Its number is %d, which no server writes there: that is a proxy's fault, but not the cause.", e.Actual)
			}
			return fmt.Sprintf("Instead of a greeting %s answered with %s. No login was sent; the packet's number says nothing about who is at fault.%s", refuser(e), e.words(), number)
		},
		advise:   refusal,
		executed: never,
	},
	{
		slug:     "not_mysql",
		severity: Error,
		title:    "The peer does not speak the MySQL protocol",
		signs: []sign{
			{violation(session.NotMySQL), guard("no greeting follows", func(e *Evidence) bool { return !alertBefore(e.FirstBytes) })},
			{phase(session.PhaseGreeting), fact{is: "the first bytes are another protocol's", holds: func(e *Evidence) bool {
				name, _ := protocol(e.FirstBytes)
				return name != "" && !greetingLike(e.FirstBytes) && !alertBefore(e.FirstBytes)
			}}},
			// The peer was gone before it had said enough to be sure of more.
			{phase(session.PhaseGreeting), over, fact{is: "the first bytes can be no greeting's: they would have 64 KiB or more", holds: func(e *Evidence) bool {
				return len(e.FirstBytes) >= 3 && e.FirstBytes[2] != 0 && !alertBefore(e.FirstBytes)
			}}},
			{connecting, fromServer, anyERR, clientForeign},
			{connecting, fromClient, violation(session.SequenceMismatch), clientForeign},
		},
		explain: func(e *Evidence) string {
			if clientForeign.holds(e) {
				s := fmt.Sprintf("%s does not speak MySQL: its first bytes are %s.", capital(e.who()), e.ClientSpeaks)
				if e.ServerError != nil {
					s += fmt.Sprintf(" The server could not read them (%s).", e.err())
				}
				return s
			}
			if len(e.FirstBytes) == 0 {
				return "The peer's first packet cannot be a MySQL greeting."
			}
			name, _ := protocol(e.FirstBytes)
			if name == "" {
				return fmt.Sprintf("The peer's first bytes (%s) cannot be a MySQL greeting.", firstBytes(e.FirstBytes))
			}
			s := fmt.Sprintf("The peer's first bytes (%s) look like %s.", firstBytes(e.FirstBytes), name)
			if alert(e.FirstBytes) {
				s += " Or it is an alert that is for another connection: " + mixedUp
			}
			return s
		},
		advise: func(e *Evidence) string {
			if clientForeign.holds(e) {
				return "Look at that client: a health check, a scanner, or a program whose address for another service is this one. The server and other clients have nothing to do with it."
			}
			_, hint := protocol(e.FirstBytes)
			if hint != "" {
				hint += " "
			}
			return hint + "Check host and port " + e.inGo("of the DSN", "that the client connects to") + ", and what the load balancer forwards this port to."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			if alert(e.FirstBytes) {
				return []Slug{"server_shutdown"}
			}
			return nil
		},
	},
	{
		slug:     "no_greeting",
		severity: Error,
		title:    "The server never greeted",
		signs:    when(phase(session.PhaseGreeting), over, noERR, notLate),
		explain: func(e *Evidence) string {
			what := "sent no greeting"
			if e.InsidePacket {
				what = "sent only a part of its greeting"
			}
			if e.Stream == StreamTimeout {
				return fmt.Sprintf("The peer accepted the connection and %s within %s; then the time limit of %s ran out.", what, dur(e.Age), side(e))
			}
			return fmt.Sprintf("The peer accepted the connection and %s; %s after it was made the connection was %s.", what, dur(e.Age), e.ending())
		},
		advise: func(e *Evidence) string {
			if e.Stream == StreamTimeout {
				return "Look for a proxy without a backend that works, a server that waits for a PROXY protocol header (proxy_protocol_networks), " +
					"a name lookup of the client's address that hangs (skip_name_resolve), a full backlog (back_log), or another protocol on this port, in which the client speaks first. " +
					"Give connecting a limit of its own: timeout in the DSN covers only the dial, so use a context with a deadline."
			}
			return "Look for a load balancer or proxy that has no backend or does not admit this client's address. Look into the server's error log for a stop, a crash or offline_mode at this moment: a server that goes away may have accepted connections that it never greets."
		},
		executed: never,
		others:   func(*Evidence) []Slug { return []Slug{"not_mysql", "server_shutdown"} },
	},
}

// side names whose time limit ran out.
func side(e *Evidence) string {
	if e.ours() {
		return "this side"
	}
	return "the client"
}

// clientCode reports whether a code is of the range that client libraries use for
// what they find themselves: a server never says it, a proxy that is a client of
// the server does.
// https://dev.mysql.com/doc/mysql-errors/9.0/en/client-error-reference.html
func clientCode(code uint16) bool { return code >= 2000 && code < 3000 }

// byRouter reports whether the words are MySQL Router's own.
func byRouter(e *Evidence) bool {
	if e.ServerError == nil {
		return false
	}
	m := e.ServerError.Message
	return strings.Contains(m, "MySQL Router") || e.code() == 1129 && strings.HasPrefix(m, "Too many connection errors from")
}

// refuser is who said an ERR in place of the greeting.
func refuser(e *Evidence) string {
	switch {
	case byRouter(e):
		return "MySQL Router, not the server behind it,"
	case clientCode(e.code()) || e.code() >= 9000 && e.code() < 10000:
		return "a proxy (no server has this code)"
	}
	return "the server"
}

// refusal says what to do about an ERR in place of the greeting.
func refusal(e *Evidence) string {
	code := e.code()
	switch {
	case byRouter(e) && code == 1040:
		return "It is MySQL Router's own limit: max_connections of the route or max_total_connections in its configuration, not max_connections of the server. " + e.library().most + " so that all instances together stay below it, or raise it."
	case byRouter(e) && code == 1129:
		return "It is MySQL Router's own block: max_connect_errors of the route counts logins that broke off, by client address; a restart of Router lifts it, and nothing that is done on the server does. Find out what connects and hangs up in the login."
	case clientCode(code):
		return "A proxy could not reach the server behind it: look into its log and at its backends. Nothing was sent, so connecting again is safe; wait longer after each failure."
	}
	switch code {
	case 1040:
		return "All max_connections slots of the server are taken. " + e.library().most + " so that all instances together stay below it, look for idle connections in SHOW PROCESSLIST, and raise max_connections only if the memory is there."
	case 1129:
		return "The server blocks this host because too many of its connections broke off in the login (max_connect_errors). " +
			"Find out what connects and hangs up (a health check, a port scanner, a client that gives up; a wrong password does not count), then run TRUNCATE TABLE performance_schema.host_cache (MySQL) or FLUSH HOSTS (MariaDB)."
	case 1130, 1042:
		return "The server admits no user from this address. Check the host part of the account (CREATE USER 'u'@'host'), and how the server resolves the client's name (skip_name_resolve)."
	case 1203, 1226:
		return "This account has as many connections as it may have (max_user_connections). " + e.library().most + " that uses it, or raise the account's limit."
	case erShutdown:
		return "The server is shutting down. Connect again after a moment, with a growing pause, or to another member; if nobody stopped it, read its error log."
	case erOfflineMode:
		return "The server was taken offline for users (offline_mode=ON). Ask who did it; connect to another member meanwhile."
	case 1041, 1135:
		return "The server has no memory or no threads left for another connection. Look at its memory, ulimit and pid limits, and reduce the number of connections. " + e.library().most + "."
	case erReadInterrupted, erReadError:
		return "The server waited for bytes before its greeting and did not get them: it or a proxy expects a PROXY protocol header (proxy_protocol_networks) that nobody sends here."
	}
	if code >= 9000 && code < 10000 {
		return "Codes of 9000 and more are a proxy's: no MySQL server has them. Look into the proxy's log and its table of backends: it has no backend that it would use for this client."
	}
	return "Read the server's words; its error log has more. Nothing was sent, so connecting again is safe."
}
