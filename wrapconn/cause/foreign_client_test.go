package cause

import (
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// loginBytes are those of a login with that number.
func loginBytes(seq uint8, caps string) string {
	return string(mysqltest.Packet(seq, []byte(caps+"\x00\x00\x00\x01\x2d"+strings.Repeat("\x00", 23)+"shop\x00\x14"+strings.Repeat("s", 20))))
}

// TestClientProtocol: what can be nothing of MySQL's is named, and a client of MySQL's
// that numbers its packets wrongly, or says something at the wrong time, is none of it.
func TestClientProtocol(t *testing.T) {
	for said, want := range map[string]string{
		"GET / HTTP/1.1\r\n":                       "an HTTP request",
		"*4\r\n$5\r\nHELLO\r\n":                    "Redis'",
		"\x05\x00\x00\x00\x02\x0a\x0f\x0a\x0d\x0a": "the X Protocol's",
		"\x3a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xd4\x07\x00\x00\x00\x00\x00\x00admin.$cmd\x00": "MongoDB's",
		"\x04\x00\x00\x00\x05\x00\x00\x00\x00":                                         "Cassandra's",
		"\x04\x00\x00\x01\x01\x00\x00\x00\x16\x00\x01\x00\x0bCQL_VERSION\x00\x053.0.0": "Cassandra's",
		"\x00\x00\x00\x1f\x00\x12\x00\x03\x00\x00\x00\x01\x00\x09test":                 "Kafka's",
		"\x12\x01\x00\x2f\x00\x00\x01\x00\x00\x00\x1a\x00\x06\x01\x00":                 "SQL Server's TDS",
		"EHLO example.com\r\n": "a mail client's",
		"stats\r\n":            unknownProtocol,
		"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00":         unknownProtocol, // RDP
		"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00":                             unknownProtocol, // LDAP
		"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00":                                         unknownProtocol,
		"\x00\x3a\x00\x00\x01\x00\x00\x00\x01\x36\x01\x2c\x00\x00\x08\x00":                     unknownProtocol, // Oracle
		"\x00\x00\x00\x85\xff\x53\x4d\x42\x72\x00":                                             unknownProtocol, // SMB
		"hello, is there anybody who speaks with me?\r\n":                                      unknownProtocol,
		"\x9f\x1c\x00\x07\x01\x82\x33\xf0\x91\x10\x20\x33\x41\x52\x66\x71\x12\x13\x14\x15\x16": unknownProtocol,

		// Of MySQL's, whatever is wrong with it.
		"":                                    "",
		"\x05\x00\x00\x07":                    "",
		loginBytes(1, "\x85\xa6\xff\x01"):     "",
		loginBytes(0, "\x85\xa6\xff\x01"):     "",
		loginBytes(200, "\x85\xa6\xff\x01"):   "",
		loginBytes(2, "\x85\xa6\xff\x01")[:9]: "",
		"\x20\x00\x00\x02\x85\xae\xff\x01\x00\x00\x00\x01\x2d" + strings.Repeat("\x00", 23): "", // the request for TLS
		"\x16\x00\x00\x02\x85\x24\x00\x00\x00shop\x00secretsecretxx":                        "", // before 4.1
		"\x01\x00\x00\x00\x0e":                                                                 "",
		"\x01\x00\x00\x00\x01":                                                                 "", // also X Protocol's question for capabilities
		string(mysqltest.Packet(0, []byte("\x03SELECT 1"))):                                    "",
		string(mysqltest.Packet(0, []byte("\x03\x00\x01SELECT 1"))):                            "",
		string(mysqltest.Packet(0, []byte("\x03\x01\x01\x00\x01\x03\x00\x00\x07SELECT ?"))):    "",
		"\x40\x42\x0f\x00\x03INSERT INTO t VALUES ('" + strings.Repeat("x", 10):                "", // a million bytes
		string(mysqltest.Packet(0, []byte("\x16SELECT ?"))):                                    "",
		string(mysqltest.Packet(0, []byte("\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00"))):        "",
		string(mysqltest.Packet(0, []byte("\x19\x01\x00\x00\x00"))):                            "",
		string(mysqltest.Packet(0, []byte("\x11root\x00\x00"))):                                "",
		string(mysqltest.Packet(0, []byte("\x12\x04\x00\x00\x00\x00\x00\x01\x00\x00\x00bin"))): "",
		"PROXY TCP4 10.1.2.3 10.1.2.4 4711 3306\r\n":                                           "", // has names of its own
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c":                                               "",
	} {
		got := ClientProtocol([]byte(said)[:min(len(said), OpeningLen)], true)
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
		if got := ClientProtocol([]byte(said)[:min(len(said), OpeningLen)], false); got == unknownProtocol {
			t.Errorf("%q: named although bytes are missing", said)
		}
		// In doubt it is MySQL: no beginning of what may be MySQL's is anything else.
		for i := range said[:min(len(said), OpeningLen)] {
			if got := ClientProtocol([]byte(said[:i]), true); got != "" && want == "" {
				t.Errorf("%q, of which %d bytes are here: %q", said, i, got)
			}
		}
	}
}
