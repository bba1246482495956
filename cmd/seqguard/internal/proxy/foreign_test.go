package proxy

import (
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
		"SSH-2.0-x\r\n":                    "SSH's",
		"\x00\x00\x00\x08\x04\xd2\x16\x2f": "PostgreSQL's",
		"*1\r\n$4\r\nPING\r\n":             "Redis'",
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
