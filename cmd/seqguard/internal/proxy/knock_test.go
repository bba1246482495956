package proxy

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestKnocks: a client that leaves at once without a word is counted; one that has
// said something, or has waited, is told.
func TestKnocks(t *testing.T) {
	for _, tt := range []struct {
		name string
		use  func(c net.Conn)
		told string
	}{
		{"before the greeting", func(net.Conn) {}, ""},
		{"behind the greeting", func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, len(greetingPacket))) }, ""},
		{"after a while", func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, len(greetingPacket)))
			time.Sleep(1100 * time.Millisecond) // longer than a knock
		}, "client_left"},
		{"in its login", func(c net.Conn) { _, _ = c.Write(loginPacket[:20]) }, "client_left"},
		{"behind its login", func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, len(greetingPacket)))
			_, _ = c.Write(loginPacket)
		}, "client_left"},
	} {
		var r reports
		server := mysqltest.Accept(t, func(c net.Conn) { // it lets nobody in
			_, _ = c.Write(greetingPacket)
			_, _ = io.Copy(io.Discard, c)
		}).Addr().String()
		p, addr := startProxy(t, Config{Server: server, OnReport: r.add})
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		tt.use(c)
		_ = c.Close()
		eventually(t, func() bool { return len(r.slugs()) > 0 || p.Counters.Knocks.Load() > 0 }, tt.name+": neither told nor counted")
		told, knocks := r.slugs(), p.Counters.Knocks.Load()
		if tt.told == "" && (len(told) != 0 || knocks != 1) || tt.told != "" && (len(told) != 1 || told[0] != tt.told || knocks != 0) {
			t.Errorf("%s: told %s, %d knocks", tt.name, told, knocks)
		}
	}
}
