package conversation

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

const credential = "a credential of twenty b"

// loginBytes is a login with connection attributes.
func loginBytes(attrs ...string) []byte {
	b := []byte("shop\x00")
	b = mysqltest.AppendLenEncString(b, credential)
	b = append(b, "orders\x00caching_sha2_password\x00"...)
	var list []byte
	for _, a := range attrs {
		list = mysqltest.AppendLenEncString(list, a)
	}
	b = mysqltest.AppendLenEncString(b, string(list))
	return loginPayload(0, string(b))
}

var pymysql = []string{
	"_client_name", "pymysql", "_client_version", "1.0.2", "_pid", "4711", "program_name", "billing", "x", strings.Repeat("y", 600),
}

// Another client is known by its login, and its credential is forgotten.
func TestClientOfLogin(t *testing.T) {
	want := cause.Client{Address: "10.0.0.7:4711", User: "shop", Database: "orders", Name: "pymysql", Version: "1.0.2", Program: "billing"}
	greeting := fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{}))
	login := fromClient(1, loginBytes(pymysql...))
	rest := join([]segment{fromServer(2, mysqltest.OKPayload(0, 0, 2, 0))}, selectOne())
	for n := 1; n <= len(login.bytes); n++ {
		w := newWatch(another())
		w.say(greeting, segment{session.FromClient, login.bytes[:n]})
		w.say(segment{session.FromClient, login.bytes[n:]})
		if s := w.State(); s.Client != want || w.x.tap.buf != nil {
			t.Fatalf("cut at %d: %+v", n, s.Client)
		}
		w.say(rest...)
		fine(t, w.Conversation)
		if !w.Idle() {
			t.Fatal(w.Phase())
		}
	}
	// What is known already stays, and goes into evidence.
	cfg := another()
	cfg.Client.User = "by the proxy"
	w := newWatch(cfg)
	w.say(greeting, login, fromServer(7, mysqltest.OKPayload(0, 0, 2, 0)))
	want.User = "by the proxy"
	if f := only(t, w.Conversation); f.Evidence.Client != want || f.Evidence.Vantage != cause.VantageProxy {
		t.Errorf("%+v from %s", f.Evidence.Client, f.Evidence.Vantage)
	}
	if all := fmt.Sprintf("%+v %+v", w.x, w.packets); strings.Contains(all, credential) {
		t.Error("the credential is kept")
	}
	// This process's own login is not looked at.
	c := newWatch(Config{})
	c.say(greeting, login)
	if s := c.State(); s.Client != (cause.Client{}) {
		t.Errorf("%+v", s.Client)
	}
}

// A login that comes byte by byte lies in one place, so that all of it is erased.
func TestLoginLiesInOnePlace(t *testing.T) {
	w := newWatch(another())
	w.say(fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{})))
	login := fromClient(1, loginBytes(pymysql...)).bytes
	var place *byte
	for i, b := range login {
		w.say(segment{session.FromClient, []byte{b}})
		buf := w.x.tap.buf
		switch {
		case i < wire.HeaderLen || buf == nil:
		case place == nil:
			place = &buf[:1][0]
		case place != &buf[:1][0]:
			t.Fatalf("byte %d has moved what came before it, and left a copy", i)
		}
	}
	if place == nil || w.State().Client.User != "shop" {
		t.Errorf("the login was not read: %+v", w.State().Client)
	}
}

// A login that is cut short or lies about a length says what it says up to there.
func TestBrokenLogins(t *testing.T) {
	whole := loginBytes(pymysql[:8]...)
	greeting := fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{}))
	for n := range whole {
		w := newWatch(another())
		w.say(greeting, fromClient(1, whole[:n]))
		c := w.State().Client
		if w.Counts().Panics != 0 || w.x.tap.buf != nil {
			t.Fatalf("%d bytes: %+v", n, w.Counts())
		}
		if n > 37 && c.User != "shop" || strings.Contains(fmt.Sprint(c), credential[:8]) {
			t.Errorf("%d bytes: %+v", n, c)
		}
	}
	for i := range whole {
		for _, v := range []byte{0, 0xfb, 0xfc, 0xfd, 0xfe, 0xff} {
			b := bytes.Clone(whole)
			b[i] = v
			w := newWatch(another())
			w.say(greeting, fromClient(1, b))
			if w.Counts().Panics != 0 || w.x.tap.buf != nil {
				t.Fatalf("byte %d is %d: %+v", i, v, w.Counts())
			}
		}
	}
	// One that is longer than what is kept of it.
	w := newWatch(another())
	w.say(greeting, fromClient(1, loginBytes(append(pymysql[:8:8], "x", strings.Repeat("y", 20_000))...)), fromServer(2, mysqltest.OKPayload(0, 0, 2, 0)))
	if c := w.State().Client; c.Name != "pymysql" || w.Phase() != session.PhaseReady {
		t.Errorf("%+v, %s", c, w.Phase())
	}
	w.say(selectOne()...)
	fine(t, w.Conversation)
}

// A login inside TLS is read as well.
func TestClientInTLS(t *testing.T) {
	for name, version := range versions {
		all, keyLog := overTLS(t, version)
		w := newWatch(late())
		w.say(all...)
		if c := w.State().Client; c.User != "" {
			t.Errorf("%s: %+v before the secrets", name, c)
		}
		w.Secrets(keyLog, w.now)
		if c := w.State().Client; c.User != "user" {
			t.Errorf("%s: %+v", name, c)
		}
		fine(t, w.Conversation)
	}
}

// COM_CHANGE_USER: reports are about the user that the server agreed on last.
func TestChangeUser(t *testing.T) {
	change := func(user string) segment {
		return fromClient(0, []byte("\x11"+user+"\x00\x14"+credential[:20]+"shop\x00"))
	}
	agreed := []segment{
		fromServer(1, []byte("\xfemysql_native_password\x0001234567890123456789\x00")), fromClient(2, []byte(credential[:20])),
		fromServer(3, mysqltest.OKPayload(0, 0, 2, 0)),
	}
	refused := []segment{fromServer(1, mysqltest.ERRPayload(1045, "28000", "Access denied"))}
	long := strings.Repeat("u", 40)
	for _, tt := range []struct {
		name string
		said []segment
		user string
		db   string
	}{
		{"agreed", join([]segment{change("audit")}, agreed, selectOne()), "audit", ""},
		{"in one step", []segment{change("audit"), fromServer(1, mysqltest.OKPayload(0, 0, 2, 0))}, "audit", ""},
		{"twice", join([]segment{change("audit")}, agreed, []segment{change("shop")}, agreed), "shop", ""},
		{"under way", []segment{change("audit"), agreed[0]}, "shop", "orders"},
		{"refused", join([]segment{change("audit")}, refused), "shop", "orders"},
		{"a long name", join([]segment{change(long)}, agreed), long[:31] + "…", ""},
		{"nobody", join([]segment{change("")}, agreed), "", ""},
	} {
		w := newWatch(another())
		w.say(named("PyMySQL")...)
		w.say(tt.said...)
		fine(t, w.Conversation)
		if c := w.State().Client; c.User != tt.user || c.Database != tt.db || c.Name != "PyMySQL" {
			t.Errorf("%s: %+v", tt.name, c)
		}
		if strings.Contains(fmt.Sprintf("%+v", w.x), credential[:8]) {
			t.Errorf("%s: the credential is kept", tt.name)
		}
	}
	// A report behind it names the new one.
	w := newWatch(another())
	w.say(join(named("PyMySQL"), []segment{change("audit")}, agreed, []segment{query("SELECT 1"), fromServer(7, mysqltest.OKPayload(0, 0, 2, 0))})...)
	if f := only(t, w.Conversation); f.Evidence.Client.User != "audit" {
		t.Errorf("%+v", f.Evidence.Client)
	}
}
