package session

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// First bytes of server packets.
const (
	headOK          = 0x00
	headAuthMore    = 0x01
	headNextFactor  = 0x02
	headNull        = 0xFB // also: LOCAL INFILE request
	headEOF         = 0xFE // also: AuthSwitchRequest, and a row that begins with an 8-byte length
	headERR         = 0xFF
	progressErrCode = 0xFFFF
)

// maxPayload is the length of a packet that the next one continues.
const maxPayload = 1<<24 - 1

// ServerError is the content of an ERR packet.
type ServerError struct {
	Code     uint16
	SQLState string // empty when the packet has none: the server had not parsed the login
	Message  string
}

// ParseError reads an ERR packet from its first bytes. ok is false if they
// cannot be one.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html
func ParseError(p []byte) (e ServerError, ok bool) {
	if len(p) < 3 || p[0] != headERR {
		return e, false
	}
	e.Code = binary.LittleEndian.Uint16(p[1:])
	p = p[3:]
	// The '#' block is left out before the server knows the client's
	// capabilities (MySQL bug 35289).
	if len(p) >= 6 && p[0] == '#' {
		e.SQLState = string(p[1:6])
		p = p[6:]
	}
	e.Message = string(p)
	return e, true
}

// validError reports whether an ERR packet can be read by the driver, which
// does not check bounds: a marker byte after the code, and a whole state behind '#'.
func validError(p []byte) bool {
	return len(p) >= 4 && (p[3] != '#' || len(p) >= 9)
}

// plainError reports whether a valid ERR packet reads as one: its message is text.
func plainError(p []byte) bool {
	for _, b := range p[3:] {
		if b < ' ' || b == 0x7f {
			return false
		}
	}
	return true
}

// Greeting is what a server says of itself in its first packet.
type Greeting struct {
	protocol     uint8
	Version      string
	ConnectionID uint32
	capabilities capabilities
	extended     extended
	AuthPlugin   string // the server's default
}

// MariaDB reports whether the server is MariaDB: its version says so (10.x as
// "5.5.5-10.11.19-MariaDB").
func (g *Greeting) MariaDB() bool {
	return strings.Contains(g.Version, "MariaDB")
}

// OffersTLS reports whether the server would begin TLS.
func (g *Greeting) OffersTLS() bool { return g.capabilities&clientSSL != 0 }

// parseGreeting reads protocol version 10.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
// It refuses what the driver would run past the end of.
func parseGreeting(p []byte) (g Greeting, ok bool) {
	if len(p) == 0 {
		return g, false
	}
	g.protocol = p[0]
	end := bytes.IndexByte(p, 0)
	if g.protocol != 10 || end < 1 {
		return g, false
	}
	g.Version = string(p[1:end])
	p = p[end+1:]
	if len(p) < 4+8+1+2 { // thread id, first part of the challenge, filler, lower flags
		return g, false
	}
	g.ConnectionID = binary.LittleEndian.Uint32(p)
	g.capabilities = capabilities(binary.LittleEndian.Uint16(p[13:]))
	p = p[15:]
	if len(p) == 0 {
		// A server of before 4.1 ends here. It has half of the challenge that later
		// plugins need.
		return g, g.capabilities&clientProtocol41 == 0
	}
	const fixed = 1 + 2 + 2 + 1 + 10 // collation, status, upper flags, challenge length, filler
	if len(p) < fixed+13 {
		return g, false
	}
	g.capabilities |= capabilities(binary.LittleEndian.Uint16(p[3:])) << 16
	if g.capabilities&clientMySQL == 0 {
		g.extended = extended(binary.LittleEndian.Uint32(p[12:]))
	}
	plugin := p[fixed+13:]
	if i := bytes.IndexByte(plugin, 0); i >= 0 {
		plugin = plugin[:i]
	}
	g.AuthPlugin = string(plugin)
	return g, true
}

// login reads the flags of a login or an SSLRequest.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
func parseLogin(p []byte) (c capabilities, x extended, ok bool) {
	if len(p) < 32 {
		return 0, 0, false
	}
	c = capabilities(binary.LittleEndian.Uint32(p))
	if c&clientMySQL == 0 {
		x = extended(binary.LittleEndian.Uint32(p[28:]))
	}
	return c, x, c&clientProtocol41 != 0
}

// lenenc reads a length-encoded integer and returns how many bytes it took, 0
// if p does not begin with a whole one. As in the driver, the two first bytes
// that begin no integer (NULL, and what marks an ERR) take one byte.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html
func lenenc(p []byte) (v uint64, n int) {
	if len(p) == 0 {
		return 0, 0
	}
	switch p[0] {
	case 0xFB:
		return 0, 1
	case 0xFC:
		n = 3
	case 0xFD:
		n = 4
	case 0xFE:
		n = 9
	default:
		return uint64(p[0]), 1
	}
	if len(p) < n {
		return 0, 0
	}
	for i := n - 1; i > 0; i-- {
		v = v<<8 | uint64(p[i])
	}
	return v, n
}

// okStatus reads the status flags of an OK packet, whose first byte is 0x00 or
// (at the end of rows, with DEPRECATE_EOF) 0xFE.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
func okStatus(p []byte) (status uint16, ok bool) {
	p = p[1:]
	for range 2 { // affected rows, last insert id
		_, n := lenenc(p)
		if n == 0 {
			return 0, false
		}
		p = p[n:]
	}
	if len(p) < 2 {
		return 0, false
	}
	return binary.LittleEndian.Uint16(p), true
}

// eofStatus reads the status flags of an EOF packet.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_eof_packet.html
func eofStatus(p []byte) (status uint16, ok bool) {
	if len(p) < 5 {
		return 0, false
	}
	return binary.LittleEndian.Uint16(p[3:]), true
}
