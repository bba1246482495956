package cause

import (
	"bytes"
	"fmt"
)

// shownBytes is how much of a peer's first bytes is ever printed: enough to
// recognise a protocol, too little to carry a message.
const shownBytes = 16

// foreign recognises a protocol by what its servers say first. Servers of
// PostgreSQL, SQL Server and MongoDB wait for the client, as HTTP servers do:
// the words of theirs that are listed here answer a health check, a TLS
// ClientHello or a proxy that spoke first.
var foreign = []struct {
	name  string
	hint  string
	match func([]byte) bool
}{
	// X Protocol opens with a notice or a refusal: a 4-byte length, then the
	// type of the message, 11 or 1.
	// https://dev.mysql.com/doc/dev/mysql-server/latest/mysqlx_protocol_messages.html
	{"MySQL's X Protocol", "Use the port of the classic protocol: 3306 where X Protocol has 33060.", func(b []byte) bool {
		// Either message begins with its first field, a number. Without that look
		// a packet of MySQL's with a wrong first byte would do.
		return len(b) >= 6 && b[1] == 0 && b[2] == 0 && b[3] == 0 && (b[4] == 0x0b || b[4] == 0x01) && b[5] == 0x08
	}},
	{"TLS from the first byte", "The port expects TLS from the first byte, or a TLS proxy stands there; MySQL begins in plaintext and turns to TLS after its greeting.", func(b []byte) bool {
		return len(b) >= 3 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3 && b[2] <= 4
	}},
	{"HTTP", "An HTTP server or load balancer answers on this port.", begins("HTTP/", "<html", "<HTML", "<!DOC")},
	// A SETTINGS frame on stream 0: RFC 9113, section 3.4.
	{"HTTP/2", "An HTTP/2 or gRPC server answers on this port.", func(b []byte) bool {
		return len(b) >= 9 && b[0] == 0 && b[3] == 4 && bytes.Equal(b[5:9], []byte{0, 0, 0, 0})
	}},
	{"SSH", "This is a shell's port; if a tunnel was meant, its local end is another one.", begins("SSH-", "Exceeded MaxSta", "Not allowed at t")},
	{"PostgreSQL", "PostgreSQL listens on 5432 by default.", postgres},
	{"Redis", "Redis listens on 6379 by default.", begins("-ERR", "-NOAUTH", "-DENIED", "-MISCONF", "+PONG", "$-1")},
	{"SMTP or FTP", "A mail or file server answers on this port.", begins("220 ", "220-", "421 ", "554 ", "500 OOPS")},
	{"POP3", "A mail server answers on this port.", begins("+OK")},
	{"IMAP", "A mail server answers on this port.", begins("* OK", "* BYE")},
	{"SQL Server's TDS", "SQL Server listens on 1433 by default.", tds},
	{"VNC", "A remote desktop answers on this port.", begins("RFB ")},
	{"AMQP", "A message broker answers on this port.", begins("AMQP")},
	{"ActiveMQ's OpenWire", "A message broker answers on this port.", func(b []byte) bool {
		return len(b) >= 13 && b[0] == 0 && b[1] == 0 && bytes.HasPrefix(b[4:], []byte("\x01ActiveMQ"))
	}},
	{"rsync", "A file server answers on this port.", begins("@RSYNCD:")},
	{"NATS", "A message broker answers on this port.", begins("INFO {")},
	{"Memcached", "Memcached listens on 11211 by default.", begins("ERROR\r\n")},
	{"Telnet", "A terminal server answers on this port.", telnet},
	{"a proxy that sends the PROXY protocol to its clients", "The PROXY header belongs on the side of the server: turn it off towards clients.", begins(proxyHeaders[:]...)},
	// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v9.html
	{"the MySQL protocol of before 3.21", "The server is too old for any client of today, or imitates one.", func(b []byte) bool {
		return len(b) >= 5 && b[3] == 0 && b[4] == 9
	}},
	{"MySQL, but with a greeting that breaks off or contradicts itself", "Look for a proxy that cuts or rewrites the first packet, and for a server that imitates MySQL.", greetingLike},
}

// postgres recognises an ErrorResponse (E, a length, then the fields, severity
// first) and a request for a password (R, a length, the kind, at most 12). The
// first four bytes alone are those of a packet of MySQL's of 69 or 82 bytes.
// PostgreSQL 17 manual, "Message Formats".
func postgres(b []byte) bool {
	if begins("EFATAL")(b) { // of before 7.4
		return true
	}
	switch {
	case len(b) < 9 || b[1] != 0 || b[2] != 0:
		return false
	case b[0] == 'E':
		return begins("SFATAL", "SERROR", "SPANIC", "VFATAL", "VERROR", "VPANIC")(b[5:])
	}
	return b[0] == 'R' && b[3] == 0 && b[4] >= 8 && b[5] == 0 && b[6] == 0 && b[7] == 0 && b[8] <= 12
}

// tds recognises a complete answer of SQL Server: type 4, status 1, the length,
// the process, packet number 1, window 0. [MS-TDS], section 2.2.3.
func tds(b []byte) bool {
	return len(b) >= 8 && b[0] == 4 && b[1] == 1 && (b[2] > 0 || b[3] > 8) && b[6] == 1 && b[7] == 0
}

// telnet recognises two requests of RFC 854 in a row: IAC, WILL to DONT, an option.
func telnet(b []byte) bool {
	return len(b) >= 5 && b[0] == 0xff && b[1] >= 0xfb && b[1] < 0xff && b[3] == 0xff && b[4] >= 0xfa && b[4] < 0xff
}

// greetingLike reports whether b begins as a greeting does: packet 0, protocol 10.
func greetingLike(b []byte) bool { return len(b) >= 5 && b[3] == 0 && b[4] == 10 }

// alert recognises an alert of TLS, in the clear. RFC 8446, section 6.
func alert(b []byte) bool {
	return len(b) >= alertLen && b[0] == 0x15 && b[1] == 3 && b[2] <= 4 && b[3] == 0 && b[4] == 2
}

const alertLen = 5 + 2

// alertBefore reports whether b is such an alert in front of a greeting.
func alertBefore(b []byte) bool { return alert(b) && greetingLike(b[alertLen:]) }

func begins(prefixes ...string) func([]byte) bool {
	return func(b []byte) bool {
		for _, p := range prefixes {
			if bytes.HasPrefix(b, []byte(p)) {
				return true
			}
		}
		return false
	}
}

// protocol names what b is the beginning of; both are empty if nobody knows.
func protocol(b []byte) (name, hint string) {
	for i := range foreign {
		if foreign[i].match(b) {
			return foreign[i].name, foreign[i].hint
		}
	}
	return "", ""
}

// firstBytes shows b in hex, and as text if it is text.
func firstBytes(b []byte) string {
	if len(b) > shownBytes {
		b = b[:shownBytes]
	}
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\r' && c != '\n' {
			return fmt.Sprintf("% x", b)
		}
	}
	return fmt.Sprintf("% x, as text %q", b, b)
}
