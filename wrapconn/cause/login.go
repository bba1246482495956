package cause

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// stalledHere: the server was kept waiting here, for long enough and for longer
// than the login was on its way. If its time had run out only after the login
// had left, the ERR would have come later than the pause was long. Far from the
// client nobody knows where the time went.
var stalledHere = fact{is: "the client paused in the login for 2 s or more, and for longer than the login was on its way", holds: func(e *Evidence) bool {
	return paused(e) || couldNotRun(e)
}}

// paused is what the clock shows of it.
func paused(e *Evidence) bool {
	least := minConnectTimeout
	if !e.ours() {
		least -= besides
	}
	return e.pause() >= least && e.pause() > e.SinceLogin && !e.far() && !proxyLate(e)
}

// besides: who looks on beside the two sees each packet a moment after it was sent,
// on a busy machine some more for one than for another.
const besides = 100 * time.Millisecond

// busyHere: a time limit of this side ran out while nobody here waited for the
// server: the time went into the client's own steps (a callback, no processor).
// When the login has left, the word is the server's.
var busyHere = fact{is: "the client spent most of the time in its own steps", holds: func(e *Evidence) bool {
	return e.SinceLogin == 0 && e.OwnPause >= time.Second/2 && e.OwnPause > e.Age/2 && !e.far()
}}

// noAlert: whoever sent a TLS alert has said why; what follows it in plaintext
// does not count. But OpenSSL says decode_error of a stream that ends too early,
// which is what the ERR behind it is about.
var noAlert = guard("nobody sent a TLS alert of his own", func(e *Evidence) bool {
	return (e.TLSAlert == "" || e.TLSAlert == "error decoding message") && e.ClientAlert == ""
})

// neverRead: ERR 1043 is said of a login that makes no sense, and (measured, with
// TLS) by MySQL of one whose read failed and by MariaDB of one that did not come
// in time. The number tells the two apart: who has read the login has counted it.
var neverRead = sign{connecting, said(erHandshake), fact{is: "its number says that the login was not read", holds: func(e *Evidence) bool {
	return e.Violation == session.MisnumberedError && e.Distance() > 0
}}, ownNumbersRight, noAlert}

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
		title:    "The login was sent too late",
		signs: []sign{
			{connecting, said(erReadInterrupted), stalledHere},
			append(slices.Clone(neverRead), stalledHere),
			// MariaDB says 1043 in plaintext of a TLS handshake that takes too long.
			{phase(session.PhaseTLS), said(erHandshake), stalledHere},
			// MariaDB 10.11 says nothing: when connect_timeout is over it sets
			// SO_LINGER to 0 and closes, which makes a reset (seen with strace).
			{mariaDB, connecting, noERR, reset, greetingRead, stalledHere},
			{connecting, timedOut, noERR, notLate, greetingRead, busyHere},
		},
		explain: func(e *Evidence) string {
			if e.Stream == StreamTimeout {
				step := "between two steps of the login"
				if e.Phase == session.PhaseTLS {
					step = "within the handshake of TLS"
				}
				return fmt.Sprintf("The time limit of %s ran out while the server waited for it: %s %s passed without a read or a write of %s. The server is not to blame.", side(e), dur(e.OwnPause), step, e.who())
			}
			end := fmt.Sprintf("and gave up (%s)", e.err())
			if e.ServerError == nil {
				end = "and reset the connection, as MariaDB does without a word"
			}
			return fmt.Sprintf("The server waited for the login until its connect_timeout was over %s; %s.%s%s%s", end, sentAfter(e), written(e), dialed(e), unread(e))
		},
		advise: func(e *Evidence) string {
			if e.Stream == StreamTimeout {
				return "Find what held " + e.it() + " up: a VerifyConnection or VerifyPeerCertificate callback that waits for something else, or " + e.library().stall + "."
			}
			return "Find what held " + e.it() + " up between two steps of one login: " + e.library().stall + ". Raising the server's connect_timeout (10 s by default) only hides it."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			switch {
			case e.Stream == StreamTimeout:
				return nil
			case e.ServerError == nil:
				return []Slug{"login_unanswered"}
			case e.SinceLogin >= time.Second, e.TLS != TLSNone && e.OwnPause == 0,
				!paused(e),                // the greeting may have been late as well
				e.WriteTook > e.pause()/2: // a connection that is no socket may wait for its other side
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
			append(slices.Clone(neverRead), fact{is: "the login was on its way for 1 s or more, or the proxy was late itself", holds: func(e *Evidence) bool {
				return e.SinceLogin >= time.Second || proxyLate(e)
			}}),
		},
		explain: func(e *Evidence) string {
			where := "The time passed outside " + e.it() + "."
			switch {
			case proxyLate(e):
				where = fmt.Sprintf("But this proxy did not look at its own clock for %s: it was stopped, or had no processor, and may have read late, or passed on late, what %s had sent in time.", dur(e.ProxyLate), e.who())
			case e.doubted():
				where = "Whether the time passed outside " + e.it() + " is not proved" + layHere(e) + "."
			case e.GreetingLay > 0:
				where = "The rest of the time passed outside " + e.it() + "."
			case e.SinceLogin > 0 || behindGreeting(e):
			case e.GreetingTimed:
				where = "By the kernel's clock the greeting came that late, and was read at once: the time had passed outside " + e.it() + "."
			case metWithGreeting(e):
				where = "The time had passed when the greeting was read: on the way, or here, between the making of the connection and the end of the dial."
			}
			if e.far() {
				where = "From here a client that stalls and a network that is slow look the same: either was to blame."
			}
			return fmt.Sprintf("The server did not receive the login in time and gave up (%s)%s; %s. %s%s%s",
				e.err(), since(e.SinceLogin, "after the login was sent"), sentAfter(e), where, dialed(e), unread(e))
		},
		advise: func(e *Evidence) string {
			if proxyLate(e) {
				return "Look first at the process of this proxy, its container and its machine: SIGSTOP, a freezer, a CPU limit, too few CPUs. If it was nothing of the kind, find what held " + e.it() + " up between two steps of one login: " + e.library().stall + "."
			}
			if e.far() {
				return "Look at both. At the client (" + e.who() + "): " + e.library().stall + ". On the way: a proxy that queues connections, packet loss (nstat TcpRetransSegs), a firewall, an MTU that swallows larger packets. A capture at the client's end tells the two apart. Raising the server's connect_timeout (10 s by default) only hides it."
			}
			return "Look between " + e.it() + " and the server: a proxy or load balancer that queues connections or greets before it has a backend, packet loss (nstat TcpRetransSegs), a firewall that lets the first packets pass and not the rest, an MTU that swallows larger ones. " +
				"Connect once without the proxy and compare. Raising the server's connect_timeout (10 s by default) only hides it."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			// Without the kernel's word a greeting that was read late cannot be told from
			// one that came late.
			if e.pause() >= time.Second || e.doubted() || !e.GreetingTimed && (e.GreetingAfter >= minConnectTimeout || metWithGreeting(e)) {
				return []Slug{"login_stalled_locally"}
			}
			return nil
		},
	},
	{
		slug:     "login_unreadable",
		severity: Error,
		title:    "The server could not read the login",
		signs:    []sign{{connecting, said(erReadError), noAlert}, neverRead},
		explain: func(e *Evidence) string {
			return fmt.Sprintf("The server's read of the login failed (%s)%s: for it, the direction from %s to the server was closed.%s", e.err(), since(e.SinceLogin, "after the login was sent"), e.who(), unread(e))
		},
		advise: func(e *Evidence) string {
			return "Something on the way closed one direction only: look for a proxy, sidecar or firewall that half-closes connections, and into its log at this moment. " + capital(e.it()) + " had not closed anything."
		},
		executed: never,
	},
	{
		slug:     "tls_failed",
		severity: Error,
		title:    "TLS could not be set up",
		signs: []sign{
			{phase(session.PhaseTLS), anyERR, notSaid(erReadError, erReadInterrupted, erOutOfOrder), guard("it is not about a PROXY header", func(e *Evidence) bool { return !proxyHeader.holds(e) })},
			{phase(session.PhaseTLS), fromServer, said(erOutOfOrder), ownNumbersRight},
			{phase(session.PhaseTLS), over, noERR, notLate},
			{phase(session.PhaseTLS), violation(session.Unsolicited, session.NotMySQL, session.Malformed, session.SequenceMismatch), noERR},
			{connecting, fact{is: "the peer sent a TLS alert", holds: func(e *Evidence) bool { return e.TLSAlert != "" }}},
			{refusedTLS},
		},
		explain: func(e *Evidence) string {
			switch {
			case refusedTLS.holds(e):
				s := fmt.Sprintf("%s ended the handshake of TLS with the alert %s", capital(e.who()), text(e.ClientAlert))
				if aboutCertificate(e.ClientAlert) {
					s += ": it refused the " + shown(e) + " certificate"
				}
				return s + "."
			case certificateAlert(e):
				return fmt.Sprintf("The server refused the certificate that %s showed: it ended TLS with the alert %s. (With TLS 1.3 the client considers the handshake done before the server has looked at the certificate.)", e.who(), text(e.TLSAlert))
			case e.TLSAlert != "":
				return fmt.Sprintf("After the request for TLS the server ended the handshake with the alert %s.", text(e.TLSAlert))
			case e.code() == erOutOfOrder:
				return fmt.Sprintf("The server answered the request for TLS in plaintext, with %s: it read something else than was sent, for the packets left %s with the right numbers.", e.words(), e.who()) + otherBytes
			case slowHandshake(e):
				return fmt.Sprintf("The server answered the request for TLS in plaintext, with %s, %s after the greeting was read. MariaDB says so of a handshake that fails, and of one that is not over within its connect_timeout (10 s by default).", e.words(), dur(e.sinceGreeting()))
			case e.ServerError != nil:
				return fmt.Sprintf("The server answered the request for TLS in plaintext, with %s.", e.words())
			case e.Stream == StreamOpen:
				return "After the request for TLS the server sent something else than TLS."
			}
			hello := ""
			if n := e.CommandBytes - sslRequestBytes; n > 0 {
				hello = fmt.Sprintf(" The ClientHello and what followed it took %s.", count(n, "byte", "bytes"))
			}
			return fmt.Sprintf("After the request for TLS, before the handshake was over, the connection was %s.%s%s%s", e.ending(), hello, stoppedHere(e), slowHere(e))
		},
		advise: func(e *Evidence) string {
			if refusedTLS.holds(e) && aboutCertificate(e.ClientAlert) {
				if e.OwnCertificate {
					return "TLS with the client ends at the proxy, which shows a certificate of its own: the server's has nothing to do with it. Give the client the proxy's as its CA (the file of -cert-out, which is another one in each run), or start the proxy with -cert and -key: a certificate that the client trusts, with the name by which it connects to the proxy."
				}
				return "Look at the server's certificate (`openssl s_client -starttls mysql -connect host:port` shows it): has it expired, is it signed by a CA that the client trusts (ssl-ca), does it have the name by which the client connects? " +
					"A certificate that the server has made for itself (MySQL in its data directory; MariaDB of 11.4 and later in memory) is signed by no CA that a client knows: give the client the server's CA, or the server another certificate."
			}
			if certificateAlert(e) {
				return "Look at the certificate of " + e.inGo("this side", "the client") + " (" + e.inGo("Certificates of the registered tls.Config", "ssl-cert, or what the client's library calls it") + "): has it expired, is it signed by a CA that the server has in ssl_ca, is it the one that the account asks for (REQUIRE X509, SUBJECT, ISSUER)? The server's own certificate has nothing to do with it."
			}
			if e.code() == erOutOfOrder {
				return "If each login fails so, see whether a balancer sends a PROXY header (HAProxy: send-proxy) and switch that off for MySQL, and connect once past what is in between. If it happened once, look into the error log of the server at this moment."
			}
			if e.largeHello() && (e.Stream == StreamTimeout || e.Stream == StreamReset || e.Stream == StreamBroken) {
				if e.maybeStalled() || slowHere(e) != "" {
					return slowAdvice(e) + "some middleboxes drop or reset connections whose ClientHello does not fit one TCP segment, a proxy or firewall may not let TLS through, and the server may have been stopped at this moment."
				}
				return "The ClientHello does not fit one TCP segment, as with " + e.inGo("the post-quantum key shares that Go sends since 1.24", "post-quantum key shares") + ": some middleboxes drop or reset such connections. Try " + e.inGo("GODEBUG=tlsmlkem=0, or tls.Config.CurvePreferences without X25519MLKEM768", "the client without them") + "; if that helps, update the middlebox. Otherwise look for a proxy or firewall that does not let TLS through, and for a stop, a crash or offline_mode of the server at this moment."
			}
			if strings.Contains(e.TLSAlert, "handshake failure") || strings.Contains(e.TLSAlert, "handshake_failure") {
				return "The two sides have no cipher suite, key exchange or signature in common. " +
					e.inGo("Go leaves out suites with RSA key exchange since 1.22 (GODEBUG=tlsrsakex=1 brings them back) and SHA-1 signatures in TLS 1.2 (GODEBUG=tlssha1=1): a server that knows nothing newer (MySQL 5.7 and older, ssl_cipher set by hand) fails like this after an update of Go. ", "A newer library may leave out what an old server alone has (RSA key exchange, SHA-1 signatures, TLS below 1.2). ") +
					"It is better to give the server ECDHE suites and a certificate with SHA-256."
			}
			silent := ""
			if silentEnd(e) {
				silent = " A server that is stopped, goes offline (offline_mode) or crashes also ends a login like this, and so does a KILL. If it happened once, look into the error log of the server and the proxy at this moment."
			}
			if slowHandshake(e) {
				return "If it happens now and then, the handshake took too long: look for what held " + e.it() + " up (" + e.library().stall + "), and on the way for a proxy that queues connections and for packet loss. If each login fails so, compare what both sides accept: versions, certificates, names."
			}
			if e.maybeStalled() || slowHere(e) != "" {
				return slowAdvice(e) + "compare what both sides accept (versions, certificates, names), and look into the error log of the server and the proxy at this moment."
			}
			return "Compare what both sides accept: certificate and server name (" + e.inGo("tls= in the DSN, the registered tls.Config", "the client's settings of TLS") + "), versions (tls_version on the server, " + e.inGo("MinVersion here", "the client's own") + "), and whether a proxy in between supports TLS at all. " +
				"`openssl s_client -starttls mysql -connect host:port` shows the server's side. If only large ClientHellos fail, a middlebox drops them: try without post-quantum key shares" + e.inGo(" (tls.Config.CurvePreferences)", "") + "." + silent
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			// The server also closes here, without an ERR that survives, when
			// its time for the login is over.
			var out []Slug
			if e.ServerError == nil && e.pause() >= minConnectTimeout || e.maybeStalled() {
				out = append(out, "login_stalled_locally")
			}
			if slowHandshake(e) {
				out = append(out, "login_stalled_locally", "login_delayed_on_the_way")
			}
			if e.slowEnd() {
				out = append(out, "login_delayed_on_the_way")
				if e.Transport.Known && e.unclear() && !e.maybeStalled() {
					out = append(out, "login_stalled_locally")
				}
			}
			if silentEnd(e) {
				out = append(out, "server_shutdown", "connection_killed")
			}
			if e.code() == erOutOfOrder {
				out = append(out, "proxy_header_refused", "renumbered_on_the_way", "server_shutdown", "connection_killed")
			}
			return out
		},
	},
	{
		slug:     "auth_plugin_mismatch",
		severity: Error,
		title:    "The two sides do not agree on a way to log in",
		signs: []sign{
			{connecting, said(erUnsupportedAuth, erPluginNotLoaded, erSecureTransport), guard("the packet's number is right", func(e *Evidence) bool { return !numberWrong.holds(e) })},
			{turnedAway},
			// The driver has an error of its own for it, and does not give the server's words.
			{connecting, keyRefused, violation(session.None)},
			{connecting, fact{is: "the server had asked for another plugin", holds: func(e *Evidence) bool {
				return e.Kind == session.KindAuthSwitch || e.Kind == session.KindGreeting && e.AuthPlugin != ""
			}},
				violation(session.None, session.Malformed), noERR},
		},
		explain: func(e *Evidence) string {
			switch {
			case keyRefused.holds(e):
				return fmt.Sprintf("The server asked for the password itself (caching_sha2_password: it does not have it in its cache). There is no TLS, so %s asked for the server's public key, and got %s: the server has none to give. The packets' numbers are right.", e.who(), e.words())
			case e.ServerError != nil:
				return fmt.Sprintf("The server ended the login with %s. The packets' numbers are right.", e.words())
			case turnedAway.holds(e):
				return wantedOfClient(e)
			case e.AuthSwitches > 1:
				return fmt.Sprintf("The server asked for a second authentication plugin, %s, after the first was refused: the account has several (IDENTIFIED VIA … OR …). That is lawful, and this client gives up there. Either the password is wrong, or it is right for the second plugin alone. The packets' numbers are right.", text(e.AuthPlugin))
			case shortNonce(e):
				return fmt.Sprintf("The server asked for the authentication plugin %s, and go-sql-driver gave up before it answered, although it has that plugin. So does version 1.10.1 when the server's nonce ends in 0, as one of 256 does: it takes that 0 for a terminator. The packets' numbers are right.", text(e.AuthPlugin))
			case unmarked(e):
				return "The server asked for the authentication plugin caching_sha2_password, and go-sql-driver took its next packet for a malformed one: MariaDB, which has this plugin since 12.1, sends a plugin's data without the mark that MySQL puts in front. That is lawful, and version 1.10.1 of the driver does not know it. The packets' numbers are right."
			case e.AuthPlugin != "":
				return fmt.Sprintf("The server asked for the authentication plugin %s and the login did not go on. The packets' numbers are right.", text(e.AuthPlugin))
			}
			return "The server asked for another authentication plugin without a name that could be read, and the login did not go on."
		},
		advise: func(e *Evidence) string {
			if e.code() == erSecureTransport {
				return "The server takes this account only over TLS (require_secure_transport or REQUIRE SSL): " + e.inGo("set tls=true in the DSN.", "switch TLS on in the client.")
			}
			if keyRefused.holds(e) {
				return "Use TLS (" + e.inGo("tls= in the DSN", "in the client's settings") + "): then no key is needed. MySQL makes a pair of keys when it starts, unless caching_sha2_password_auto_generate_rsa_keys is OFF or the files of caching_sha2_password_private_key_path and …_public_key_path cannot be read: its error log says so. " +
					"ProxySQL has no key for its clients, and takes the request for a wrong password. The password itself was not looked at."
			}
			if turnedAway.holds(e) && e.PasswordDue {
				return "Let the client use TLS, or let it ask for the server's public key: get-server-public-key of the mysql client (MYSQL_OPT_GET_SERVER_PUBLIC_KEY in C), allowPublicKeyRetrieval=true of Connector/J and .NET. " +
					"When somebody has logged in with this account otherwise, the server knows the password and does not ask for it again until it restarts: so this comes and goes."
			}
			if e.library() != &goLibrary {
				return pluginAdvice(e) + "Give the account a plugin that both sides have (" + alterUser(e) + "), or update the client's library. Some plugins are only allowed by a setting of the client."
			}
			switch plugin := e.AuthPlugin; {
			case shortNonce(e):
				return "Connect again: the next nonce is another one, and this does not speak against account or password. If it happens to more than one of some hundred logins, it is something else: compare with another client. mysql_native_password has no such nonces."
			case plugin == "parsec" || e.MariaDB && e.code() != 0:
				return "Give the account a plugin that both sides have. MariaDB has ed25519, which go-sql-driver knows: ALTER USER … IDENTIFIED VIA ed25519 USING PASSWORD('…'), on a server with the plugin auth_ed25519 (INSTALL SONAME 'auth_ed25519'). MariaDB 11.8 and older do not have caching_sha2_password (ERR 1524), and go-sql-driver does not have parsec."
			case e.MariaDB:
				return "Give the account a plugin that both sides have (ALTER USER … IDENTIFIED VIA ed25519 USING PASSWORD('…'), or mysql_native_password), or allow the one that the server asks for in the DSN: allowNativePasswords, allowCleartextPasswords (only with TLS), allowOldPasswords."
			}
			return "Give the account a plugin that both sides have (ALTER USER … IDENTIFIED WITH caching_sha2_password BY '…'; without BY the account has no password afterwards), or allow the one that the server asks for in the DSN: allowNativePasswords, allowCleartextPasswords (only with TLS), allowOldPasswords."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			if turnedAway.holds(e) {
				return []Slug{"client_left"}
			}
			return nil
		},
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
			return fmt.Sprintf("The peer sent %s with number %d where %d was due, although it had read the login. %s numbered its own packets rightly, so the peer counts wrongly.", what, e.Actual, e.Expected, capital(e.it()))
		},
		advise: func(e *Evidence) string {
			return "A proxy, or a server that imitates MySQL, has a fault in its login" + version(e) + ". Connect once past it to be sure, then update it; for the time being try another authentication plugin for the account (mysql_native_password takes fewer packets) or connect without TLS or with it."
		},
		executed: never,
	},
	{
		// MariaDB (10.11 and 11.8, measured) reads the header only when it has
		// greeted, and refuses without having read the login, so with number 1.
		slug:     "proxy_header_refused",
		severity: Error,
		title:    "The server refused the PROXY header of the proxy in front of it",
		signs: []sign{
			{connecting, fromServer, proxyHeader},
			// MySQL knows no PROXY protocol: it takes the header for the login
			// (measured on 9.7, with a header of either version).
			{phase(session.PhaseLogin), fromServer, said(erOutOfOrder), fact{is: "nothing had been sent from here", holds: func(e *Evidence) bool { return e.LoginAfter == 0 }},
				clientNative, ownNumbersRight},
		},
		explain: func(e *Evidence) string {
			if e.code() == erOutOfOrder {
				return fmt.Sprintf("The server found packets out of order (%s) before the login had been sent: something in front of it had sent bytes of its own. MySQL, which does not know the PROXY protocol, says this when a balancer puts a PROXY header in front of the connection.", e.err())
			}
			why := "it could not read the PROXY protocol header in front of the connection"
			if e.code() == 1130 {
				why = "it takes no PROXY protocol header from that address"
			}
			number := ""
			if numberWrong.holds(e) {
				number = fmt.Sprintf(" The number (%d where %d was due) only says that it had not read the login.", e.Actual, e.Expected)
			}
			return fmt.Sprintf("The server refused the connection because %s (%s).%s", why, e.words(), number)
		},
		advise: func(e *Evidence) string {
			if e.code() == erOutOfOrder {
				return "Switch the PROXY header off at the balancer (HAProxy: send-proxy, send-proxy-v2): MySQL has no use for it, only MariaDB and Percona Server have (proxy_protocol_networks). User and password have nothing to do with it. If the balancer sends none, connect past it and compare."
			}
			if e.code() == 1130 {
				return "Add the balancer's address to proxy_protocol_networks of the server, or switch the PROXY header off at the balancer (HAProxy: send-proxy, send-proxy-v2). User and password have nothing to do with it."
			}
			return "Compare what the balancer sends with what the server takes: the PROXY protocol's version 1 or 2, one header, in front of everything else. Two proxies in a row must not both send one. User and password have nothing to do with it."
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			if e.code() == erOutOfOrder {
				return []Slug{"renumbered_on_the_way"}
			}
			return nil
		},
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
			return fmt.Sprintf("The login was refused with %s%s. The refusal has number %d where %d was due: its sender had not counted the login. MySQL and MariaDB number such refusals correctly, as far as measured, so it is a proxy's.", e.words(), since(e.SinceLogin, "after it was sent"), e.Actual, e.Expected)
		},
		advise: func(e *Evidence) string {
			return "The words are the proxy's" + version(e) + ": look into its log and its limits (connections, backends, rate). The wrong number is the proxy's fault, but not the cause. Clients that check the number first hide these words."
		},
		executed: never,
		others:   func(*Evidence) []Slug { return []Slug{"peer_misnumbers_handshake"} },
	},
	{
		slug:     "login_unanswered",
		severity: Error,
		title:    "The login was not answered",
		signs:    when(connecting, greetingRead, over, noERR, notLate),
		explain: func(e *Evidence) string {
			switch {
			case e.Phase == session.PhaseLogin:
				return fmt.Sprintf("The server greeted, but before the login was sent the connection was %s, %s after it was made.%s%s", e.ending(), dur(e.Age), stoppedHere(e), slowHere(e))
			case e.Stream == StreamTimeout:
				return fmt.Sprintf("The login was sent and nothing came back for %s; then the time limit of %s ran out.", dur(e.SinceLogin), side(e))
			}
			return fmt.Sprintf("The login was sent; %s later the connection was %s without an answer.%s%s%s%s", dur(e.SinceLogin), e.ending(), stoppedHere(e), slowHere(e), company(e), life(e))
		},
		advise: func(e *Evidence) string {
			if e.Stream == StreamTimeout {
				return "Look at the server or proxy: authentication against something slow (LDAP, PAM, a name lookup), a proxy whose backend does not answer, a server out of threads. Put a deadline on the context that connects."
			}
			look := "Look into"
			if first := slowAdvice(e); first != "" {
				look = first + "look into"
			}
			return look + " the error log of the server and the proxy at this moment (MySQL notes it only with log_error_verbosity=3; Aborted_connects counts it). MySQL and MariaDB close without a word in the middle of a login when they are stopped, go offline (offline_mode), crash, or the connection is killed." + tlsHint(e)
		},
		executed: never,
		others: func(e *Evidence) []Slug {
			if e.Stream == StreamTimeout {
				return nil
			}
			out := []Slug{"server_shutdown", "connection_killed"}
			if e.pause() >= minConnectTimeout || e.maybeStalled() {
				return append(out, "login_stalled_locally")
			}
			if e.SinceLogin >= minConnectTimeout || e.slowEnd() {
				// MariaDB's timeout, behind a proxy or after a delayed login.
				out = append(out, "login_delayed_on_the_way")
				if e.Transport.Known && e.unclear() {
					out = append(out, "login_stalled_locally")
				}
			}
			return out
		},
	},
}

// metWithGreeting reports whether the server had given up before the login was written:
// this side may have had its greeting for long without being told of the connection
// (seen of a process without a CPU, whose dial returned two seconds late).
func metWithGreeting(e *Evidence) bool { return e.SinceLogin == 0 && !e.far() }
