package session

import "bytes"

// AuthMoreData of caching_sha2_password.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
const (
	sha2FastSuccess = 3
	sha2FullLogin   = 4
)

// auth takes the server's part of the exchange between login and OK.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
func (t *Tracker) auth(p *Packet, ev *Event) {
	if t.changingUser() {
		t.started = true
	}
	head := byte(headAuthMore)
	if len(p.Prefix) > 0 {
		head = p.Prefix[0]
	}
	turn := t.turn // then this is early: the client has not answered yet
	if head == headNextFactor && t.caps&clientMultiFactor == 0 {
		head = headAuthMore // data of a plugin without a mark
	}
	switch head {
	case headOK:
		ev.Kind = KindOK
		var ok bool
		if t.status, ok = okStatus(p.Prefix); !ok {
			ev.Violation = Malformed
		} else if turn || t.keyAsked {
			ev.Violation = UnexpectedKind
		}
		t.number(p, ev)
		if t.cmd == ComChangeUser {
			t.answered(ev)
			return
		}
		ev.Done = true
		t.ready()
	case headEOF:
		ev.Kind = KindAuthSwitch
		t.turn, t.fullLogin = true, false
		t.authSwitch = "mysql_old_password" // an AuthSwitchRequest of one byte
		if len(p.Prefix) > 1 {
			name, _, whole := bytes.Cut(p.Prefix[1:], []byte{0})
			t.authSwitch = string(name)
			if !whole && int(p.Length) <= len(p.Prefix) || whole && !longEnough(name, int(p.Length)-1-len(name)-1) {
				ev.Violation = Malformed
			}
		}
		if turn || t.keyAsked || t.verdict {
			ev.Violation = UnexpectedKind
		}
		t.verdict, t.keyAsked = false, false
		t.number(p, ev)
	case headNextFactor:
		// The factor before is accepted, and the account has another one (MySQL of
		// 8.0.27 and later).
		// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_next_factor_request.html
		ev.Kind = KindAuthNextFactor
		name, _, whole := bytes.Cut(p.Prefix[1:], []byte{0})
		t.authSwitch = string(name)
		if !whole && int(p.Length) <= len(p.Prefix) {
			ev.Violation = Malformed
		}
		if turn || t.keyAsked {
			ev.Violation = UnexpectedKind
		}
		t.turn, t.fullLogin, t.verdict, t.keyAsked = true, false, false, false
		t.number(p, ev)
	default:
		ev.Kind = KindAuthMoreData
		if !t.moreData(p) || turn {
			ev.Violation = UnexpectedKind
		}
		t.number(p, ev)
	}
}

// longEnough reports whether a challenge of n bytes, with or without a zero at
// its end, is as long as the plugin needs it.
func longEnough(plugin []byte, n int) bool {
	switch string(plugin) {
	case "mysql_native_password":
		return n >= 20
	case "mysql_old_password":
		return n >= 8
	case "client_ed25519":
		return n == 32 || n == 33
	}
	return true
}

// moreData reports whether the plugin in use has such a packet. Of a plugin that
// is not known here anything is lawful: MariaDB's send their data without the
// leading 0x01, and PARSEC has a packet without a payload.
func (t *Tracker) moreData(p *Packet) bool {
	plugin, sure := t.plugin()
	switch plugin {
	case "mysql_native_password", "mysql_clear_password", "client_ed25519", "mysql_old_password":
		return !sure // the client has said all
	case "caching_sha2_password":
		// MariaDB, which has this plugin since 12.1, marks only data whose first byte
		// could be taken for something else (sql/sql_acl.cc,
		// server_mpvio_write_packet); MySQL marks all.
		b, length := p.Prefix, p.Length
		switch {
		case len(b) > 0 && b[0] == headAuthMore:
			b, length = b[1:], length-1
		case !t.greeting.MariaDB():
			return false
		}
		switch {
		case len(b) == 0 || t.verdict:
			return false
		case t.keyAsked:
			t.turn, t.fullLogin, t.keyAsked, t.verdict = true, false, false, true
			return b[0] == '-'
		case length > 1:
			return false
		case b[0] == sha2FastSuccess:
			t.verdict = true
			return !t.fullLogin
		default:
			t.turn, t.fullLogin = true, true
			return b[0] == sha2FullLogin
		}
	case "sha256_password":
		first := !t.verdict
		t.turn, t.verdict = true, true
		return first && len(p.Prefix) > 1 && p.Prefix[0] == headAuthMore
	}
	return true
}

// plugin is the authentication plugin in use: that of the last
// AuthSwitchRequest, or the one that the client proposed. If its login was not
// read, that is likely to be the server's default; what it proposed in
// COM_CHANGE_USER is not known.
func (t *Tracker) plugin() (name string, sure bool) {
	switch {
	case t.authSwitch != "":
		return t.authSwitch, true
	case t.changingUser():
		return "", false
	case t.proposed != "":
		return t.proposed, true
	}
	return t.greeting.AuthPlugin, false
}
