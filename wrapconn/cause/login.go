package cause

import (
	"fmt"
	"slices"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// stalledHere: the server was kept waiting here, for long enough and for longer
// than the login was on its way. If its time had run out only after the login
// had left, the ERR would have come later than the pause was long.
var stalledHere = fact{is: "this process paused in the login for 2 s or more, and for longer than the login was on its way", holds: func(e *Evidence) bool {
	return e.pause() >= minConnectTimeout && e.pause() > e.SinceLogin
}}

// neverRead: ERR 1043 is said of a login that makes no sense, and (measured, with
// TLS) by MySQL of one whose read failed and by MariaDB of one that did not come
// in time. The number tells the two apart: who has read the login has counted it.
var neverRead = sign{connecting, said(erHandshake), fact{is: "its number says that the login was not read", holds: func(e *Evidence) bool {
	return e.Violation == session.MisnumberedError && e.Distance() > 0
}}, ownNumbersRight}

// loginRules are about what happened between the greeting and the end of the
// login. "Packet sequence number wrong - got 1 expected 2" comes from here: the
// server keeps one counter for both directions (sql-common/net_serv.cc), so an
// ERR numbered 1 where 2 is due was said before the login, packet 1, was read.
// With TLS the pair is 2 and 3, in the second round of caching_sha2_password 3
// and 4. Who is to blame is in the code and in the clock, never in the numbers.
var loginRules = []rule{
	{
		slug:     "login_stalled_locally",
		severity: Error,
		title:    "This process sent its login too late",
		signs: []sign{
			{connecting, said(erReadInterrupted), stalledHere},
			append(slices.Clone(neverRead), stalledHere),
			// MariaDB says 1043 in plaintext of a TLS handshake that takes too long.
			{phase(session.PhaseTLS), said(erHandshake), stalledHere},
			// MariaDB 10.11 says nothing: when connect_timeout is over it sets
			// SO_LINGER to 0 and closes, which makes a reset (seen with strace).
			{mariaDB, connecting, noERR, reset, guard("the greeting was read", func(e *Evidence) bool { return e.Phase != session.PhaseGreeting }), stalledHere},
		},
		explain: func(e *Evidence) string {
			end := fmt.Sprintf("and gave up (%s)", e.err())
			if e.ServerError == nil {
				end = "and reset the connection, as MariaDB does without a word"
			}
			return fmt.Sprintf("The server waited for the login until its connect_timeout was over %s; %s.%s", end, sentAfter(e), unread(e))
		},
		advise: func(*Evidence) string {
			return "Find what held this process up between two steps of one login: CPU throttling of the container (cpu.stat nr_throttled; GOMAXPROCS above the CPU limit), a blocked or overloaded host, a frozen VM, " +
				"too many connections being made at once (SetMaxOpenConns, SetMaxIdleConns), or a BeforeConnect or TLS callback that waits for something else. Raising the server's connect_timeout (10 s by default) only hides it."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			switch {
			case e.ServerError == nil:
				return []Slug{"login_unanswered"}
			case e.SinceLogin >= time.Second, e.TLS != TLSNone && e.OwnPause == 0:
				return []Slug{"login_delayed_on_the_way"}
			}
			return nil
		},
	},
	{
		slug:     "login_delayed_on_the_way",
		severity: Error,
		title:    "The login did not reach the server in time",
		signs: []sign{
			{connecting, said(erReadInterrupted), fact{is: "the clock was read when the login was written", holds: func(e *Evidence) bool {
				return e.SinceLogin > 0 || e.pause() > 0
			}}},
			append(slices.Clone(neverRead), fact{is: "the login was on its way for 1 s or more", holds: func(e *Evidence) bool {
				return e.SinceLogin >= time.Second
			}}),
		},
		explain: func(e *Evidence) string {
			return fmt.Sprintf("The server did not receive the login in time and gave up (%s)%s; %s. The time passed outside this process.%s",
				e.err(), since(e.SinceLogin, "after the login was sent"), sentAfter(e), unread(e))
		},
		advise: func(*Evidence) string {
			return "Look between this process and the server: a proxy or load balancer that queues connections or greets before it has a backend, packet loss (nstat TcpRetransSegs), a firewall that lets the first packets pass and not the rest, an MTU that swallows larger ones. " +
				"Connect once without the proxy and compare. Raising the server's connect_timeout (10 s by default) only hides it."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			// A pause before the first Read cannot be told from a late greeting.
			if e.pause() >= time.Second || e.GreetingAfter >= minConnectTimeout {
				return []Slug{"login_stalled_locally"}
			}
			return nil
		},
	},
	{
		slug:     "login_unreadable",
		severity: Error,
		title:    "The server could not read the login",
		signs:    []sign{{connecting, said(erReadError)}, neverRead},
		explain: func(e *Evidence) string {
			return fmt.Sprintf("The server's read of the login failed (%s)%s: for it, the direction from this process to the server was closed.%s", e.err(), since(e.SinceLogin, "after the login was sent"), unread(e))
		},
		advise: func(*Evidence) string {
			return "Something on the way closed one direction only: look for a proxy, sidecar or firewall that half-closes connections, and into its log at this moment. This process had not closed anything."
		},
		executed: never,
	},
	{
		slug:     "tls_failed",
		severity: Error,
		title:    "TLS could not be set up",
		signs: []sign{
			{phase(session.PhaseTLS), anyERR, notSaid(erReadError, erReadInterrupted, erOutOfOrder)},
			{phase(session.PhaseTLS), over, noERR},
			{phase(session.PhaseTLS), violation(session.Unsolicited, session.NotMySQL, session.Malformed, session.SequenceMismatch), noERR},
			{connecting, fact{is: "the peer sent a TLS alert", holds: func(e *Evidence) bool { return e.TLSAlert != "" }}},
		},
		explain: func(e *Evidence) string {
			switch {
			case e.TLSAlert != "":
				return fmt.Sprintf("After the request for TLS the server ended the handshake with the alert %s.", text(e.TLSAlert))
			case e.ServerError != nil:
				return fmt.Sprintf("The server answered the request for TLS in plaintext, with %s.", e.words())
			case e.Stream == StreamOpen:
				return "After the request for TLS the server sent something else than TLS."
			}
			return fmt.Sprintf("After the request for TLS, before the handshake was over, the connection was %s.", e.ending())
		},
		advise: func(*Evidence) string {
			return "Compare what both sides accept: certificate and server name (tls= in the DSN, the registered tls.Config), versions (tls_version on the server, MinVersion here), and whether a proxy in between supports TLS at all. " +
				"`openssl s_client -starttls mysql -connect host:port` shows the server's side. If only large ClientHellos fail, a middlebox drops them: try without post-quantum key shares (tls.Config.CurvePreferences)."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			// The server also closes here, without an ERR that survives, when
			// its time for the login is over.
			if e.ServerError == nil && e.pause() >= minConnectTimeout {
				return []Slug{"login_stalled_locally"}
			}
			return nil
		},
	},
	{
		slug:     "auth_plugin_mismatch",
		severity: Error,
		title:    "The two sides do not agree on a way to log in",
		signs: []sign{
			{connecting, said(erUnsupportedAuth, erPluginNotLoaded, erSecureTransport), guard("the packet's number is right", func(e *Evidence) bool { return !numberWrong.holds(e) })},
			{connecting, fact{is: "the server had asked for another plugin", holds: func(e *Evidence) bool {
				return e.Kind == session.KindAuthSwitch || e.Kind == session.KindGreeting && e.AuthPlugin != ""
			}},
				violation(session.None, session.Malformed), noERR},
		},
		explain: func(e *Evidence) string {
			switch {
			case e.ServerError != nil:
				return fmt.Sprintf("The server ended the login with %s. The packets' numbers are right.", e.words())
			case e.AuthPlugin != "":
				return fmt.Sprintf("The server asked for the authentication plugin %s and the login did not go on. The packets' numbers are right.", text(e.AuthPlugin))
			}
			return "The server asked for another authentication plugin without a name that could be read, and the login did not go on."
		},
		advise: func(e *Evidence) string {
			if e.code() == erSecureTransport {
				return "The server takes this account only over TLS (require_secure_transport or REQUIRE SSL): set tls=true in the DSN."
			}
			return "Give the account a plugin that both sides have (caching_sha2_password; ALTER USER … IDENTIFIED WITH), or allow the one that the server asks for in the DSN: allowNativePasswords, allowCleartextPasswords (only with TLS), allowOldPasswords."
		},
		executed: never,
	},
	{
		// The converse of proxy_refusal_misnumbered: whoever knows the user has
		// read the login and should have counted it.
		slug:     "peer_misnumbers_handshake",
		severity: Error,
		title:    "The peer numbers its packets of the login wrongly",
		signs: []sign{
			{connecting, fromServer, fact{is: "a packet that is no ERR has a wrong number", holds: func(e *Evidence) bool { return e.Violation == session.SequenceMismatch }}, noERR, ownNumbersRight},
			{connecting, fromServer, numberWrong, said(loginReadCodes...), ownNumbersRight},
		},
		explain: func(e *Evidence) string {
			what := e.Kind.String()
			if e.ServerError != nil {
				what = e.words()
			}
			return fmt.Sprintf("The peer sent %s with number %d where %d was due, although it had read the login. This process numbered its own packets rightly, so the peer counts wrongly.", what, e.Actual, e.Expected)
		},
		advise: func(e *Evidence) string {
			return "A proxy, or a server that imitates MySQL, has a fault in its login" + version(e) + ". Connect once past it to be sure, then update it; for the time being try another authentication plugin for the account (mysql_native_password takes fewer packets) or connect without TLS or with it."
		},
		executed: never,
	},
	{
		// Of the refusals that MySQL 9.7 and MariaDB 10.11 could be made to
		// say, only those about reading the login had its number; those about
		// capacity (1040, 1203, 1226, 3032) and users came with number 0 instead
		// of the greeting or with the right one.
		slug:     "proxy_refusal_misnumbered",
		severity: Error,
		title:    "A proxy refused the login and numbered its refusal wrongly",
		signs:    when(connecting, fromServer, anyERR, numberWrong, ownNumbersRight, notSaid(slices.Concat(transportCodes, loginReadCodes, farewellCodes)...)),
		explain: func(e *Evidence) string {
			return fmt.Sprintf("The login was refused with %s%s. The refusal has number %d where %d was due: whoever wrote it had not counted the login. MySQL and MariaDB were never seen to refuse so.", e.words(), since(e.SinceLogin, "after it was sent"), e.Actual, e.Expected)
		},
		advise: func(e *Evidence) string {
			return "The words are the proxy's" + version(e) + ": look into its log and its limits (connections, backends, rate). The number is its fault and not the cause; clients that look at the number first hide these words."
		},
		executed: never,
		others:   func(*Evidence) []Slug { return []Slug{"peer_misnumbers_handshake"} },
	},
	{
		slug:     "login_unanswered",
		severity: Error,
		title:    "The login was not answered",
		signs:    when(connecting, guard("the greeting was read", func(e *Evidence) bool { return e.Phase != session.PhaseGreeting }), over, noERR),
		explain: func(e *Evidence) string {
			switch {
			case e.Phase == session.PhaseLogin:
				return fmt.Sprintf("The server greeted, but before the login was sent the connection was %s, %s after it was made.", e.ending(), dur(e.Age))
			case e.Stream == StreamTimeout:
				return fmt.Sprintf("The login was sent and nothing came back for %s; then the time limit of this side ran out.", dur(e.SinceLogin))
			}
			return fmt.Sprintf("The login was sent; %s later the connection was %s without an answer.", dur(e.SinceLogin), e.ending())
		},
		advise: func(e *Evidence) string {
			if e.Stream == StreamTimeout {
				return "Look at the server or proxy: authentication against something slow (LDAP, PAM, a name lookup), a proxy whose backend does not answer, a server out of threads. Put a deadline on the context that connects."
			}
			return "Look into the error log of the server and the proxy at this moment (MySQL notes it only with log_error_verbosity=3; Aborted_connects counts it). MySQL and MariaDB close without a word in the middle of a login when they are stopped or the connection is killed."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			if e.Stream == StreamTimeout {
				return nil
			}
			out := []Slug{"server_shutdown", "connection_killed"}
			if e.pause() >= minConnectTimeout {
				return append(out, "login_stalled_locally")
			}
			if e.SinceLogin >= minConnectTimeout {
				// MariaDB's timeout, behind a proxy or after a delayed login.
				return append(out, "login_delayed_on_the_way")
			}
			return out
		},
	},
}

var ownNumbersRight = guard("this process numbered its packets rightly", func(e *Evidence) bool { return !e.Misnumbered })

// sentAfter says what this process did meanwhile.
func sentAfter(e *Evidence) string {
	switch {
	case e.LoginAfter == 0 && e.pause() == 0:
		return "when this process sent it was not measured"
	case e.LoginAfter == 0:
		return fmt.Sprintf("this process had not sent it %s after it read the greeting", dur(e.pause()))
	case e.OwnPause > e.LoginAfter && e.OwnPause >= time.Millisecond:
		// Before the first Read, or in a later round; less is nobody's trouble.
		return fmt.Sprintf("this process sent it %s after it read the greeting, and kept the server waiting for %s at another step", dur(e.LoginAfter), dur(e.OwnPause))
	}
	return fmt.Sprintf("this process sent it %s after it read the greeting", dur(e.LoginAfter))
}

// unread tells what the number of an ERR proves: the distance is the number of
// this side's packets that the server had not read.
func unread(e *Evidence) string {
	d := e.Distance()
	if e.Violation != session.MisnumberedError || d < 1 || d > 8 || e.Compressed {
		return ""
	}
	last := "last packet"
	if d > 1 {
		last = fmt.Sprintf("last %d packets", d)
	}
	return fmt.Sprintf(" The ERR's number (%d where %d was due) says that the server had not read the %s of this login.", e.Actual, e.Expected, last)
}

// version names the peer in brackets, as far as it named itself.
func version(e *Evidence) string {
	if e.ServerVersion == "" {
		return ""
	}
	return " (it calls itself " + text(e.ServerVersion) + ")"
}
