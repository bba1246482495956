package wrapconn

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// lingering is a connection whose Close takes its time: until then what is
// written still leaves, and is answered.
type lingering struct {
	net.Conn
	closing, over chan struct{}
}

func (l *lingering) Close() error {
	close(l.closing)
	<-l.over
	return l.Conn.Close()
}

// Close is called by the cancel watcher while the login goes on: what is written
// before the socket is closed may still be answered, and the answer is no
// violation. (The soak met it: an AuthMoreData with id 2 behind a greeting.)
func TestWriteWhileClosing(t *testing.T) {
	segments := loginSegments()
	for cut := range segments {
		a, server := net.Pipe()
		l := &lingering{Conn: a, closing: make(chan struct{}), over: make(chan struct{})}
		told := &reports{}
		c := New(l, Options{Operations: true, OnReport: told.add})
		if _, err := c.Begin(t.Context(), OpConnect); err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		buf := make([]byte, 1<<12)
		for i, s := range segments {
			if i == cut {
				go func() { defer close(closed); _ = c.Close() }()
				<-l.closing
			}
			from, to := net.Conn(c), server
			if s.dir == session.FromServer {
				from, to = server, c
			}
			go func() { _, _ = from.Write(s.bytes) }()
			for n := 0; n < len(s.bytes); {
				m, err := to.Read(buf)
				if err != nil {
					t.Fatalf("closed before segment %d, segment %d: %v", cut, i, err)
				}
				n += m
			}
			for deadline := time.Now().Add(5 * time.Second); c.writing.Load() && time.Now().Before(deadline); {
				runtime.Gosched()
			}
		}
		close(l.over)
		<-closed
		c.End(false)
		_ = server.Close()
		if err := Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := told.all(); len(got) > 0 {
			t.Errorf("closed before segment %d: %s", cut, got[0])
		}
	}
}
