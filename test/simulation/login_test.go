package simulation

import (
	"encoding/binary"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// loginFault is what goes wrong when a connection is made.
type loginFault struct {
	name    string
	names   slugs // right names; nil: nothing is to be reported
	tls     bool  // the server offers TLS
	stall   bool  // the client does not come to write its login for three seconds
	first   func(p *peer)
	greeted func(p *peer)
	login   func(p *peer)
}

func firstERR(seq byte, code uint16, words string) func(*peer) {
	return func(p *peer) {
		p.write(flat([]packet{{seq, mysqltest.ERRPayload(code, "", words)}}))
	}
}

// unread is an ERR of a server that has not read the login: with the number of its own second packet.
func unread(code uint16, words string) func(*peer) {
	return func(p *peer) {
		p.seq = 0
		p.send(p.err(code, "08S01", words))
	}
}

func quiet(p *peer) { p.drain() }
func leave(*peer)   {}

var loginFaults = []loginFault{
	{name: "too many connections", names: slugs{"refused_before_greeting"}, first: firstERR(0, 1040, "Too many connections")},
	{name: "too many connections, number 1", names: slugs{"refused_before_greeting"}, first: firstERR(1, 1203, "User already has more than 'max_user_connections' active connections")},
	{name: "not MySQL", names: slugs{"not_mysql"}, first: func(p *peer) { p.write([]byte("HTTP/1.1 408 Request Timeout\r\n\r\n")) }},
	{name: "closed before the greeting", names: slugs{"no_greeting"}, first: leave},
	{name: "silence before the greeting", names: slugs{"no_greeting"}, first: quiet},
	{name: "half a greeting", names: slugs{"no_greeting", "connection_lost_mid_answer", "login_unanswered"}, first: func(p *peer) {
		p.seq = 255
		b := flat(p.number(p.greeting()))
		p.write(b[:20])
	}},
	// It stalls within the Write of the connection below the guard, which has told the conversation of the login by then.
	{name: "the client stalls", names: slugs{"login_stalled_locally"}, stall: true, greeted: func(p *peer) {
		p.sleep(ms(2000))
		if !p.w.s.mariaDB {
			p.send(p.err(1159, "08S01", "Got timeout reading communication packets"))
			return
		}
		p.c.Reset()
	}},
	{name: "closed in front of the login", names: slugs{"login_unanswered"}, greeted: leave},
	// Or the client's own limit is over before.
	{name: "the login is delayed", names: slugs{"login_delayed_on_the_way", "login_unanswered"}, login: func(p *peer) {
		p.sleep(ms(2100))
		unread(1159, "Got timeout reading communication packets")(p)
	}},
	{name: "one direction is closed", names: slugs{"login_unreadable"}, login: unread(1158, "Got an error reading communication packets")},
	{name: "wrong password", login: func(p *peer) { p.send(p.err(1045, "28000", "Access denied for user 'u'")) }},
	{name: "unknown plugin", names: slugs{"auth_plugin_mismatch"}, login: func(p *peer) { p.send([]byte("\xfedialog\x00data\x00")) }},
	{name: "OK with a wrong number", names: slugs{"peer_misnumbers_handshake"}, login: func(p *peer) {
		p.seq = 6
		p.send(p.ok(0))
	}},
	{name: "PROXY header refused", names: slugs{"proxy_header_refused"}, login: unread(1105, "Failed to parse proxy header")},
	{name: "a proxy refuses", names: slugs{"proxy_refusal_misnumbered"}, login: unread(1105, "Proxy: max client connections")},
	{name: "closed behind the login", names: slugs{"login_unanswered"}, login: leave},
	{name: "silence behind the login", names: slugs{"login_unanswered", "peer_unresponsive"}, login: quiet},
	{name: "renumbered", names: slugs{"renumbered_on_the_way"}, login: unread(1156, "Got packets out of order")},
	{name: "words that no rule knows", names: slugs{"undetermined"}, login: unread(1161, "Got timeout writing communication packets")},
	{name: "TLS fails", names: slugs{"tls_failed"}, tls: true, login: func(p *peer) {
		if len(p.in) != 32 || binary.LittleEndian.Uint32(p.in)&mysqltest.CapSSL == 0 {
			panic(gone{})
		}
		p.write([]byte{21, 3, 3, 0, 2, 2, 40}) // alert: fatal, handshake failure
	}},
}

// offlineLogin is that of a server with offline_mode=ON.
var offlineLogin = loginFault{name: "login while offline", login: func(p *peer) {
	p.send(p.err(3032, "HY000", "The server is currently in offline mode"))
}}
