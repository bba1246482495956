package reports_test

import (
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

const mariaDB12 = "12.1.2-MariaDB"

// mariadb-corporation/mariadb-docs 504 (MDEV-9804): MariaDB 12.1 has caching_sha2_password, and sends the data of its plugins without a mark
// (sql/sql_acl.cc, server_mpvio_write_packet; plugin/auth_mysql_sha2). go-sql-driver 1.10.1 takes that for a malformed packet.
func TestReportMariaDBSha2(t *testing.T) {
	db, reports := kit.Open(t, mysqltest.Serve(t,
		mysqltest.Greeting(mysqltest.GreetingOptions{Version: mariaDB12, Capabilities: mysqltest.DefaultCapabilities &^ mysqltest.CapLongPassword}),
		mysqltest.ExpectLogin(),
		mysqltest.SendPacket(2, []byte("\xfecaching_sha2_password\x0012345678901234567890\x00")),
		mysqltest.ExpectPacket(),
		mysqltest.SendPacket(4, []byte{4}),
	).DSN(""), nil)
	r := kit.WantCause(t, db.PingContext(t.Context()), reports, "auth_plugin_mismatch")
	for _, s := range []string{"without the mark", "ed25519"} {
		if !strings.Contains(r.Cause.Explanation+r.Cause.Advice, s) {
			t.Errorf("not a word of %q: %s %s", s, r.Cause.Explanation, r.Cause.Advice)
		}
	}
}

// sysown/proxysql 5985: ProxySQL asks for a full login, has no public key to give, and takes the request for one for the password. The driver
// says only "unexpected resp from server", the words are in the ERR.
func TestReportProxySQLPublicKey(t *testing.T) {
	db, reports := kit.Open(t, mysqltest.Serve(t,
		mysqltest.Greeting(mysqltest.GreetingOptions{Version: "8.0.30", Plugin: "caching_sha2_password"}),
		mysqltest.ExpectLogin(),
		mysqltest.SendPacket(2, []byte{1, 4}),
		mysqltest.ExpectPacket(),
		mysqltest.SendERR(4, 1045, "28000", "ProxySQL Error: Access denied for user 'user'@'127.0.0.1' (using password: YES)"),
		mysqltest.Close(),
	).DSN(""), nil)
	wantKeyRefused(t, db.PingContext(t.Context()), reports)
}

func wantKeyRefused(t *testing.T, err error, reports *kit.Collector) {
	t.Helper()
	r := kit.WantCause(t, err, reports, "auth_plugin_mismatch")
	kit.WantServerError(t, err, 1045)
	if s := r.Cause.Explanation + r.Cause.Advice; !strings.Contains(s, "public key") || !strings.Contains(s, "Use TLS") || r.Cause.Executed != cause.ExecutedNo {
		t.Error(s)
	}
}

// The same from a server without keys.
func TestReportMySQLWithoutKeys(t *testing.T) {
	server := mysqltest.Start(t, "mysql9", "--caching-sha2-password-auto-generate-rsa-keys=OFF",
		"--caching-sha2-password-private-key-path=/nonexistent.pem", "--caching-sha2-password-public-key-path=/nonexistent-too.pem")
	if server.Net != "tcp" {
		t.Skip("NOT TESTED: a key is asked for over TCP only")
	}
	admin, _ := kit.Open(t, server.RootDSN(""), nil)
	if _, err := admin.ExecContext(t.Context(), "CREATE USER keyless IDENTIFIED WITH caching_sha2_password BY 'secret'"); err != nil {
		t.Fatal(err)
	}
	db, reports := kit.Open(t, server.DSN(""), func(cfg *mysql.Config) { cfg.User, cfg.Passwd, cfg.DBName = "keyless", "secret", "" })
	wantKeyRefused(t, db.PingContext(t.Context()), reports)
}

// MaxScale (mariadb_client.cc, kill; session.cc, handleError): what ended the connection behind it comes with the number of a KILL and with
// number 0, while the statement runs there. That is no KILL, and nothing says that the statement was not executed. elixir-ecto/myxql 89,
// PyMySQL/PyMySQL 526.
func TestReportMaxScaleBackendLost(t *testing.T) {
	for words, slug := range map[string]cause.Slug{
		"Server shutdown in progress": "server_farewell",
		"Lost connection to backend server: network error (server1, session=7, conn_id=9, idle=0s: 104, Connection reset by peer)": "server_farewell",
		"Connection was killed": "connection_killed",
	} {
		t.Run(words, func(t *testing.T) {
			db, reports := kit.Open(t, mysqltest.Serve(t, mysqltest.Login(mysqltest.GreetingOptions{Version: "10.11.8-MariaDB"}),
				mysqltest.ExpectCommand(mysqltest.ComQuery), mysqltest.SendERR(0, 1927, "70100", words), mysqltest.Close()).DSN(""), nil)
			db.SetMaxOpenConns(1)
			_, err := db.ExecContext(t.Context(), "UPDATE t SET a = a + 1")
			kit.WantServerError(t, err, 1927)
			r := kit.WantCause(t, err, reports, slug)
			if r.Cause.Executed != cause.ExecutedUnknown || r.Cause.RetrySafe {
				t.Errorf("executed %s, safe %v", r.Cause.Executed, r.Cause.RetrySafe)
			}
		})
	}
}
