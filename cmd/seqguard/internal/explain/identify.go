package explain

import (
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// verdict is whether bytes are MySQL's.
type verdict uint8

const (
	unsure verdict = iota // too few
	yes
	no
)

// greets reports whether a server's first bytes are a greeting, or the ERR that
// stands in its place when the server has no room.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
func greets(b []byte) verdict {
	if len(b) >= 4 && (b[2] != 0 || b[3] != 0) {
		return no
	}
	if len(b) < 7 {
		return unsure
	}
	n := int(b[0]) | int(b[1])<<8
	switch {
	case b[4] == 10 && n >= 30 && n < 1024: // the version is text
		for _, c := range b[5:min(len(b), 9)] {
			if c == 0 {
				return yes
			}
			if c < ' ' || c > '~' {
				return no
			}
		}
		return yes
	case b[4] == 0xFF && n >= 3 && n < 1024:
		if code := int(b[5]) | int(b[6])<<8; code >= 1000 && code < 6000 {
			return yes
		}
	}
	return no
}

// commands reports whether p is exactly one command, as clients send most of them.
func commands(p []byte) bool {
	if len(p) < 5 || p[3] != 0 {
		return false
	}
	n := int(p[0]) | int(p[1])<<8 | int(p[2])<<16
	return n == len(p)-4 && session.Command(p[4]).Known() && p[4] != 0
}
