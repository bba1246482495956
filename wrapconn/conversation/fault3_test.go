package conversation

import (
	"errors"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// loggedIn is a conversation behind its login, and a clock that goes on with each call.
func loggedIn(t *testing.T) (c *Conversation, server, client func(seq byte, payload []byte), at func() time.Duration) {
	t.Helper()
	c = New(Config{})
	var now time.Duration
	at = func() time.Duration { now += time.Millisecond; return now }
	server = func(seq byte, p []byte) { c.Bytes(session.FromServer, mysqltest.Packet(seq, p), at()) }
	client = func(seq byte, p []byte) { c.Bytes(session.FromClient, mysqltest.Packet(seq, p), at()) }
	server(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{Capabilities: mysqltest.DefaultCapabilities}))
	login := make([]byte, 40)
	copy(login, []byte{0x05, 0x82, 0, 0, 0, 0, 0, 1, 0x21})
	client(1, login)
	server(2, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0))
	if c.Phase() != session.PhaseReady {
		t.Fatalf("phase %s", c.Phase())
	}
	return c, server, client, at
}

// The client gives up on an answer of which every packet had come: the statement ran, and is not to be run again.
func TestFault3_20GivenUpBehindTheWholeAnswer(t *testing.T) {
	for _, failed := range []bool{false, true} {
		c, server, client, at := loggedIn(t)
		client(0, []byte("\x03INSERT … RETURNING"))
		want := cause.ExecutedYes
		if failed {
			want = cause.ExecutedUnknown
			server(1, mysqltest.ERRPayload(1062, "23000", "Duplicate entry"))
		} else {
			server(1, mysqltest.OKPayload(1, 0, mysqltest.StatusAutocommit, 0))
		}
		c.Malformed(errors.New("the client stumbled"), at())
		found := c.Take()
		if len(found) != 1 {
			t.Fatalf("%d findings", len(found))
		}
		d := found[0].Diagnose()
		if d.Slug != "malformed_packet" || d.Executed != want || d.RetrySafe {
			t.Errorf("%s, executed %s, retry safe %t", d.Slug, d.Executed, d.RetrySafe)
		}
	}
}

// The time in which a read waits for the server is not this side's.
func TestFault3_05WhosePauseItIs(t *testing.T) {
	for _, tt := range []struct {
		name        string
		began, read time.Duration // of the second read
		want        time.Duration
	}{
		{"the server was silent", 110 * time.Millisecond, 1400 * time.Millisecond, 0},
		{"this side was busy, and bytes lay there", 1400 * time.Millisecond, 1400*time.Millisecond + 50*time.Microsecond, 1300 * time.Millisecond},
		{"both", 700 * time.Millisecond, 1400 * time.Millisecond, 0},
	} {
		c, _, client, _ := loggedIn(t)
		client(0, []byte("\x03SELECT 1"))
		c.ReadBegan(50 * time.Millisecond)
		c.Bytes(session.FromServer, mysqltest.Packet(1, []byte{1}), 100*time.Millisecond)
		c.ReadBegan(tt.began)
		c.Bytes(session.FromServer, mysqltest.Packet(2, mysqltest.ColumnPayload(mysqltest.Column{Name: "v"})), tt.read)
		if e := c.Evidence(tt.read); e.LongestReadGap != tt.want {
			t.Errorf("%s: a pause of %v, want %v", tt.name, e.LongestReadGap, tt.want)
		}
	}
}
