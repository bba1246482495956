package proxy

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// TestCommandBehindTheEnd: a command that comes when its connection has been found idle
// and is being ended does not reach the server. Nobody would get its answer.
func TestCommandBehindTheEnd(t *testing.T) {
	seen := make(chan string, 1)
	server := mysqltest.Accept(t, func(c net.Conn) {
		if letIn(c) {
			seen <- readAll(c).got
		}
	}).Addr().String()
	p, addr := startProxy(t, Config{Server: server})
	c := dialLogin(t, addr)
	eventually(t, func() bool { return p.list()[0].idle() }, "never idle")
	s := p.list()[0]
	s.mu.Lock()
	l := s.link.loop
	s.mu.Unlock()
	stopped, release := make(chan struct{}), make(chan struct{})
	l.do(func() { close(stopped); <-release })
	<-stopped
	p.endIdle()
	_, _ = c.Write(pingPacket)
	close(release) // the loop meets the command first, and the end behind it
	if got := <-seen; got != "" {
		t.Errorf("the server got %q", got)
	}
	_ = c.Close()
	if s.bytes(session.FromClient, pingPacket) {
		t.Error("bytes pass behind the end")
	}
}

// TestResetWhileWriting: a client that cuts its connection while the answer is written
// to it is cut off for the server, too.
func TestResetWhileWriting(t *testing.T) {
	const size = 24 << 10 // less than is read at once, and more than the kernel takes
	seen := make(chan ending, 1)
	server := mysqltest.Accept(t, func(c net.Conn) {
		if !letIn(c) {
			return
		}
		_, _ = io.ReadFull(c, make([]byte, len(pingPacket)))
		_, _ = io.WriteString(c, strings.Repeat("x", size))
		seen <- readAll(c)
	}).Addr().String()
	for _, how := range []string{"loops", "goroutines"} {
		t.Run(how, func(t *testing.T) {
			p, c := narrow(t, server, how == "goroutines")
			_, _ = c.Write(pingPacket)
			s := p.list()[0]
			eventually(t, func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.talk.State().Received >= size
			}, "the answer does not come")
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
			if e := <-seen; !e.reset || e.got != "" {
				t.Errorf("the server saw %+v", e)
			}
		})
	}
}
