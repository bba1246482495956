package proxy

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestForeignClient: a client of another protocol is named as that. Its bytes are no
// header of a balancer's, and they are not shown.
func TestForeignClient(t *testing.T) {
	server := mysqltest.Accept(t, func(c net.Conn) {
		_, _ = c.Write(greetingPacket)
		_, _ = c.Read(make([]byte, 200))
		_, _ = c.Write(mysqltest.Packet(1, mysqltest.ERRPayload(1156, "08S01", "Got packets out of order")))
	}).Addr().String()
	for said, speaks := range map[string]string{
		"GET /private HTTP/1.1\r\nHost: x\r\n\r\n":                                "an HTTP request",
		"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("r", 157): "a TLS ClientHello",
		"SSH-2.0-x\r\n":                                          "SSH's",
		"\x00\x00\x00\x08\x04\xd2\x16\x2f":                       "PostgreSQL's",
		"*1\r\n$4\r\nPING\r\n":                                   "Redis'",
		"private: nobody knows this one\r\n":                     "no protocol that is known",
		"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00":           "no protocol that is known", // a scanner that looks for RDP
		"\x9f\x1c\x00\x07\x01\x82" + strings.Repeat("\xf3", 300): "no protocol that is known",
	} {
		var r reports
		_, addr := startProxy(t, Config{Server: server, OnReport: r.add})
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(said))
		_ = readAll(c)
		eventually(t, func() bool { return len(r.slugs()) > 0 }, "nothing is told")
		v := r.list[0]
		if string(v.Cause.Slug) != "not_mysql" || !strings.Contains(v.Cause.Explanation, speaks) || !strings.Contains(v.Cause.Explanation, c.LocalAddr().String()) {
			t.Errorf("%q: %s", said, v.Line())
		}
		if strings.Contains(v.Line(), "private") {
			t.Errorf("its bytes are shown: %s", v.Line())
		}
		_ = c.Close()
	}
}

// TestBrokenClient: a client of MySQL's that numbers its login wrongly, or sends a command in its place, is not taken for one of another protocol.
func TestBrokenClient(t *testing.T) {
	login, command := mysqltest.Packet(0, loginPacket[4:]), mysqltest.Packet(0, []byte("\x03SELECT 1"))
	for name, tt := range map[string]struct {
		said  []byte
		first bool // before the server has greeted
	}{
		"a login": {login, false}, "a command": {command, false},
		"a login that does not wait for the greeting": {login, true}, "a command that does not": {command, true},
	} {
		var r reports
		server := mysqltest.Accept(t, func(c net.Conn) {
			said := make([]byte, 200)
			if tt.first {
				_, _ = c.Read(said)
			}
			_, _ = c.Write(greetingPacket)
			if !tt.first {
				_, _ = c.Read(said)
			}
			_, _ = c.Write(mysqltest.Packet(1, mysqltest.ERRPayload(1156, "08S01", "Got packets out of order")))
		}).Addr().String()
		_, addr := startProxy(t, Config{Server: server, OnReport: r.add})
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if !tt.first {
			_, _ = io.ReadFull(c, make([]byte, len(greetingPacket)))
		}
		_, _ = c.Write(tt.said)
		_ = readAll(c)
		eventually(t, func() bool { return len(r.slugs()) > 0 }, "nothing is told")
		if v := r.list[0]; string(v.Cause.Slug) != "client_misnumbered" {
			t.Errorf("%s: %s", name, v.Line())
		}
		_ = c.Close()
	}
}

// TestForeignClientOfServer: what the servers say to bytes that are nothing of MySQL's.
func TestForeignClientOfServer(t *testing.T) {
	for _, name := range []string{"mysql9", "mariadb118"} {
		for said, speaks := range map[string]string{
			"hello, is there anybody?\r\n" + strings.Repeat("x", 100):          "no protocol that is known",
			"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03": "no protocol that is known",
			"\x05\x00\x00\x00\x02\x0a\x0f\x0a\x0d\x0a\x03tls\x12":              "the X Protocol's",
		} {
			server := mysqltest.Shared(t, name)
			var r reports
			_, addr := startProxy(t, Config{Server: server.Addr, OnReport: r.add})
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Read(make([]byte, 200))
			_, _ = c.Write([]byte(said))
			_ = readAll(c)
			_ = c.Close()
			eventually(t, func() bool { return len(r.slugs()) > 0 }, "nothing is told")
			for _, v := range r.list {
				if string(v.Cause.Slug) != "not_mysql" || !strings.Contains(v.Cause.Explanation, speaks) {
					t.Errorf("%s: %q: %s", name, said, v.Line())
				}
			}
			t.Logf("%s: %v", name, r.slugs())
		}
	}
}
