package wrapconn

import (
	"io"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Who has not looked into the socket does not know that it was open: not at the last command, of a connection that ended at
// some time since its last byte, and not now, for a report about another one.
func TestNoLook(t *testing.T) {
	for _, noPeek := range []bool{false, true} {
		c, nc, _ := loggedInOver(t)
		c.opts.NoPeek = noPeek
		if _, idle, _ := c.alive(); idle == noPeek {
			t.Errorf("NoPeek %t: found open %t", noPeek, idle)
		}
		quiet := c.now()
		<-time.After(time.Millisecond) // or two readings of the clock may be the same
		command := c.now()
		if _, err := nc.Write(fromClient(0, []byte{byte(session.ComPing)}).bytes); err != nil {
			t.Fatal(err)
		}
		met := c.tellTalk(func(now time.Duration) { c.talk.EndAwaited(cause.StreamEOF, io.EOF, now) })
		if len(met) != 1 {
			t.Fatalf("NoPeek %t: %d reports", noPeek, len(met))
		}
		switch e := &met[0].Evidence; {
		case noPeek && e.EndWindow < e.Age-quiet:
			t.Errorf("nobody looked: it ended within the last %v of %v since its last byte", e.EndWindow, e.Age-quiet)
		case !noPeek && e.EndWindow > e.Age-command:
			t.Errorf("found open %v ago: it ended within the last %v", e.Age-command, e.EndWindow)
		}
	}
}
