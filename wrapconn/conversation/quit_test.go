package conversation

import (
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// haproxy/haproxy 2692, sysown/proxysql 3342: HAProxy's mysql-check writes its login and COM_QUIT at once, every two seconds, and takes the server's
// answer for its health. It may do so before the greeting has come. Nothing of it is wrong, whatever the server says.
func TestQuitInLogin(t *testing.T) {
	greeting := plainLogin()[0]
	quit := mysqltest.Packet(0, []byte{1})
	check := segment{session.FromClient, append(mysqltest.Packet(1, loginPayload(0, "haproxy\x00\x00")), quit...)}
	for name, said := range map[string][]segment{
		"OK":                  {greeting, check, fromServer(2, mysqltest.OKPayload(0, 0, 2, 0))},
		"ERR 1045":            {greeting, check, fromServer(2, mysqltest.ERRPayload(1045, "28000", "Access denied for user 'haproxy'"))},
		"a switch":            {greeting, check, fromServer(2, []byte("\xfecaching_sha2_password\x0012345678901234567890\x00"))},
		"a switch, ERR":       {greeting, check, fromServer(2, []byte("\xfecaching_sha2_password\x0012345678901234567890\x00")), fromServer(3, mysqltest.ERRPayload(1158, "08S01", "Got an error reading communication packets"))},
		"in place of a login": {greeting, {session.FromClient, quit}, fromServer(1, mysqltest.ERRPayload(1043, "08S01", "Bad handshake"))},
		"in place, and FIN":   {greeting, {session.FromClient, quit}},
		"nothing":             {greeting, check},
		// It does not wait for the greeting: connect, send, expect.
		"early, OK":            {check, greeting, fromServer(2, mysqltest.OKPayload(0, 0, 2, 0))},
		"early, ERR 1045":      {check, greeting, fromServer(2, mysqltest.ERRPayload(1045, "28000", "Access denied for user 'haproxy'"))},
		"early, a switch":      {check, greeting, fromServer(2, []byte("\xfecaching_sha2_password\x0012345678901234567890\x00"))},
		"in two writes, no OK": {greeting, fromClient(1, loginPayload(0, "haproxy\x00\x00")), {session.FromClient, quit}},
	} {
		for _, first := range []session.Direction{session.FromServer, session.FromClient} {
			w := newWatch(another())
			w.say(said...)
			w.End(first, cause.StreamEOF, nil, w.now+time.Millisecond)
			w.End(1-first, cause.StreamReset, nil, w.now+time.Millisecond)
			for _, f := range w.Take() {
				t.Errorf("%s, %s ends first: %s", name, first, f.Diagnose().Explanation)
			}
		}
	}
	// Numbered as a part of the login, it is one: the request for a public key.
	w := newWatch(another())
	w.say(greeting, fromClient(1, loginPayload(0, "user\x00\x00")), fromServer(2, []byte{1, 4}), fromClient(3, []byte{2}))
	w.End(session.FromClient, cause.StreamEOF, nil, w.now+time.Millisecond)
	f := only(t, w.Conversation)
	if d := f.Diagnose(); d.Slug != "client_left" {
		t.Errorf("%s: %s", d.Slug, d.Explanation)
	}
}
