package wrapconn

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/testimony"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// sockets returns the two ends of a TCP connection.
func sockets(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}

func (c *Conn) loginEvidence() cause.Evidence {
	c.mu.Lock()
	defer c.unlock()
	e := c.talk.Evidence(c.now())
	c.evidence(&e)
	return e
}

// tick is more than the kernel's clock is coarse.
const tick = 20 * time.Millisecond

// TestGreetingUnread: the server waits from the moment in which its greeting came, and
// not from that in which it was read.
func TestGreetingUnread(t *testing.T) {
	greeting := loginSegments()[0].bytes
	late := func() { <-time.After(3 * noticeable) } // the delay is what this is about
	for _, tt := range []struct {
		name string
		run  func(send, made, read func())
		lay  bool
	}{
		{"the dial returns late", func(send, made, read func()) { send(); late(); made(); read() }, true},
		{"the read returns late", func(send, made, read func()) { made(); send(); late(); read() }, true},
		{"the greeting comes late", func(send, made, read func()) {
			made()
			go func() { late(); send() }()
			read()
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inner, server := sockets(t)
			if a := testimony.Arrived(socketOf(inner)); !a.Known {
				t.Skip("NOT TESTED: the kernel does not tell when something came. It takes Linux")
			}
			dialing := Dialing()
			var c *Conn
			began := make(chan time.Time, 1)
			tt.run(
				func() {
					began <- time.Now()
					if _, err := server.Write(greeting); err != nil {
						t.Error(err)
					}
				},
				func() { c = New(inner, Options{Dialing: dialing}) },
				func() {
					if _, err := io.ReadFull(c.NetConn(), make([]byte, len(greeting))); err != nil {
						t.Fatal(err)
					}
				})
			e := c.loginEvidence()
			most := time.Since(<-began) + tick
			if !e.GreetingTimed || e.GreetingLay > most || e.OwnPause < e.GreetingLay {
				t.Errorf("sent %v ago: timed %t, unread for %v, pause %v", most, e.GreetingTimed, e.GreetingLay, e.OwnPause)
			}
			if tt.lay && e.GreetingLay < 2*noticeable {
				t.Errorf("unread for %v", e.GreetingLay)
			}
			if took := c.start.Sub(dialing); took >= noticeable && e.DialTook != took || took < noticeable && e.DialTook != 0 {
				t.Errorf("the dial took %v, said %v", took, e.DialTook)
			}
		})
	}
	c := New(&queueConn{}, Options{})
	if e := c.loginEvidence(); e.GreetingTimed || e.DialTook != 0 {
		t.Errorf("of a connection that is no socket: %+v", e)
	}
}

// slowWriter is what a dial function may put around a socket.
type slowWriter struct {
	net.Conn
	fails bool
}

func (w slowWriter) Write(p []byte) (int, error) {
	<-time.After(3 * noticeable)
	if w.fails {
		return 0, errors.New("it has had enough")
	}
	return w.Conn.Write(p)
}

// TestSlowWriteOfTheLogin: a login is sent when the Write of it is over.
func TestSlowWriteOfTheLogin(t *testing.T) {
	for _, fails := range []bool{false, true} {
		inner, server := sockets(t)
		c := New(slowWriter{inner, fails}, Options{})
		segments := loginSegments()
		if _, err := server.Write(segments[0].bytes); err != nil {
			t.Fatal(err)
		}
		nc := c.NetConn()
		if _, err := io.ReadFull(nc, make([]byte, len(segments[0].bytes))); err != nil {
			t.Fatal(err)
		}
		if n, err := nc.Write(segments[1].bytes); (err != nil) != fails || !fails && n != len(segments[1].bytes) {
			t.Fatalf("%d, %v", n, err)
		}
		e := c.loginEvidence()
		if fails {
			e = c.Err().Evidence
		}
		if e.WriteTook < 2*noticeable || e.OwnPause < e.WriteTook {
			t.Errorf("the write took %v, pause %v", e.WriteTook, e.OwnPause)
		}
		if sent := e.LoginAfter >= e.WriteTook; sent == fails {
			t.Errorf("fails %t: sent %v after the greeting", fails, e.LoginAfter)
		}
	}
}
