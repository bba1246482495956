package conversation

import (
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Where packets are not seen, the size of the command that is out is what was written since
// the server spoke last, and not all that was ever written.
func TestSizeOfACommandThatIsNotSeen(t *testing.T) {
	c := New(Config{FirstOnly: true})
	now := time.Duration(0)
	say := func(dir session.Direction, n int) {
		now += time.Millisecond
		c.Bytes(dir, make([]byte, n), now)
	}
	for _, s := range plainLogin() {
		now += time.Millisecond
		c.Bytes(s.dir, s.bytes, now)
	}
	c.Opaque("for the test", now)
	for range 100 {
		say(session.FromClient, 20_000)
		say(session.FromServer, 100)
	}
	say(session.FromClient, 10)
	say(session.FromClient, 30)
	c.EndAwaited(cause.StreamEOF, nil, now+time.Millisecond)
	if f := only(t, c); f.Evidence.CommandBytes != 40 || f.Evidence.Large() {
		t.Errorf("%d bytes, large: %v; want 40", f.Evidence.CommandBytes, f.Evidence.Large())
	}
}
