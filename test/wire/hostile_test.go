package wire_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// banner serves bytes to every connection and keeps it open until the client
// closes it.
func banner(t *testing.T, b []byte) string {
	t.Helper()
	return mysqltest.Accept(t, func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write(b); err == nil {
			_, _ = io.Copy(io.Discard, c)
		}
	}).Addr().String()
}

// ping connects to whatever listens there and returns the error. It must not
// panic and must not hang.
func ping(t *testing.T, addr, params string) (*kit.Collector, error) {
	t.Helper()
	db, c := kit.Open(t, "gotest:secret@tcp("+addr+")/gotest?"+params, nil)
	return c, db.PingContext(kit.Timeout(t, 20*time.Second))
}

func TestPeerIsNotMySQL(t *testing.T) {
	// An HTTP server waits for the client to speak first; one that a proxy has
	// timed out says 408 of its own accord.
	for name, b := range map[string]string{
		"HTTP":       "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
		"SSH":        "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
		"SMTP":       "220 mail.example.com ESMTP\r\n",
		"TLS alert":  "\x15\x03\x03\x00\x02\x02\x28",
		"X protocol": "\x54\x00\x00\x00\x0b\x08" + strings.Repeat("\x00", 82), // a notice, padded: a real server's is shorter
		// They have said less than the length that their first letters would be.
		"PostgreSQL":     "E\x00\x00\x00\x20SFATAL\x00C53300\x00Mtoo many\x00\x00",
		"PostgreSQL 7.3": "EFATAL:  no\n\x00",
		"Telnet":         "\xff\xfd\x18\xff\xfd\x20",
		"HTTP/2":         "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
		"SSH, full":      "Exceeded MaxStartups\r\n",
		"FTP":            "500 OOPS: no\r\n",
		"Redis":          "-DENIED no\r\n",
		"rsync":          "@RSYNCD: 31.0\n",
		"ActiveMQ":       "\x00\x00\x01\x74\x01ActiveMQ\x00\x00\x00\x0c",
	} {
		t.Run(name, func(t *testing.T) {
			addr := banner(t, []byte(b))
			kit.Harmless(t, "u:p@tcp("+addr+")/", func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) })
			c, err := ping(t, addr, "")
			r := kit.WantCause(t, err, c, "not_mysql")
			what, _, _ := strings.Cut(strings.TrimSuffix(name, ", full"), " ")
			if !strings.Contains(err.Error(), what) {
				t.Errorf("the error does not say that it is %s: %v", what, err)
			}
			if len(r.Evidence.FirstBytes) == 0 || len(r.Evidence.FirstBytes) > 16 {
				t.Errorf("%d first bytes", len(r.Evidence.FirstBytes))
			}
		})
	}
}

// A peer that was gone before it had said five bytes, or that said the first byte of an
// ERR and then something else, has said what can be no greeting's.
func TestPeerSaysLittle(t *testing.T) {
	for name, tt := range map[string]struct{ said, slug string }{
		"text":             {"no\n", "not_mysql"},
		"BGP":              {strings.Repeat("\xff", 16) + "\x00\x15\x03\x06\x05", "not_mysql"},
		"may be MySQL's":   {"J\x00", "no_greeting"},
		"is MySQL's":       {"J\x00\x00\x00\x0a9.7.4", "no_greeting"},
		"of PostgreSQL's":  {"E", "no_greeting"},
		"nothing":          {"", "no_greeting"},
		"in place of both": {"\x20\x02\x00\x01", "no_greeting"}, // MQTT: it could be a packet of 544 bytes
	} {
		t.Run(name, func(t *testing.T) {
			addr := mysqltest.Accept(t, func(c net.Conn) { _, _ = io.WriteString(c, tt.said) }).Addr().String()
			kit.Harmless(t, "u:p@tcp("+addr+")/", func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) })
			c, err := ping(t, addr, "")
			r := kit.WantCause(t, err, c, cause.Slug(tt.slug))
			if said := tt.said[:min(len(tt.said), 16)]; string(r.Evidence.FirstBytes) != said {
				t.Errorf("first bytes %q, want %q", r.Evidence.FirstBytes, said)
			}
		})
	}
}

// TestOtherPorts: the ports that a MySQL server has besides its own. 33060 is the one that is taken for it.
func TestOtherPorts(t *testing.T) {
	free := func() string {
		port, err := mysqltest.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		return strconv.Itoa(port)
	}
	x, admin := free(), free()
	server := mysqltest.Start(t, "mysql9", "--mysqlx=ON", "--mysqlx-bind-address=127.0.0.1", "--mysqlx-port="+x,
		"--admin-address=127.0.0.1", "--admin-port="+admin)
	if server.External {
		t.Skip("an external server's ports are not known")
	}
	dsn := func(port string) string { return "root@tcp(127.0.0.1:" + port + ")/gotest" }
	db, _ := kit.Open(t, dsn(admin), nil)
	if err := db.PingContext(kit.Timeout(t, 20*time.Second)); err != nil {
		t.Errorf("the administrator's port, which speaks MySQL: %v", err)
	}
	// A thread of its own opens it, which may come behind the one that lets clients in.
	kit.Eventually(t, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+x)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, "nobody listens on the X Protocol's port")
	db, c := kit.Open(t, dsn(x), nil)
	err := db.PingContext(kit.Timeout(t, 20*time.Second))
	r := kit.WantCause(t, err, c, "not_mysql")
	t.Logf("X Protocol's first bytes: % x", r.Evidence.FirstBytes)
	if !strings.Contains(err.Error(), "X Protocol") || !strings.Contains(r.Cause.Advice, "3306 where X Protocol has 33060") {
		t.Errorf("%v, %s", err, r.Cause.Advice)
	}
}

// A server that speaks first only after the client has, and one that speaks
// TLS: nothing comes, and the deadline of the context ends it.
func TestSilentPeers(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	for name, l := range map[string]net.Listener{"HTTP": plain.Listener, "TLS": secure.Listener} {
		t.Run(name, func(t *testing.T) {
			db, c := kit.Open(t, "u:p@tcp("+l.Addr().String()+")/d", nil)
			// A login that is given up within a second is an ordinary cancellation: the rest is for a busy machine.
			err := db.PingContext(kit.Timeout(t, 3*time.Second))
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want context.DeadlineExceeded in it", err)
			}
			kit.WantCause(t, err, c, "no_greeting")
		})
	}
}

// Greetings that are none. go-sql-driver 1.10.1 panics on some that break off: these are not among them, as what ends a program has
// no place here. The promise is the same for all: what cannot be a greeting is not handed to the driver.
func TestBrokenGreetings(t *testing.T) {
	good := mysqltest.GreetingPayload(mysqltest.GreetingOptions{})
	for name, payload := range map[string][]byte{
		"empty":       {},
		"protocol 11": append([]byte{11}, good[1:]...),
		"protocol 9":  append([]byte{9}, good[1:]...),
		"protocol 0":  append([]byte{0}, good[1:]...),
	} {
		t.Run(name, func(t *testing.T) {
			addr := banner(t, mysqltest.Packet(0, payload))
			kit.Harmless(t, "u:p@tcp("+addr+")/", func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) })
			c, err := ping(t, addr, "")
			var pe *seqguard.ProtocolError
			if !errors.As(err, &pe) {
				t.Errorf("no report in %v", err)
			}
			kit.WantCause(t, err, c, "not_mysql")
		})
	}
}

// Answers that no server gives and that the plain driver refuses without a panic.
func TestBrokenAnswers(t *testing.T) {
	column := mysqltest.ColumnPayload(mysqltest.Column{Name: "a"})
	type answer func(s *mysqltest.Session) error
	cases := map[string]answer{
		"empty": func(s *mysqltest.Session) error { return s.WritePacket(1, nil) },
		"a file that nobody offered": func(s *mysqltest.Session) error {
			if err := s.WritePacket(1, []byte("\xfb/etc/hostname")); err != nil {
				return err
			}
			if err := s.ReadPacket(); err != nil { // the driver ends the upload with an empty packet
				return err
			}
			return s.WritePacket(mysqltest.Next, mysqltest.ERRPayload(1105, "HY000", "no file"))
		},
		"a row that ends early": func(s *mysqltest.Session) error {
			_ = s.WritePacket(1, []byte{1})
			_ = s.WritePacket(2, column)
			_ = s.WritePacket(3, []byte{200, 'x'})
			return s.WritePacket(4, mysqltest.ResultEndPayload(0, 0))
		},
	}
	for name, write := range cases {
		for _, how := range []string{"exec", "query"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}),
					mysqltest.ServeForever(func(s *mysqltest.Session, _ byte, _ []byte) error {
						_ = write(s) // the client may have hung up in the middle of it
						return nil
					}))
				kit.Harmless(t, server.DSN("readTimeout=1s"), func(_ context.Context, db *sql.DB) error { return use(db, how) })
				db, c := kit.Open(t, server.DSN("readTimeout=1s"), nil)
				err := use(db, how)
				t.Logf("error: %v; %d reports", err, len(c.All()))
				// The driver takes what there is of a row, and a pool that only executes reads none.
				if err == nil && !strings.HasPrefix(name, "a row") {
					t.Error("no error")
				}
			})
		}
	}
}

func use(db *sql.DB, how string) error {
	switch how {
	case "exec":
		_, err := db.Exec("DO 1")
		return err
	case "prepare":
		st, err := db.Prepare("DO 1")
		if err == nil {
			_ = st.Close()
		}
		return err
	}
	rows, err := db.Query("SELECT 1")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s sql.RawBytes
		if err := rows.Scan(&s); err != nil {
			return err
		}
	}
	return rows.Err()
}

// A server that answers random bytes must end in errors, never in a panic. Inputs that go test writes to testdata when this fails
// are for the eyes of who cures it: they may end the plain driver, so they are not committed.
func FuzzHostileServer(f *testing.F) {
	ok := mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0)
	f.Add(mysqltest.Packet(2, ok), mysqltest.Packet(1, ok))
	f.Add(mysqltest.Packet(2, ok), mysqltest.Packet(1, mysqltest.ERRPayload(1064, "42000", "an error in the syntax")))
	f.Fuzz(func(t *testing.T, login, answer []byte) {
		client, server := net.Pipe()
		defer client.Close()
		go func() {
			defer server.Close()
			// Then it hangs up: most of what it says makes the client wait for more.
			_ = server.SetDeadline(time.Now().Add(20 * time.Millisecond))
			b := make([]byte, 4096)
			for _, out := range [][]byte{mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{})), login, answer, answer} {
				if _, err := server.Write(out); err != nil {
					return
				}
				if _, err := server.Read(b); err != nil {
					return
				}
			}
		}()
		cfg := mysql.NewConfig()
		cfg.Logger = &mysql.NopLogger{}
		db, _ := kit.OpenPipe(t, cfg, client)
		db.SetMaxOpenConns(1)
		_ = use(db, "exec")
		_ = db.Close()
	})
}
