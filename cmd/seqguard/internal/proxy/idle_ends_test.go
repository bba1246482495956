package proxy

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
)

// TestIdleEndsTold: several ends within a second are one line, and one alone is none.
func TestIdleEndsTold(t *testing.T) {
	const ms, hour = time.Millisecond, time.Hour
	type end struct {
		at, quiet time.Duration
		inside    bool // a transaction
	}
	for _, c := range []struct {
		name string
		ends []end
		want []string // of each line
		not  string
	}{
		{"one", []end{{0, hour, false}}, nil, ""},
		{"two, far apart", []end{{0, hour, false}, {1500 * ms, hour, false}}, nil, ""},
		{"killed", []end{{0, 2 * time.Second, false}, {200 * ms, hour, true}, {300 * ms, time.Minute, false}},
			[]string{"3 idle connections to db:3306 (of 0 that were open) were ended by the server, or by what is in between, within 300 ms, after 2.0 s to 1h0m0s without traffic, 1 of them within a transaction: a restart, a crash"}, "timeout"},
		{"wait_timeout", []end{{0, hour, false}, {400 * ms, hour + 300*ms, false}},
			[]string{"2 idle connections to db:3306 (of 0 that were open) were ended by the server, or by what is in between, within 400 ms, each after 1h0m0s without traffic: a timeout for idle connections does that, and so does"}, "transaction"},
		{"two times", []end{{0, hour, true}, {0, 1, false}, {5000 * ms, hour, false}, {5100 * ms, hour, false}},
			[]string{"2 idle connections", "2 idle connections"}, "2 of them within"},
	} {
		for _, atEnd := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var lines []string
				p := New(Config{Server: "db:3306", Log: func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }})
				began := time.Now()
				for _, e := range c.ends {
					<-time.After(e.at - time.Since(began))
					p.idleEnd(&conversation.State{InTransaction: e.inside}, e.quiet)
				}
				if atEnd {
					p.Farewell()
					lines = lines[:len(lines)-1]
				}
				<-time.After(2 * idleWindow)
				synctest.Wait()
				if len(lines) != len(c.want) || c.not != "" && strings.Contains(strings.Join(lines, "\n"), c.not) {
					t.Fatalf("%s, at the end %t:\n%s", c.name, atEnd, strings.Join(lines, "\n"))
				}
				for i, line := range lines {
					if !strings.HasPrefix(line, c.want[i]) {
						t.Errorf("%s, at the end %t: %s\nwant %s", c.name, atEnd, line, c.want[i])
					}
				}
				if p.idleEnded() != uint64(len(c.ends)) {
					t.Errorf("%s: %d", c.name, p.idleEnded())
				}
			})
		}
	}
}

// TestIdleEnds: what is the end of an idle connection, and what only looks like it.
func TestIdleEnds(t *testing.T) {
	quit := mysqltest.Packet(0, []byte{1})
	farewell := mysqltest.Packet(0, []byte("\xff\xbf\x0f#HY000The client was disconnected by the server because of inactivity."))
	inside := mysqltest.Packet(2, mysqltest.OKPayload(0, 0, 3, 0))
	for _, c := range []struct {
		name   string
		server func(c net.Conn)           // behind the login, until it closes
		client func(p *Proxy, c net.Conn) // behind the login
		want   int
	}{
		{"killed", nil, nil, 1},
		{"killed with a reset", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, nil, 1},
		{"it has said why", func(c net.Conn) { _, _ = c.Write(farewell) }, nil, 0},
		{"a command is unanswered", func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, len(pingPacket))) },
			func(_ *Proxy, c net.Conn) { _, _ = c.Write(pingPacket) }, 0},
		{"the client says that it leaves, and does", func(c net.Conn) { readAll(c) },
			func(_ *Proxy, c net.Conn) { _, _ = c.Write(quit); _ = c.Close() }, 0},
		{"the client says so, and the server hangs up", func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, len(quit))) },
			func(_ *Proxy, c net.Conn) { _, _ = c.Write(quit) }, 0},
		{"the client leaves", func(c net.Conn) { readAll(c) }, func(_ *Proxy, c net.Conn) { _ = c.Close() }, 0},
		{"the client resets", func(c net.Conn) { readAll(c) },
			func(_ *Proxy, c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() }, 0},
		{"the proxy ends it", func(c net.Conn) { readAll(c) }, func(p *Proxy, _ net.Conn) {
			eventually(t, func() bool { p.endIdle(); return p.open() == 0 }, "it is not idle")
		}, 0},
	} {
		for _, goroutines := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/goroutines=%t", c.name, goroutines), func(t *testing.T) {
				ready := make(chan struct{})
				server := mysqltest.Accept(t, func(s net.Conn) {
					_ = s.SetDeadline(time.Now().Add(time.Minute))
					if !letIn(s) {
						return
					}
					<-ready
					if c.server != nil {
						c.server(s)
					}
				})
				p := New(Config{Server: server.Addr().String()})
				if goroutines {
					p.loops.stop()
				}
				client := dialLogin(t, serve(t, p))
				eventually(t, func() bool { return p.list()[0].idle() }, "never idle")
				if c.client != nil {
					c.client(p, client)
				}
				close(ready)
				_, _ = io.Copy(io.Discard, client)
				_ = client.Close()
				eventually(t, func() bool { return p.open() == 0 }, "it is left")
				if n := p.idleEnded(); n != uint64(c.want) {
					t.Errorf("%d, want %d", n, c.want)
				}
			})
		}
	}
	// So is one within a transaction, which is lost.
	server := mysqltest.Accept(t, func(s net.Conn) {
		_, _ = s.Write(greetingPacket)
		_, _ = io.ReadFull(s, make([]byte, len(loginPacket)))
		_, _ = s.Write(inside)
	})
	p, addr := startProxy(t, Config{Server: server.Addr().String()})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write(loginPacket)
	readAll(c)
	_ = c.Close()
	eventually(t, func() bool { return p.open() == 0 && p.idleEnded() == 1 }, "not counted")
}
