package session

import (
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// The connection phase, in the forms that servers and plugins give it.
func TestConnectionPhase(t *testing.T) {
	d := deprecated
	plain := []line{server(0, d.greeting(), KindGreeting, PhaseLogin), client(1, login(d.caps, 0, false), KindLogin, PhaseAuth)}
	// Behind the SSLRequest the ids go on inside TLS.
	inTLS := []line{
		server(0, d.greeting(), KindGreeting, PhaseLogin), client(1, login(d.caps, 0, true), KindSSLRequest, PhaseTLS),
		client(2, login(d.caps|clientSSL, 0, false), KindLogin, PhaseAuth),
	}
	several := d
	several.caps |= clientMultiFactor
	factors := []line{server(0, several.greeting(), KindGreeting, PhaseLogin), client(1, login(several.caps, 0, false), KindLogin, PhaseAuth)}
	for _, tt := range []struct {
		name  string
		lines []line
	}{
		{"OK at once", join(plain, server(2, okay(0), KindOK, PhaseReady).done())},
		{"caching_sha2_password, fast", join(plain, server(2, "\x01\x03", KindAuthMoreData, PhaseAuth), server(3, okay(0), KindOK, PhaseReady).done())},
		{"caching_sha2_password, full, with the RSA key", join(plain,
			server(2, "\x01\x04", KindAuthMoreData, PhaseAuth), client(3, "\x02", KindAuthResponse, PhaseAuth),
			server(4, "\x01-----BEGIN PUBLIC KEY-----", KindAuthMoreData, PhaseAuth).long(452),
			client(5, "", KindAuthResponse, PhaseAuth).long(256), server(6, okay(0), KindOK, PhaseReady).done())},
		{"caching_sha2_password, full, inside TLS", join(inTLS,
			server(3, "\x01\x04", KindAuthMoreData, PhaseAuth), client(4, "", KindAuthResponse, PhaseAuth).long(7),
			server(5, okay(0), KindOK, PhaseReady).done())},
		{"auth switch", join(plain, server(2, "\xfemysql_native_password\x00twenty bytes of salt\x00", KindAuthSwitch, PhaseAuth),
			client(3, "", KindAuthResponse, PhaseAuth).long(20), server(4, okay(0), KindOK, PhaseReady).done())},
		{"auth switch of old servers", join(plain, server(2, "\xfe", KindAuthSwitch, PhaseAuth),
			client(3, "", KindAuthResponse, PhaseAuth).long(9), server(4, okay(0), KindOK, PhaseReady).done())},
		{"plugin of MariaDB that marks nothing", join(plain, server(2, "\xfeparsec\x00", KindAuthSwitch, PhaseAuth),
			client(3, "", KindAuthResponse, PhaseAuth), server(4, "P\x00salt", KindAuthMoreData, PhaseAuth),
			client(5, "", KindAuthResponse, PhaseAuth).long(96), server(6, "", KindAuthMoreData, PhaseAuth), server(7, okay(0), KindOK, PhaseReady).done())},
		// mariadb-corporation/mariadb-docs 504: MariaDB has the plugin since 12.1, and sends its data without a mark.
		{"caching_sha2_password of MariaDB", []line{
			server(0, mariaBoth.greeting(), KindGreeting, PhaseLogin), client(1, login(mariaBoth.caps, mariaBoth.ext, false), KindLogin, PhaseAuth),
			server(2, "\xfecaching_sha2_password\x0012345678901234567890\x00", KindAuthSwitch, PhaseAuth), client(3, "", KindAuthResponse, PhaseAuth).long(32),
			server(4, "\x04", KindAuthMoreData, PhaseAuth), client(5, "\x02", KindAuthResponse, PhaseAuth),
			server(6, "-----BEGIN PUBLIC KEY-----", KindAuthMoreData, PhaseAuth).long(451),
			client(7, "", KindAuthResponse, PhaseAuth).long(256), server(8, okay(0), KindOK, PhaseReady).done()}},
		// sidorares/node-mysql2 1436, mysql-net/MySqlConnector 1068: MySQL of 8.0.27 and later, an account with several factors.
		{"two factors", join(factors,
			server(2, "\x01\x03", KindAuthMoreData, PhaseAuth), server(3, "\x02auth_socket\x00", KindAuthNextFactor, PhaseAuth),
			client(4, "", KindAuthResponse, PhaseAuth), server(5, okay(0), KindOK, PhaseReady).done())},
		{"three factors, full logins", join(factors,
			server(2, "\x01\x04", KindAuthMoreData, PhaseAuth), client(3, "", KindAuthResponse, PhaseAuth).long(9),
			server(4, "\x02authentication_ldap_sasl_client\x00SCRAM-SHA-1", KindAuthNextFactor, PhaseAuth), client(5, "", KindAuthResponse, PhaseAuth).long(40),
			server(6, "\x01r=", KindAuthMoreData, PhaseAuth), client(7, "", KindAuthResponse, PhaseAuth).long(40),
			server(8, "\x02mysql_clear_password\x00", KindAuthNextFactor, PhaseAuth), client(9, "", KindAuthResponse, PhaseAuth).long(9),
			server(10, okay(0), KindOK, PhaseReady).done())},
		{"refused", join(plain, server(2, errPacket(1045), KindERR, PhaseClosed).done().err(1045))},
		{"refused after a switch", join(plain, server(2, "\xfex\x00", KindAuthSwitch, PhaseAuth), client(3, "", KindAuthResponse, PhaseAuth),
			server(4, errPacket(1045), KindERR, PhaseClosed).done().err(1045))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tr Tracker
			play(t, &tr, tt.lines...)
			if tr.Sent() != 0 || tr.Pending() != 0 {
				t.Errorf("%d commands sent, %d pending", tr.Sent(), tr.Pending())
			}
			if got, want := tr.TLS(), tt.lines[1].kind == KindSSLRequest; got != want {
				t.Errorf("TLS %v", got)
			}
			if tr.Phase() == PhaseReady {
				play(t, &tr, query, server(1, okay(0), KindOK, PhaseReady).done())
				idle(t, &tr)
			}
			// The polite end of a refused or idle connection.
			if v := tr.EndOfStream(false); v != None {
				t.Errorf("the end of the stream is %s", v)
			}
		})
	}
}

func TestGreeting(t *testing.T) {
	var tr Tracker
	play(t, &tr, server(0, mariaBoth.greeting(), KindGreeting, PhaseLogin))
	g := tr.Greeting()
	if !g.MariaDB() || g.ConnectionID != 77 || g.AuthPlugin != "mysql_native_password" || g.protocol != 10 ||
		g.Version != "5.5.5-10.11.19-MariaDB" || g.extended != mariaBoth.ext || g.capabilities != mariaBoth.caps|clientSSL {
		t.Errorf("%+v", g)
	}

	// A greeting of before 4.1 ends behind the lower flags.
	old := "\x0a4.0.30\x00\x01\x00\x00\x0012345678\x00\x2c\x00"
	tr = Tracker{}
	play(t, &tr, server(0, old, KindGreeting, PhaseLogin))
	if tr.Greeting().capabilities != 0x2c {
		t.Errorf("flags %#x", tr.Greeting().capabilities)
	}

	// Everything shorter than a greeting must be refused: the driver would run past its end.
	whole := d0greeting
	fixed := strings.IndexByte(whole, 0) + 1 + 15
	for n := range len(whole) {
		tr = Tracker{}
		ev := tr.Packet(Packet{Direction: FromServer, Length: uint32(n), Prefix: []byte(whole[:n])})
		ok := n >= fixed+16+13
		if (ev.Violation == None) != ok {
			t.Errorf("the first %d of %d bytes: %s", n, len(whole), ev.Violation)
		}
	}
}

var d0greeting = deprecated.greeting()

func TestNotAGreeting(t *testing.T) {
	for _, payload := range []string{
		"", "\x09", "\x0a", "\x0a9.7", "\x0a\x00", "HTTP/1.1 400 Bad Request", "\xff", "\xff\x10", "\xff\x10\x04", "\xff\x10\x04#08",
		"\x0b\x08\x05\x1a\x00",
	} {
		var tr Tracker
		play(t, &tr, server(0, payload, KindUnknown, PhaseClosed).breaks(NotMySQL, 0))
	}
	// With a number that no server gives a refusal, only words are one.
	var tr Tracker
	play(t, &tr, server(7, "\xff\xfb\x01\xff\xfb\x03", KindUnknown, PhaseClosed).breaks(NotMySQL, 0))
}

// 3.15: a proxy that counts the login numbers its refusal 2 or 3.
func TestFault3_15RefusalNumberedOn(t *testing.T) {
	for _, seq := range []int{0, 1, 2, 3} {
		var tr Tracker
		play(t, &tr, server(seq, errPacket(1040), KindERR, PhaseClosed).breaks(Refused, 0).err(1040))
	}
}

// 4.3: a version may be as long as its server likes.
func TestFault4_03LongGreeting(t *testing.T) {
	for _, n := range []int{500, 600, 5000} {
		g := string(mysqltest.GreetingPayload(mysqltest.GreetingOptions{Version: strings.Repeat("9", n), Capabilities: uint32(classic.caps)}))
		var tr Tracker
		play(t, &tr, server(0, g, KindGreeting, PhaseLogin), client(1, login(classic.caps, 0, false), KindLogin, PhaseAuth), server(2, okay(0), KindOK, PhaseReady).done())
		if tr.caps != classic.caps || len(tr.Greeting().Version) != n {
			t.Errorf("capabilities %#x, %d bytes of version", tr.caps, len(tr.Greeting().Version))
		}
	}
}

// A health check, or a client of another protocol, speaks before the greeting.
func TestClientSpeaksFirst(t *testing.T) {
	var tr Tracker
	play(t, &tr, client(0, "PROXY TCP4", KindUnknown, PhaseGreeting), server(0, d0greeting, KindGreeting, PhaseLogin))
}

func TestCompression(t *testing.T) {
	for _, tt := range []struct {
		asked      capabilities
		zlib, zstd bool
	}{
		{0, false, false},
		{clientCompress, true, false},
		{clientZstdCompression, false, true},
		// Which of them the server takes is not known; neither is looked into.
		{clientCompress | clientZstdCompression, false, false},
	} {
		d := classic
		d.caps |= tt.asked
		tr := d.loggedIn(t)
		if tr.Compressed() != tt.zlib || tr.Zstd() != tt.zstd {
			t.Errorf("asked for %#x: zlib %v, zstd %v", tt.asked, tr.Compressed(), tr.Zstd())
		}
	}
	// Not agreed on unless both have it.
	var tr Tracker
	play(t, &tr, server(0, classic.greeting(), KindGreeting, PhaseLogin), client(1, login(classic.caps|clientCompress, 0, false), KindLogin, PhaseAuth))
	if tr.Compressed() {
		t.Error("the server does not offer compression")
	}
}

// Inside the compressed protocol the ids of packets are informative.
func TestLenient(t *testing.T) {
	tr := deprecated.loggedIn(t)
	tr.Lenient()
	play(t, tr, query, server(9, deprecated.head(1), KindColumnCount, PhaseColumns), server(0, column, KindColumn, PhaseRows),
		server(0, errPacket(1317), KindERR, PhaseReady).done().err(1317),
		command(ComPing, "", PhaseCommand), server(0, okay(0), KindOK, PhaseReady).done(),
		// 0 is not the number of a farewell there, 4031 is its code.
		query, server(0, errPacket(1064), KindERR, PhaseReady).done().err(1064),
		query, server(0, errPacket(4031), KindERR, PhaseClosed).breaks(Unsolicited, 1).err(4031))
}

func TestParseError(t *testing.T) {
	for _, tt := range []struct {
		packet string
		want   ServerError
		ok     bool
	}{
		{errPacket(1064), ServerError{1064, "HY000", "words"}, true},
		{string(mysqltest.ERRPayload(1040, "", "Too many connections")), ServerError{1040, "", "Too many connections"}, true},
		{"\xff\x10\x04", ServerError{Code: 1040}, true},
		{"\xff\x10\x04#08S", ServerError{Code: 1040, Message: "#08S"}, true},
		{"\xff\x10", ServerError{}, false},
		{"\x00\x10\x04", ServerError{}, false},
		{"", ServerError{}, false},
	} {
		if e, ok := ParseError([]byte(tt.packet)); e != tt.want || ok != tt.ok {
			t.Errorf("%q: %+v, %v", tt.packet, e, ok)
		}
	}
}
