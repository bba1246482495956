package conversation

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Kill is a client's request that the server end a connection.
type Kill struct {
	Connection uint32 // the server's id of it
	By         cause.Client
	Time       time.Time
}

// kills tells about a command that asks for one.
func (x *extras) kills(at time.Time, ev *session.Event, h wire.Header, prefix []byte) {
	if x.onKill == nil || ev.Kind != session.KindCommand || int(h.Length) != len(prefix) {
		return
	}
	if id, ok := killed(prefix); ok {
		x.onKill(Kill{Connection: id, By: x.client, Time: at})
	}
}

// killed returns which connection a command, of which p is all, asks to end.
// https://dev.mysql.com/doc/refman/8.4/en/kill.html
func killed(p []byte) (connection uint32, ok bool) {
	if len(p) == 0 {
		return 0, false
	}
	switch session.Command(p[0]) {
	case session.ComProcessKill:
		if len(p) != 5 {
			return 0, false
		}
		return binary.LittleEndian.Uint32(p[1:]), true
	case session.ComQuery:
		text := bytes.TrimPrefix(p[1:], []byte{0, 1}) // no query attributes
		if len(text) < len(kill) || !bytes.EqualFold(text[:len(kill)], kill) {
			return 0, false
		}
		words := bytes.Fields(bytes.TrimRight(text[len(kill):], "; "))
		if len(words) == 2 && bytes.EqualFold(words[0], []byte("CONNECTION")) {
			words = words[1:]
		}
		if len(words) != 1 {
			return 0, false
		}
		n, err := strconv.ParseUint(string(words[0]), 10, 32)
		return uint32(n), err == nil
	}
	return 0, false
}

var kill = []byte("KILL ")
