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
		{"TLS is offered", []segment{secureGreeting}, time.Millisecond, "client_left", "before it had sent its login", ""},
		// shogo82148/actions-setup-mysql 1136, ddev/ddev 8141: the handshake ends well, and then the client looks at the certificate.
		{"a certificate that is not trusted, without a word", []segment{secureGreeting, sslRequest}, time.Millisecond, "client_left", "does not trust the server's certificate", "tls_failed"},
		// transact-rs/sqlx 3091: rustls does not take what MariaDB 11.4.0 made.
		{"a certificate that is refused", []segment{secureGreeting, sslRequest, tls(session.FromClient, "\x15\x03\x03\x00\x02\x02\x2a")}, time.Millisecond,
			"tls_failed", "it refused the server's certificate", ""},
		{"no version in common", []segment{secureGreeting, sslRequest, tls(session.FromClient, "\x15\x03\x01\x00\x02\x02\x46")}, time.Millisecond,
			"tls_failed", "protocol version", ""},
		{"TLS, and good-bye", []segment{secureGreeting, sslRequest, tls(session.FromClient, "\x15\x03\x03\x00\x02\x01\x00")}, time.Millisecond, "client_left", "in the handshake of TLS", "tls_failed"},
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

// What a client has refused is told, whoever is seen to end first: a server hangs up on the alert, and says ERR 1043 in plaintext.
func TestTurnedAwayServerFirst(t *testing.T) {
	for name, answer := range map[string][]byte{"closes": nil, "ERR 1043": mysqltest.Packet(2, mysqltest.ERRPayload(1043, "08S01", "Bad handshake"))} {
		w := newWatch(another())
		w.say(secureGreeting, sslRequest, segment{session.FromClient, []byte("\x15\x03\x03\x00\x02\x02\x30")})
		if answer != nil {
			w.say(segment{session.FromServer, answer})
		}
		w.End(session.FromServer, cause.StreamEOF, nil, w.now+time.Millisecond)
		w.End(session.FromClient, cause.StreamEOF, nil, w.now+time.Millisecond)
		f := only(t, w.Conversation)
		if d := f.Diagnose(); d.Slug != "tls_failed" || !strings.Contains(d.Explanation, "it refused the server's certificate") || len(d.Alternatives) > 0 {
			t.Errorf("%s: %s, %v: %s", name, d.Slug, d.Alternatives, d.Explanation)
		}
	}
}

// In TLS that is not seen through, a client that leaves before its login is told by the sizes of its records.
func TestTurnedAwayUnseen(t *testing.T) {
	hello := func(typ byte, more string) string {
		body := "\x03\x03" + strings.Repeat("r", 32) + "\x00" + more
		return record(22, string([]byte{typ, 0, 0, byte(len(body))})+body)
	}
	clientHello := hello(1, "\x00\x02\x13\x01\x01\x00")
	version13 := hello(2, "\x13\x01\x00\x00\x06\x00\x2b\x00\x02\x03\x04")
	version12 := hello(2, "\xc0\x2f\x00")
	ccs := record(20, "\x01")
	size := func(typ byte, n int) string { return record(typ, strings.Repeat("x", n)) }
	for _, tt := range []struct {
		name, server, client string
		want                 int // findings
	}{
		// MariaDB's client 11.8 and MySQL 9.7, seen: the server asks for a certificate.
		{"1.3, Certificate, Finished", version13, ccs + size(23, 25) + size(23, 53), 1},
		{"1.3, Finished of SHA-384, good-bye", version13, ccs + size(23, 69) + size(23, 19), 1},
		{"1.3, and a login", version13, ccs + size(23, 25) + size(23, 53) + size(23, 230), 0},
		{"1.2, Finished, good-bye", version12, size(22, 70) + ccs + size(22, 40) + size(21, 26), 1},
		{"1.2, and a login", version12, size(22, 70) + ccs + size(22, 40) + size(23, 230), 0},
	} {
		w := newWatch(another())
		w.say(secureGreeting, sslRequest, segment{session.FromClient, []byte(clientHello)},
			segment{session.FromServer, []byte(tt.server + ccs + size(23, 900))}, segment{session.FromClient, []byte(tt.client)})
		w.End(session.FromClient, cause.StreamEOF, nil, w.now+time.Millisecond)
		found := w.Take()
		if len(found) != tt.want {
			t.Errorf("%s: %d findings; %s", tt.name, len(found), w.State().OpaqueReason)
			continue
		}
		for _, f := range found {
			if d := f.Diagnose(); d.Slug != "client_left" || !slices.Contains(d.Alternatives, "tls_failed") || !strings.Contains(d.Advice, "does not trust the server's certificate") {
				t.Errorf("%s: %s, %v: %s %s", tt.name, d.Slug, d.Alternatives, d.Explanation, d.Advice)
			}
		}
	}
}

func record(typ byte, body string) string {
	return string([]byte{typ, 3, 3, byte(len(body) >> 8), byte(len(body))}) + body
}

var secureGreeting = fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{Capabilities: mysqltest.DefaultCapabilities | mysqltest.CapSSL}))

var sslRequest = func() segment {
	p := loginPayload(0, "")
	p[1] |= mysqltest.CapSSL >> 8
	return fromClient(1, p)
}()
