package causes_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// greetingCases are about what a peer says first.
var greetingCases = []causeCase{
	{slug: "refused_before_greeting", by: byServer, on: onBoth, modes: everyMode, alone: true,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1040", "max_connections", "SetMaxOpenConns"},
		run: func(r *causeRun) error {
			admin, _ := kit.Open(r.T, r.server.RootDSN(""), nil)
			c := kit.Pin(r.T, admin)
			r.must(c, "SET GLOBAL max_connections = 1") // MariaDB makes 10 of it
			defer r.must(c, "SET GLOBAL max_connections = 60")
			db := r.direct("", nil)
			for range 20 {
				held, err := db.Conn(r.ctx())
				if err != nil {
					return err
				}
				defer held.Close()
			}
			return nil
		}},
	{slug: "refused_before_greeting", name: "number 0", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1129", "host_cache"},
		run: func(r *causeRun) error {
			return r.connect(r.first(mysqltest.SendERR(0, 1129, "", "Host '10.0.0.1' is blocked")))
		}},
	{slug: "refused_before_greeting", name: "number 1, as of a MariaDB", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1203", "max_user_connections"},
		run: func(r *causeRun) error {
			return r.connect(r.first(mysqltest.SendERR(1, 1203, "42000", "User x already has more than 'max_user_connections' active connections")))
		}},
	{slug: "not_mysql", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"HTTP", "host and port"},
		run: func(r *causeRun) error {
			return r.connect(r.first(mysqltest.SendRaw([]byte("HTTP/1.1 408 Request Timeout\r\n\r\n"))))
		}},
	{slug: "not_mysql", name: "MySQL's other port", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"X Protocol", "33060"},
		run: func(r *causeRun) error {
			// A notice, longer than that of a real server.
			return r.connect(r.first(mysqltest.SendRaw(append([]byte{84, 0, 0, 0, 11, 8}, make([]byte, 82)...))))
		}},
	{slug: "no_greeting", name: "the server is stopped", by: byServer, on: onBoth, modes: everyMode, alone: true,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"sent no greeting", "time limit"},
		run: func(r *causeRun) error {
			defer r.freeze()()
			r.direct("", nil)
			return r.connectUntilTold(func() {})
		}},
	{slug: "no_greeting", name: "closed", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"closed by the peer"},
		run: func(r *causeRun) error { return r.connect(r.first(mysqltest.Close())) }},
}

// first is a pool on a scripted server that does not greet.
func (r *causeRun) first(steps ...mysqltest.Step) *sql.DB {
	return r.pool(mysqltest.ServeEvery(r.T, steps...).Addr, "", nil)
}

// freeze stops the server's process, so that nobody answers, until what it returns is called.
func (r *causeRun) freeze() (thaw func()) {
	r.Helper()
	return r.freezer()()
}

// freezer is freeze prepared: the server must be asked for its process while it still answers.
func (r *causeRun) freezer() func() (thaw func()) {
	r.Helper()
	admin, _ := kit.Open(r.T, r.server.RootDSN(""), nil)
	var file string
	if err := admin.QueryRow("SELECT @@pid_file").Scan(&file); err != nil {
		r.Fatal(err)
	}
	pid, err := os.ReadFile(file)
	if err != nil {
		r.Fatal(err)
	}
	signal := func(s string) {
		if out, err := exec.Command("kill", s, strings.TrimSpace(string(pid))).CombinedOutput(); err != nil {
			r.Errorf("kill %s: %v: %s", s, err, out)
		}
	}
	return func() func() {
		signal("-STOP")
		r.stopped(strings.TrimSpace(string(pid)))
		return func() { signal("-CONT") }
	}
}

// stopped waits until every thread of a process has stopped: kill returns earlier, and until then the server answers.
func (r *causeRun) stopped(pid string) {
	r.Helper()
	running := 0
	kit.Eventually(r.T, func() bool {
		running = 0
		tasks, _ := filepath.Glob("/proc/" + pid + "/task/*/stat")
		for _, task := range tasks {
			b, err := os.ReadFile(task)
			// The state follows the name, which is in parentheses and may hold any character.
			if i := strings.LastIndexByte(string(b), ')'); err == nil && !strings.HasPrefix(string(b[i+1:]), " T") {
				running++
			}
		}
		return running == 0
	}, "threads of the server still run after SIGSTOP")
}

// beforeLogin calls what in front of the write of the login.
func (r *causeRun) beforeLogin(what func()) func(*mysql.Config) {
	nth := 1
	if r.mode == secure {
		nth = 2 // behind the SSLRequest; crypto/tls sets no deadlines
	}
	return func(cfg *mysql.Config) {
		cfg.WriteTimeout = time.Minute // the driver then sets a deadline before each write
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &hookedConn{Conn: c, left: nth, before: what}, err
		}
	}
}

// hookedConn calls before in front of a write.
type hookedConn struct {
	net.Conn
	left   int
	before func()
}

func (c *hookedConn) SetWriteDeadline(t time.Time) error {
	if c.left--; c.left == 0 {
		c.before()
		t = time.Now().Add(time.Minute)
	}
	return c.Conn.SetWriteDeadline(t)
}

func (r *causeRun) stalled(d time.Duration) func(*mysql.Config) {
	return r.beforeLogin(func() { time.Sleep(d) }) // the fault
}

// onLogin is a rule about the packet, or the record, that brings the login.
func (r *causeRun) onLogin(a mysqltest.Action) mysqltest.Rule {
	if r.mode != secure {
		return mysqltest.OnPacket(mysqltest.FromClient, 0, a)
	}
	var encrypted, rest int
	return func(p mysqltest.RelayPacket) mysqltest.Action {
		if p.From != mysqltest.FromClient || !p.Raw {
			return mysqltest.Action{}
		}
		// Of the client's encrypted records the first is its Finished, the second the login (RFC 8446, section 5.1).
		for b := p.Bytes; len(b) > 0; {
			if rest == 0 {
				if b[0] == 0x17 {
					encrypted++
				}
				rest = 5 + int(b[3])<<8 + int(b[4])
			}
			n := min(rest, len(b))
			rest -= n
			b = b[n:]
		}
		if encrypted < 2 {
			return mysqltest.Action{}
		}
		return a
	}
}

// relayedLogin is relayed with a moment before the login, so that its record comes alone.
func (r *causeRun) relayedLogin(rule mysqltest.Rule) *sql.DB {
	return r.pool(mysqltest.NewRelay(r.T, r.server.Addr, rule).Addr, "", r.stalled(100*time.Millisecond))
}

func expectLogin(steps ...mysqltest.Step) []mysqltest.Step {
	return append([]mysqltest.Step{mysqltest.ExpectLogin()}, steps...)
}

const waited = 2100 * time.Millisecond // more than the least connect_timeout

// loginCases are about what lies between greeting and OK.
var loginCases = []causeCase{
	{slug: "login_stalled_locally", by: byServer, on: onMySQL, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1159", "connect_timeout", "s after it read the greeting"},
		run: func(r *causeRun) error { return r.connect(r.direct("", r.stalled(3*time.Second))) }},
	{slug: "login_stalled_locally", by: byServer, on: onMariaDB, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"without a word", "connect_timeout", "s after it read the greeting"},
		run: func(r *causeRun) error { return r.connect(r.direct("", r.stalled(3*time.Second))) }},
	{slug: "login_stalled_locally", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1159", "connect_timeout"},
		run: func(r *causeRun) error {
			return r.connect(r.scriptFor("", r.stalled(2500*time.Millisecond), mysqltest.Delay(2*time.Second),
				mysqltest.SendERR(r.due(1), 1159, "08S01", "Got timeout reading communication packets")))
		}},
	{slug: "login_delayed_on_the_way", by: byRelay, on: onMySQL, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1159", "outside this process", "connect_timeout"},
		run: func(r *causeRun) error {
			return r.connect(r.relayedLogin(r.onLogin(mysqltest.Action{Hold: 3 * time.Second})))
		}},
	{slug: "login_delayed_on_the_way", by: byRelay, on: onMariaDB, modes: []causeMode{secure},
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1043", "outside this process", "connect_timeout"},
		run: func(r *causeRun) error {
			return r.connect(r.relayedLogin(r.onLogin(mysqltest.Action{Hold: 3 * time.Second})))
		}},
	{slug: "login_delayed_on_the_way", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1159", "outside this process"},
		run: func(r *causeRun) error {
			return r.connect(r.script("", expectLogin(mysqltest.Delay(waited), mysqltest.SendERR(r.due(1), 1159, "08S01", "Got timeout reading communication packets"))...))
		}},
	{slug: "login_unreadable", by: byRelay, on: onMySQL, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"ERR 1", "half-closes"}, // in TLS it is 1043
		run: func(r *causeRun) error {
			return r.connect(r.relayedLogin(r.onLogin(mysqltest.Action{End: mysqltest.HalfClose})))
		}},
	{slug: "login_unreadable", by: byRelay, on: onMariaDB, modes: []causeMode{secure},
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1043", "half-closes"},
		run: func(r *causeRun) error {
			return r.connect(r.relayedLogin(r.onLogin(mysqltest.Action{End: mysqltest.HalfClose})))
		}},
	{slug: "login_unreadable", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1158", "half-closes"},
		run: func(r *causeRun) error {
			return r.connect(r.script("", expectLogin(mysqltest.SendERR(r.due(1), 1158, "08S01", "Got an error reading communication packets"))...))
		}},
	{slug: "tls_failed", name: "no version in common", by: byServer, on: onBoth, modes: []causeMode{secure},
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"protocol version", "MinVersion"},
		run: func(r *causeRun) error {
			return r.connect(r.direct("", func(cfg *mysql.Config) {
				cfg.TLS = &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}
			}))
		}},
	{slug: "tls_failed", name: "refused in plaintext", by: byScript, modes: []causeMode{secure},
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"in plaintext", "9001"},
		run: func(r *causeRun) error {
			o := mysqltest.GreetingOptions{Capabilities: mysqltest.DefaultCapabilities | mysqltest.CapSSL}
			return r.connect(r.first(mysqltest.Greeting(o), mysqltest.ExpectLogin(), mysqltest.SendERR(2, 9001, "HY000", "no certificate for this backend")))
		}},
	{slug: "auth_plugin_mismatch", by: byServer, on: onMariaDB, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"mysql_native_password", "allowNativePasswords"},
		run: func(r *causeRun) error { return r.connect(r.direct("allowNativePasswords=false", nil)) }},
	{slug: "auth_plugin_mismatch", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"dialog", "ALTER USER"},
		run: func(r *causeRun) error {
			return r.connect(r.script("", expectLogin(mysqltest.SendPacket(r.due(2), []byte("\xfedialog\x00data\x00")))...))
		}},
	{slug: "peer_misnumbers_handshake", by: byRelay, on: onBoth, modes: []causeMode{plain, compressed},
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"number 7 where 2 was due", "past it"},
		run: func(r *causeRun) error {
			return r.connect(r.relayed("", mysqltest.OnPacket(mysqltest.FromServer, 1, mysqltest.Action{Renum: true, Seq: 7})))
		}},
	{slug: "peer_misnumbers_handshake", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1045", "had read the login"},
		run: func(r *causeRun) error {
			return r.connect(r.script("", expectLogin(mysqltest.SendERR(r.due(1), 1045, "28000", "Access denied for user 'gotest'"))...))
		}},
	{slug: "proxy_refusal_misnumbered", by: byRelay, on: onBoth, modes: []causeMode{plain, compressed},
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1105", "max client connections", "number 1 where 2 was due", "proxy's"},
		run: func(r *causeRun) error {
			refusal := mysqltest.Packet(1, mysqltest.ERRPayload(1105, "HY000", "Proxy: max client connections"))
			return r.connect(r.relayedLogin(r.onLogin(mysqltest.Action{Reply: refusal, Drop: true})))
		}},
	{slug: "proxy_refusal_misnumbered", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1105", "max client connections", "proxy's"},
		run: func(r *causeRun) error {
			return r.connect(r.script("", expectLogin(mysqltest.SendERR(r.due(1), 1105, "HY000", "Proxy: max client connections"))...))
		}},
	{slug: "login_unanswered", name: "the server is stopped", by: byServer, on: onBoth, modes: everyMode, alone: true,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"nothing came back", "time limit"},
		run: func(r *causeRun) error {
			freeze, thaw := r.freezer(), func() {}
			defer func() { thaw() }()
			r.direct("", r.beforeLogin(func() { thaw = freeze() }))
			return r.connectUntilTold(func() { thaw() })
		}},
	{slug: "login_unanswered", name: "closed", by: byRelay, on: onBoth, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"without an answer"},
		run: func(r *causeRun) error {
			return r.connect(r.relayedLogin(r.onLogin(mysqltest.Action{End: mysqltest.Cut})))
		}},
	{slug: "login_unanswered", name: "held for connect_timeout", by: byRelay, on: onMariaDB, modes: []causeMode{plain, compressed},
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"without an answer"},
		run: func(r *causeRun) error {
			return r.connect(r.relayedLogin(r.onLogin(mysqltest.Action{Hold: 3 * time.Second})))
		}},
	{slug: "login_unanswered", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"without an answer"},
		run: func(r *causeRun) error { return r.connect(r.script("", expectLogin(mysqltest.Close())...)) }},
	{slug: "undetermined", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1161", "Nearest"},
		run: func(r *causeRun) error {
			return r.connect(r.script("", expectLogin(mysqltest.SendERR(r.due(1), 1161, "08S01", "Got timeout writing communication packets"))...))
		}},
}
