package cause

import (
	"fmt"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// What is known of authentication plugins, for the rule about two sides that do not
// agree on one.

// keyRefused: see wrapconn/session, moreData.
var keyRefused = fact{is: "an ERR came in place of the server's public key", holds: func(e *Evidence) bool { return e.KeyRefused && e.ServerError != nil }}

// unmarked reports whether go-sql-driver gave up on what MariaDB's
// caching_sha2_password said (read in the driver, packets.go, readAuthResult, and in
// MariaDB, sql/sql_acl.cc, server_mpvio_write_packet).
func unmarked(e *Evidence) bool {
	return e.ServerError == nil && e.Kind == session.KindAuthSwitch && e.Violation == session.None && e.MariaDB && e.PasswordDue &&
		e.AuthPlugin == "caching_sha2_password" && e.library() == &goLibrary
}

// wantedOfClient says what the server wanted when the client left.
func wantedOfClient(e *Evidence) string {
	switch {
	case e.PasswordDue && e.TLS == TLSNone:
		return fmt.Sprintf("The server asked for the password itself (caching_sha2_password: it does not have it in its cache), and %s left without an answer. The connection has no TLS. Clients do not send a password over it in the clear, and ask for the server's public key only if they are told so (ERROR 2061 \"Authentication requires secure connection\", \"Public Key Retrieval is not allowed\").", e.who())
	case e.PasswordDue:
		return fmt.Sprintf("The server asked for the password itself (caching_sha2_password: it does not have it in its cache), and %s left without an answer.", e.who())
	case e.AuthPlugin != "":
		return fmt.Sprintf("The server asked for the authentication plugin %s and %s left without an answer: that is how a client ends a login whose plugin it does not have, or may not use. The packets' numbers are right.", text(e.AuthPlugin), e.who())
	}
	return fmt.Sprintf("The server asked for a next step of the authentication, and %s left without an answer.", e.who())
}

// pluginAdvice is what is to be known of a plugin that clients do not have; it ends
// with a space.
func pluginAdvice(e *Evidence) string {
	switch e.AuthPlugin {
	case "mysql_native_password":
		return "The client libraries of MySQL 9 do not have mysql_native_password built in: they look for mysql_native_password.so in their directory of plugins (plugin-dir), which some packages leave out. "
	case "mysql_clear_password":
		return "The server wants the password as it is, as those do that pass it on or check a token (LDAP, PAM, IAM of AWS): clients do that only if it is allowed (enable-cleartext-plugin of the mysql client, LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN=1), and it should be over TLS. "
	}
	return ""
}

// shortNonce reports whether go-sql-driver gave up at the first request for a plugin
// that it has, as it does when a nonce of ed25519 ends in 0 (read in its version 1.10.1,
// and measured: findings/gosqldriver-ed25519.sh).
func shortNonce(e *Evidence) bool {
	return e.ServerError == nil && e.Kind == session.KindAuthSwitch && e.Violation == session.None &&
		e.AuthPlugin == "client_ed25519" && e.AuthSwitches == 1 && e.library() == &goLibrary
}

// alterUser is how an account gets another plugin. A statement that names the plugin alone
// takes the password away, and anybody may log in then (measured: on MySQL 9.7 to set a
// new password, on MariaDB 11.8 to do anything).
func alterUser(e *Evidence) string {
	if e.MariaDB {
		return "ALTER USER … IDENTIFIED VIA … USING PASSWORD('…'); without USING the account has no password afterwards"
	}
	return "ALTER USER … IDENTIFIED WITH … BY '…'; without BY the account has no password afterwards"
}
