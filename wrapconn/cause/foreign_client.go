package cause

import "bytes"

// clients recognises a protocol by what its clients say first. None of it can be the
// beginning of a login, whose first bytes are its length, below 64 KiB, and the number 1.
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
	{"Redis'", begins("PING\r\n", "*1\r\n", "*2\r\n", "*3\r\n")},
}

// ClientProtocol names what a client's first bytes are the beginning of, if that is a
// known protocol other than MySQL's.
func ClientProtocol(b []byte) string {
	for i := range clients {
		if clients[i].match(b) {
			return clients[i].name
		}
	}
	return ""
}

var (
	clientForeign = fact{is: "the client's first bytes are another protocol's", holds: func(e *Evidence) bool { return e.ClientSpeaks != "" }}
	clientNative  = guard("the client did not begin with another protocol", func(e *Evidence) bool { return e.ClientSpeaks == "" })
)
