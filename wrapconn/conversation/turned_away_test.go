package conversation

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// A client that cannot go on with a login has no word for that: it leaves, and says why in an error of its own. Public reports have the error;
// here is what passes before a proxy, or in a capture.
func TestTurnedAway(t *testing.T) {
	greeting := func(o mysqltest.GreetingOptions) segment { return fromServer(0, mysqltest.GreetingPayload(o)) }
	login := fromClient(1, loginPayload(0, "user\x00\x00"))
	plain := []segment{greeting(mysqltest.GreetingOptions{}), login}
	secure := greeting(mysqltest.GreetingOptions{Capabilities: mysqltest.DefaultCapabilities | mysqltest.CapSSL})
	sslRequest := segment{session.FromClient, mysqltest.Packet(1, func() []byte {
		p := loginPayload(0, "")
		p[1] |= mysqltest.CapSSL >> 8
		return p
	}())}
	tls := func(dir session.Direction, record string) segment { return segment{dir, []byte(record)} }
	switchTo := func(plugin string) segment {
		return fromServer(2, []byte("\xfe"+plugin+"\x0012345678901234567890\x00"))
	}
	for _, tt := range []struct {
		name  string
		said  []segment
		after time.Duration
		want  cause.Slug
		says  string // in the explanation or the advice
		other cause.Slug
	}{
		// pingcap/tiup 2448, GreptimeTeam/greptimedb 4512, apecloud/myduckserver 137, gravitational/teleport 45962,
		// mydumper/mydumper 1590, sgrif/mysqlclient-sys 70: ERROR 2059 of MySQL 9's client libraries.
		{"mysql_native_password, and a client of MySQL 9", append(plain, switchTo("mysql_native_password")), time.Millisecond,
			"auth_plugin_mismatch", "mysql_native_password.so", "client_left"},
		// mysql-net/MySqlConnector 268, xerions/mariaex 211, sysown/proxysql 1168, mariadb-connector-nodejs 246: a token of AWS IAM.
		{"mysql_clear_password", append(plain, switchTo("mysql_clear_password")), time.Millisecond, "auth_plugin_mismatch", "enable-cleartext-plugin", "client_left"},
		// cweijan/vscode-database-client 778
		{"dialog", append(plain, switchTo("dialog")), time.Millisecond, "auth_plugin_mismatch", `"dialog"`, "client_left"},
		{"dialog, and somebody who is asked for a password", append(plain, switchTo("dialog")), 3 * time.Second, "client_left", "before the login was over", ""},
		// Sequel-Ace/Sequel-Ace 2465, PowerDNS/pdns 13905, mysql-net/MySqlConnector 1559, QuickShop-Reremake 273:
		// ERROR 2061, "Public Key Retrieval is not allowed".
		{"the password without TLS", append(plain, switchTo("caching_sha2_password"), fromClient(3, make([]byte, 32)), fromServer(4, []byte{1, 4})), time.Millisecond,
			"auth_plugin_mismatch", "allowPublicKeyRetrieval", "client_left"},
		{"the verdict was the server's", append(plain, switchTo("caching_sha2_password"), fromClient(3, make([]byte, 32)), fromServer(4, []byte{1, 3})), time.Millisecond,
			"client_left", "before the login was over", ""},
		{"the word was the server's", plain, time.Millisecond, "client_left", "before the login was over", ""},
		// ddev/ddev 8119, az-digital/az_quickstart 5031, dan-r/syncstorage-rs-docker 14: ERROR 2026 of MariaDB's clients of 11.4 and later.
		// A health check leaves at the same place.
		{"no TLS, and a client that requires it", plain[:1], time.Millisecond, "client_left", "The server offers no TLS", "tls_failed"},
		{"TLS is offered", []segment{secure}, time.Millisecond, "client_left", "before it had sent its login", ""},
		// shogo82148/actions-setup-mysql 1136, ddev/ddev 8141: the handshake ends well, and then the client looks at the certificate.
		{"a certificate that is not trusted, without a word", []segment{secure, sslRequest}, time.Millisecond, "client_left", "does not trust the server's certificate", "tls_failed"},
		// transact-rs/sqlx 3091: rustls does not take what MariaDB 11.4.0 made.
		{"a certificate that is refused", []segment{secure, sslRequest, tls(session.FromClient, "\x15\x03\x03\x00\x02\x02\x2a")}, time.Millisecond,
			"tls_failed", "it refused the server's certificate", ""},
		{"no version in common", []segment{secure, sslRequest, tls(session.FromClient, "\x15\x03\x01\x00\x02\x02\x46")}, time.Millisecond,
			"tls_failed", "protocol version", ""},
		{"TLS, and good-bye", []segment{secure, sslRequest, tls(session.FromClient, "\x15\x03\x03\x00\x02\x01\x00")}, time.Millisecond, "client_left", "in the handshake of TLS", "tls_failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatch(another())
			w.say(tt.said...)
			w.End(session.FromClient, cause.StreamEOF, nil, w.now+tt.after)
			w.End(session.FromServer, cause.StreamEOF, nil, w.now+tt.after)
			f := only(t, w.Conversation)
			d := f.Diagnose()
			if d.Slug != tt.want || !strings.Contains(d.Explanation+" "+d.Advice, tt.says) {
				t.Errorf("%s, want %s with %q: %s %s", d.Slug, tt.want, tt.says, d.Explanation, d.Advice)
			}
			if d.Executed != cause.ExecutedNo {
				t.Errorf("executed: %s", d.Executed)
			}
			if has := len(d.Alternatives) > 0; has != (tt.other != "") || has && !slices.Contains(d.Alternatives, tt.other) {
				t.Errorf("alternatives %v, want %q", d.Alternatives, tt.other)
			}
		})
	}
}
