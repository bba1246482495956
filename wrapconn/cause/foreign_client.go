package cause

import (
	"bytes"
	"encoding/binary"
)

// OpeningLen is how many of a client's first bytes tell what it speaks: the header of
// a packet and the fixed part of a login.
const OpeningLen = 4 + 32

// clients recognises a protocol by what its clients say first. None of it can be the
// beginning of a login, whose first bytes are its length, 32 to some 64 KiB, and the number 1.
var clients = []struct {
	name  string
	match func([]byte) bool
}{
	{"an HTTP request", begins("GET ", "HEAD ", "POST ", "PUT ", "OPTIONS ", "CONNECT ", "DELETE ", "PRI * HT")},
	{"a TLS ClientHello (MySQL begins in plaintext, and turns to TLS when the server has greeted)", func(b []byte) bool {
		return len(b) >= 6 && b[0] == 0x16 && b[1] == 3 && b[2] <= 4 && b[5] == 1
	}},
	{"SSH's", begins("SSH-")},
	{"PostgreSQL's", func(b []byte) bool { // the length, and version 3.0 or one of the requests in its place
		return len(b) >= 8 && b[0] == 0 && b[1] == 0 && (bytes.Equal(b[4:8], []byte{0, 3, 0, 0}) || bytes.HasPrefix(b[4:], []byte{0x04, 0xd2, 0x16}))
	}},
	{"Redis'", func(b []byte) bool { // an array of strings, or a word
		return begins("PING\r\n")(b) || len(b) >= 5 && b[0] == '*' && '1' <= b[1] && b[1] <= '9' && b[2] == '\r' && b[3] == '\n' && b[4] == '$'
	}},
	// A list of capabilities, the first message of a session that has something to
	// ask for. https://dev.mysql.com/doc/dev/mysql-server/latest/mysqlx_protocol_messages.html
	{"the X Protocol's (MySQL has another port for it, 33060 by default)", func(b []byte) bool {
		return len(b) >= 10 && b[3] == 0 && b[4] == 2 && b[5] == 0x0a && b[7] == 0x0a && b[9] == 0x0a
	}},
	// The length, two ids, and the code of OP_MSG, OP_COMPRESSED or OP_QUERY.
	// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
	{"MongoDB's", func(b []byte) bool {
		if len(b) < 16 || b[3] != 0 {
			return false
		}
		op := binary.LittleEndian.Uint32(b[12:])
		return op == 2013 || op == 2012 || op == 2004
	}},
	// OPTIONS, which has no body, or STARTUP, whose body is a map with CQL_VERSION.
	// https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v5.spec
	{"Cassandra's", func(b []byte) bool {
		if len(b) < 9 || b[0] < 1 || b[0] > 5 || b[2] != 0 {
			return false
		}
		return b[4] == 5 && bytes.Equal(b[5:9], []byte{0, 0, 0, 0}) || b[4] == 1 && bytes.Contains(b[9:], []byte("CQL_"))
	}},
	// The length, then ApiVersions or Metadata, its version, an id, the client's name.
	// https://kafka.apache.org/protocol#protocol_messages
	{"Kafka's", func(b []byte) bool {
		return len(b) >= 8 && b[0] == 0 && b[1] == 0 && b[2] < 4 && b[4] == 0 && (b[5] == 18 || b[5] == 3) && b[6] == 0 && b[7] < 32
	}},
	{"SQL Server's TDS", func(b []byte) bool { // PRELOGIN: [MS-TDS], section 2.2.3
		return len(b) >= 8 && b[0] == 0x12 && b[1] == 1 && b[4] == 0 && b[5] == 0 && b[7] == 0
	}},
	{"a mail client's", begins("EHLO ", "HELO ")},
}

// unknownProtocol is said of bytes that are neither MySQL's nor one of clients.
const unknownProtocol = "no login of MySQL's, and of no protocol that is known here"

// ClientProtocol names what a client's first bytes are the beginning of, if that is a
// known protocol other than MySQL's. If none of them is missing (complete), what can be
// nothing of MySQL's is told, too.
func ClientProtocol(b []byte, complete bool) string {
	for i := range clients {
		if clients[i].match(b) {
			return clients[i].name
		}
	}
	if !complete || OfMySQL(b) {
		return ""
	}
	for _, header := range proxyHeaders {
		if n := min(len(b), len(header)); string(b[:n]) == header[:n] {
			return "" // what the server makes of it has a name
		}
	}
	return unknownProtocol
}

// proxyHeaders are the beginnings of the two versions.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
var proxyHeaders = [...]string{"PROXY ", "\r\n\r\n\x00\r\nQUIT\n"}

var (
	clientForeign = fact{is: "the client's first bytes are another protocol's", holds: func(e *Evidence) bool { return e.ClientSpeaks != "" }}
	clientNative  = guard("the client did not begin with another protocol", func(e *Evidence) bool { return e.ClientSpeaks == "" })
)
