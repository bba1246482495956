package session

import (
	"bytes"
	"strings"
)

// Login is what a client says of itself in its login, without its credentials.
type Login struct {
	User, Database string
	AuthPlugin     string // that it proposes
	// Of its connection attributes; empty without them.
	// https://dev.mysql.com/doc/refman/8.4/en/performance-schema-connection-attribute-tables.html
	ClientName    string // "_client_name": the library
	ClientVersion string // "_client_version"
	Program       string // "program_name"
}

// Flags of what a login has.
const (
	clientConnectWithDB capabilities = 1 << 3
	clientSecure        capabilities = 1 << 15
	clientPluginAuth    capabilities = 1 << 19
	clientConnectAttrs  capabilities = 1 << 20
	clientAuthLenenc    capabilities = 1 << 21
)

// maxField bounds what is kept of one field of a login.
const maxField = 256

// Login returns what the client said of itself, nil if that was not seen.
func (t *Tracker) Login() *Login { return t.login }

// readLogin reads a login of which more than the head is there. Clients that are
// known to pipeline may then do so.
func (t *Tracker) readLogin(p Packet) {
	if len(p.Prefix) <= 32 {
		return
	}
	l := &Login{}
	l.parse(p.Prefix, t.caps)
	t.login = l
	if pipelining(l.ClientName) {
		t.pipelines = true
	}
}

// pipelining reports whether a client library sends commands ahead of the
// answers to earlier ones, by itself.
func pipelining(client string) bool {
	for _, name := range []string{"MariaDB Connector/Node", "MariaDB Connector/J"} {
		if strings.EqualFold(client, name) {
			return true
		}
	}
	return false
}

// parse reads as much of a login as is there.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
func (l *Login) parse(p []byte, caps capabilities) {
	p = p[32:]
	ok := true
	zero := func() (s []byte) {
		var rest []byte
		if s, rest, ok = bytes.Cut(p, []byte{0}); ok {
			p = rest
		}
		return s
	}
	if l.User = field(zero()); !ok {
		return
	}
	// The answer to the challenge.
	switch {
	case caps&clientAuthLenenc != 0:
		_, p, ok = lenencString(p)
	case caps&clientSecure != 0 && len(p) > 0:
		n := 1 + int(p[0])
		if ok = n <= len(p); ok {
			p = p[n:]
		}
	default:
		zero()
	}
	if ok && caps&clientConnectWithDB != 0 {
		l.Database = field(zero())
	}
	if ok && caps&clientPluginAuth != 0 {
		l.AuthPlugin = field(zero())
	}
	if ok && caps&clientConnectAttrs != 0 {
		_, n := lenenc(p) // of all attributes; what is there of them is read
		l.attributes(p[n:])
	}
}

func (l *Login) attributes(p []byte) {
	for len(p) > 0 {
		key, rest, ok := lenencString(p)
		if !ok {
			return
		}
		value, rest, ok := lenencString(rest)
		if !ok {
			return
		}
		p = rest
		switch string(key) {
		case "_client_name":
			l.ClientName = field(value)
		case "_client_version":
			l.ClientVersion = field(value)
		case "program_name":
			l.Program = field(value)
		}
	}
}

// lenencString reads a string behind its length.
func lenencString(p []byte) (s, rest []byte, ok bool) {
	v, n := lenenc(p)
	if n == 0 || v > uint64(len(p)-n) {
		return nil, p, false
	}
	return p[n : n+int(v)], p[n+int(v):], true
}

func field(b []byte) string { return strings.ToValidUTF8(string(b[:min(len(b), maxField)]), "?") }
