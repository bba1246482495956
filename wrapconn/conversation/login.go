package conversation

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// loginTap sits in front of the reader of the client's packets and reads the
// login besides: who the client is. It is there only for a client that is not
// this process.
type loginTap struct {
	c    *Conversation // nil when there is nothing more to read
	next wire.Sink
	buf  []byte
	want int // bytes of buf: the header, then as much of the packet as is kept
}

// maxLogin is how much of a login is kept while it passes. The server takes
// 64 KiB of connection attributes; clients send some hundred bytes.
const maxLogin = 8 << 10

func (t *loginTap) init(c *Conversation, read bool) {
	t.next = &c.client.frames.r
	if read {
		t.c, t.want = c, wire.HeaderLen
	}
}

var _ wire.Sink = (*loginTap)(nil)

// Wants implements wire.Sink.
func (t *loginTap) Wants() (skip, want int) {
	skip, want = t.next.Wants()
	if t.c != nil {
		return 0, max(want, t.want-len(t.buf))
	}
	return skip, want
}

// Skip implements wire.Sink.
func (t *loginTap) Skip(n int) { t.next.Skip(n) }

// Feed implements wire.Sink.
func (t *loginTap) Feed(b []byte) int {
	if t.c == nil {
		return t.next.Feed(b)
	}
	// Where the packet ends, the reader stops if TLS begins behind it, so the
	// reader goes first, but not further than the login.
	n := t.next.Feed(b)
	t.collect(b[:n])
	return n
}

func (t *loginTap) collect(b []byte) {
	for len(b) > 0 {
		n := min(len(b), t.want-len(t.buf))
		t.buf = append(t.buf, b[:n]...)
		b = b[n:]
		switch {
		case len(t.buf) < t.want:
			return
		case t.want == wire.HeaderLen:
			length := int(t.buf[0]) | int(t.buf[1])<<8 | int(t.buf[2])<<16
			t.want += min(length, maxLogin)
			t.buf = slices.Grow(t.buf, t.want-len(t.buf)) // once: what it grew out of would keep a piece of the credential
			if length == 0 {
				t.drop()
				return
			}
			continue
		}
		if p := t.buf[wire.HeaderLen:]; len(p) == sslRequestLen && binary.LittleEndian.Uint32(p)&clientSSL != 0 { // the login follows
			t.buf, t.want = t.buf[:0], wire.HeaderLen
			continue
		}
		t.read(t.buf[wire.HeaderLen:])
		t.drop()
		return
	}
}

func (t *loginTap) drop() {
	clear(t.buf[:cap(t.buf)]) // there is a credential in it
	t.buf, t.c = nil, nil
}

// Capabilities of the client that shape its login.
// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const (
	clientConnectWithDB    = 1 << 3
	clientProtocol41       = 1 << 9
	clientSSL              = 1 << 11
	clientSecureConnection = 1 << 15
	clientPluginAuth       = 1 << 19
	clientConnectAttrs     = 1 << 20
	clientLenencAuth       = 1 << 21

	sslRequestLen = 32
)

// read takes what the client says of itself out of its login.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
func (t *loginTap) read(p []byte) {
	if len(p) < 32 {
		return
	}
	caps := binary.LittleEndian.Uint32(p)
	if caps&clientProtocol41 == 0 {
		return
	}
	r := loginReader{p: p[32:]}
	client := &t.c.x.client
	set(&client.User, r.untilNUL())
	switch { // the credential: passed over
	case caps&clientLenencAuth != 0:
		r.lenenc()
	case caps&clientSecureConnection != 0:
		if n := r.bytes(1); len(n) == 1 {
			r.bytes(int(n[0]))
		}
	default:
		r.untilNUL()
	}
	if caps&clientConnectWithDB != 0 {
		set(&client.Database, r.untilNUL())
	}
	var plugin []byte
	if caps&clientPluginAuth != 0 {
		plugin = r.untilNUL()
	}
	if caps&clientConnectAttrs != 0 {
		t.attributes(&r)
	}
	t.c.tracker.Client(client.Name, string(plugin[:min(len(plugin), maxName)]))
}

// changed follows COM_CHANGE_USER: the user is another one when the server has
// agreed. What else it asks for lies behind its credential and is not looked at.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
func (x *extras) changed(ev session.Event, before session.Phase, command session.Command, prefix []byte) {
	switch {
	case x.client == cause.Client{} || x.client.Local: // this process knows itself
	case ev.Kind == session.KindCommand && ev.Command == session.ComChangeUser && len(prefix) > 1:
		name, _, whole := bytes.Cut(prefix[1:], []byte{0})
		x.becomes = string(name)
		if !whole {
			x.becomes += "…"
		}
	case ev.Kind == session.KindOK && ev.Done && before == session.PhaseAuth && command == session.ComChangeUser:
		x.client.User, x.client.Database = x.becomes, ""
	}
}

// attributes reads the connection attributes.
// https://dev.mysql.com/doc/refman/8.4/en/performance-schema-connection-attribute-tables.html
func (t *loginTap) attributes(r *loginReader) {
	client := &t.c.x.client
	attrs := loginReader{p: r.lenencSome()}
	for len(attrs.p) > 0 && !attrs.short {
		key, value := attrs.lenenc(), attrs.lenenc()
		switch string(key) {
		case "_client_name":
			set(&client.Name, value)
		case "_client_version":
			set(&client.Version, value)
		case "program_name":
			set(&client.Program, value)
		}
	}
}

// maxName bounds what is kept of a name.
const maxName = 128

// set keeps a name, unless it is known already.
func set(s *string, v []byte) {
	if *s == "" {
		*s = string(v[:min(len(v), maxName)])
	}
}

// loginReader reads fields one after the other. Of one that is not whole it
// returns nil.
type loginReader struct {
	p     []byte
	short bool
}

func (r *loginReader) bytes(n int) []byte {
	if n < 0 || n > len(r.p) {
		r.p, r.short = nil, true
		return nil
	}
	b := r.p[:n]
	r.p = r.p[n:]
	return b
}

func (r *loginReader) untilNUL() []byte {
	n := bytes.IndexByte(r.p, 0)
	b := r.bytes(n)
	r.bytes(min(1, len(r.p)))
	return b
}

// length reads a length-encoded integer, -1 if there is none.
func (r *loginReader) length() int {
	first := r.bytes(1)
	if len(first) == 0 {
		return -1
	}
	switch first[0] {
	case 0xFC:
		if b := r.bytes(2); b != nil {
			return int(b[0]) | int(b[1])<<8
		}
		return -1
	case 0xFB, 0xFD, 0xFE, 0xFF: // no number, or one that is longer than a login
		return -1
	}
	return int(first[0])
}

func (r *loginReader) lenenc() []byte { return r.bytes(r.length()) }

// lenencSome is lenenc of which the end may be missing.
func (r *loginReader) lenencSome() []byte { return r.bytes(min(r.length(), len(r.p))) }
