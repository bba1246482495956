package cause

import (
	"bytes"
	"encoding/binary"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// OfMySQL reports whether a client that speaks MySQL may have begun with b, whatever
// is wrong with its numbers: b is a login, or a command of a client that takes itself
// for logged in, or the beginning of one. In doubt it may.
func OfMySQL(b []byte) bool {
	if len(b) <= 4 {
		return true
	}
	length, payload := int(b[0])|int(b[1])<<8|int(b[2])<<16, b[4:]
	if len(payload) > length {
		payload = payload[:length]
	}
	return login41(length, payload) || login320(length, payload) || b[3] == 0 && commandLike(length, payload)
}

// login41 recognises a login, or the request for TLS that is its beginning: flags,
// size, character set, 19 bytes of zero, and four that MariaDB has a use for.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
func login41(length int, p []byte) bool {
	const most, protocol41, filler, end = 1 << 17, 1 << 1, 9, 28 // the attributes alone may have 64 KiB
	if length < 32 || length > most {
		return false
	}
	return len(p) < 2 || p[1]&protocol41 != 0 && allZero(p[min(filler, len(p)):min(end, len(p))])
}

// login320 recognises a login of before MySQL 4.1: two bytes of flags, three of a
// size, the user's name up to a NUL.
func login320(length int, p []byte) bool {
	const user, most = 5, 512
	if length <= user || length > most {
		return false
	}
	name, _, _ := bytes.Cut(p[min(user, len(p)):], []byte{0})
	return len(p) <= user || p[1]&(1<<1) == 0 && len(name) > 0 && textual(name)
}

// commandLengths are those of commands that have one.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html
var commandLengths = map[session.Command]int{
	session.ComQuit: 1, session.ComStatistics: 1, session.ComProcessInfo: 1, session.ComDebug: 1, session.ComPing: 1, session.ComResetConnection: 1,
	session.ComRefresh: 2, session.ComSetOption: 3, session.ComProcessKill: 5, session.ComStmtClose: 5, session.ComStmtReset: 5, session.ComStmtFetch: 9,
}

// commandLike recognises a command.
func commandLike(length int, p []byte) bool {
	if length == 0 || len(p) == 0 {
		return false
	}
	c, args := session.Command(p[0]), p[1:]
	if l, ok := commandLengths[c]; ok {
		return length == l
	}
	switch c {
	case session.ComSleep, session.ComShutdown:
		return false // a client has not said either for years
	case session.ComQuery:
		if len(args) > 1 && args[1] == 1 { // query attributes: how many, and their one set
			return args[0] > 0 || textual(args[2:])
		}
		return textual(args)
	case session.ComInitDB, session.ComStmtPrepare, session.ComCreateDB, session.ComDropDB:
		return length > 1 && textual(args)
	case session.ComFieldList, session.ComChangeUser:
		name, _, _ := bytes.Cut(args, []byte{0})
		return length > 1 && textual(name)
	case session.ComStmtExecute: // the statement, flags, and the number of iterations, which is 1
		return length >= 10 && (len(args) < 9 || binary.LittleEndian.Uint32(args[5:]) == 1)
	}
	return c.Known()
}

// textual reports whether b may begin as a text does, in whatever character set. What
// comes later may be anything: a value in a statement.
func textual(b []byte) bool {
	b = b[:min(8, len(b))]
	return bytes.IndexFunc(b, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f }) < 0
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
