package proxy

import (
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestKilledEvents: a stream of binlog events that the server ends is reported,
// unless its reader has asked for that: go-mysql stops by KILL, from another
// connection.
func TestKilledEvents(t *testing.T) {
	for _, tt := range []struct {
		kill uint32
		want string
	}{
		{1, "[]"}, {2, "[connection_lost_mid_answer]"}, // the greetings say 1
	} {
		var r reports
		killed := make(chan struct{})
		server := mysqltest.Accept(t, func(c net.Conn) {
			if !letIn(c) {
				return
			}
			command := make([]byte, 64)
			if n, _ := c.Read(command); n > 4 && command[4] == 0x12 {
				_, _ = c.Write(mysqltest.Packet(1, []byte("\x00an event")))
				<-killed
				return // it closes
			}
			_, _ = c.Write(mysqltest.Packet(1, mysqltest.OKPayload(0, 0, 2, 0)))
			close(killed)
			_, _ = io.Copy(io.Discard, c)
		})
		t.Run(fmt.Sprint("KILL ", tt.kill), func(t *testing.T) {
			_, addr := startProxy(t, Config{Server: server.Addr().String(), OnReport: r.add})
			dump := dialLogin(t, addr)
			_, _ = dump.Write(mysqltest.Packet(0, []byte("\x12\x04\x00\x00\x00\x00\x00\x01\x00\x00\x00")))
			if _, err := io.ReadFull(dump, make([]byte, 4+len("\x00an event"))); err != nil {
				t.Fatal(err)
			}
			other := dialLogin(t, addr)
			_, _ = other.Write(mysqltest.Packet(0, fmt.Appendf(nil, "\x03KILL %d", tt.kill)))
			if e := readAll(dump); e.got != "" || e.reset {
				t.Errorf("the client reads %q, reset: %t", e.got, e.reset)
			}
			_ = dump.Close()
			_ = other.Close()
		}) // which waits for the proxy to be over
		if got := fmt.Sprint(r.slugs()); got != tt.want {
			t.Errorf("KILL %d: told %s, want %s", tt.kill, got, tt.want)
		}
	}
}
