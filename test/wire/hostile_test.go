package wire_test

import (
	"bytes"
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
)

// banner serves bytes to every connection and keeps it open until the client
// closes it.
func banner(t *testing.T, b []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				if _, err := c.Write(b); err == nil {
					_, _ = io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// ping connects to whatever listens there and returns the error. It must not
// panic and must not hang.
func ping(t *testing.T, addr, params string) (*kit.Collector, error) {
	t.Helper()
	db, c := kit.Open(t, "gotest:secret@tcp("+addr+")/gotest?"+params, nil)
	return c, db.PingContext(kit.Timeout(t, 500*time.Millisecond))
}

func TestPeerIsNotMySQL(t *testing.T) {
	// An HTTP server waits for the client to speak first; one that a proxy has
	// timed out says 408 of its own accord.
	for name, b := range map[string]string{
		"HTTP":       "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
		"SSH":        "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
		"SMTP":       "220 mail.example.com ESMTP\r\n",
		"TLS alert":  "\x15\x03\x03\x00\x02\x02\x28",
		"X protocol": "\x05\x00\x00\x00\x0b\x08\x05\x1a\x00",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := ping(t, banner(t, []byte(b)), "")
			r := kit.WantCause(t, err, c, "not_mysql")
			what, _, _ := strings.Cut(name, " ")
			if !strings.Contains(err.Error(), what) {
				t.Errorf("the error does not say that it is %s: %v", what, err)
			}
			if len(r.Evidence.FirstBytes) == 0 || len(r.Evidence.FirstBytes) > 16 {
				t.Errorf("%d first bytes", len(r.Evidence.FirstBytes))
			}
		})
	}
}

func TestXProtocolPort(t *testing.T) {
	server := mysqltest.Start(t, "mysql9", "--mysqlx=ON", "--mysqlx-port="+kit.FreePort(t), "--mysqlx-bind-address=127.0.0.1")
	db, _ := kit.Open(t, server.RootDSN(""), nil)
	var port int
	if err := db.QueryRow("SELECT @@mysqlx_port").Scan(&port); err != nil {
		t.Fatal(err)
	}
	c, err := ping(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "")
	kit.WantCause(t, err, c, "not_mysql")
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
			err := db.PingContext(kit.Timeout(t, 1500*time.Millisecond))
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want context.DeadlineExceeded in it", err)
			}
			kit.WantCause(t, err, c, "no_greeting")
		})
	}
}

// Greetings and answers that are cut short or lie about a length. The plain
// driver panics on several of them.
func TestBrokenGreetings(t *testing.T) {
	good := mysqltest.GreetingPayload(mysqltest.GreetingOptions{})
	cases := map[string][]byte{
		"empty":                 {},
		"ERR of one byte":       {0xff},
		"ERR without end":       {0xff, 0x10, 0x04},
		"ERR with half a state": {0xff, 0x10, 0x04, '#', 'H', 'Y'},
		"protocol 11":           append([]byte{11}, good[1:]...),
		"no version end":        bytes.Repeat([]byte{10}, 40),
	}
	for i := range good {
		cases["cut at "+strconv.Itoa(i)] = good[:i]
	}
	for name, payload := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ping(t, banner(t, mysqltest.Packet(0, payload)), "")
			if err == nil {
				t.Fatal("no error")
			}
			if strings.HasPrefix(name, "ERR") || name == "empty" || name == "protocol 11" {
				var pe *seqguard.ProtocolError
				if !errors.As(err, &pe) {
					t.Errorf("no report in %v", err)
				}
			}
		})
	}
}

func TestBrokenAnswers(t *testing.T) {
	ok := mysqltest.OKPayload(1, 1, mysqltest.StatusAutocommit, 0)
	column := mysqltest.ColumnPayload(mysqltest.Column{Name: "a"})
	type answer func(s *mysqltest.Session) error
	cases := map[string]answer{
		"a length that lies": func(s *mysqltest.Session) error { return s.WritePacket(1, []byte{0, 0xfe, 1}) },
		"ERR of two bytes":   func(s *mysqltest.Session) error { return s.WritePacket(1, []byte{0xff, 1}) },
		"ERR of three bytes": func(s *mysqltest.Session) error { return s.WritePacket(1, []byte{0xff, 1, 4}) },
		"column count cut":   func(s *mysqltest.Session) error { return s.WritePacket(1, []byte{0xfc, 1}) },
		"column count NULL":  func(s *mysqltest.Session) error { return s.WritePacket(1, []byte{0xff}) },
		"column cut": func(s *mysqltest.Session) error {
			if err := s.WritePacket(1, []byte{1}); err != nil {
				return err
			}
			return s.WritePacket(2, column[:len(column)/2])
		},
		"row that ends early": func(s *mysqltest.Session) error {
			_ = s.WritePacket(1, []byte{1})
			_ = s.WritePacket(2, column)
			_ = s.WritePacket(3, []byte{200, 'x'})
			return s.WritePacket(4, mysqltest.ResultEndPayload(0, 0))
		},
		"row end cut": func(s *mysqltest.Session) error {
			_ = s.WritePacket(1, []byte{1})
			_ = s.WritePacket(2, column)
			return s.WritePacket(3, []byte{0xfe})
		},
	}
	for i := range ok {
		cases["OK cut at "+strconv.Itoa(i)] = func(s *mysqltest.Session) error { return s.WritePacket(1, ok[:i]) }
	}
	for name, write := range cases {
		for _, how := range []string{"exec", "query", "prepare"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}),
					mysqltest.ServeForever(func(s *mysqltest.Session, _ byte, _ []byte) error {
						_ = write(s) // the client may have hung up in the middle of it
						return nil
					}))
				db, c := kit.Open(t, server.DSN("readTimeout=1s"), nil)
				err := use(db, how)
				t.Logf("error: %v; %d reports", err, len(c.All()))
				if err == nil && strings.HasSuffix(name, "cut") {
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

// A server that answers random bytes must end in errors, never in a panic.
func FuzzHostileServer(f *testing.F) {
	f.Add([]byte{1, 0, 0, 1, 0}, []byte{5, 0, 0, 1, 0, 0, 0, 2, 0})
	f.Add([]byte{7, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0}, []byte{1, 0, 0, 1, 1, 2, 0, 0, 2, 3, 'd'})
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
