package explain

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/proxy"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// tls is a login and a ping in TLS. It returns how many frames there are up to the
// middle of the handshake, and the client's secrets.
func (s *script) tls() (half int, keys []byte) {
	cert, _, err := proxy.SelfMade("127.0.0.1:1")
	if err != nil {
		s.t.Fatal(err)
	}
	caps := uint32(mysqltest.DefaultCapabilities) | 1<<9 | 1<<11
	head := make([]byte, 32)
	for i := range 4 {
		head[i] = byte(caps >> (8 * i))
	}
	s.say(server, mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{Capabilities: caps})))
	s.say(client, mysqltest.Packet(1, head))

	var mu sync.Mutex // of s
	var log bytes.Buffer
	a, b := net.Pipe()
	sides := [2]*tls.Conn{
		client: tls.Client(&recorded{a, s, client, &mu}, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: &log}),
		server: tls.Server(&recorded{b, s, server, &mu}, &tls.Config{Certificates: []tls.Certificate{*cert}, SessionTicketsDisabled: true}),
	}
	half = len(s.frames) + 2 // the client's hello, and the first of the server
	var both sync.WaitGroup
	for _, c := range sides {
		both.Go(func() {
			if err := c.Handshake(); err != nil {
				s.t.Error(err)
			}
		})
	}
	both.Wait()
	for _, one := range []struct {
		from int
		p    []byte
	}{
		{client, mysqltest.Packet(2, append(head, "shop\x00\x00"...))},
		{server, mysqltest.Packet(3, mysqltest.OKPayload(0, 0, 2, 0))},
		{client, mysqltest.Packet(0, []byte{14})},
		{server, mysqltest.Packet(1, mysqltest.OKPayload(0, 0, 2, 0))},
	} {
		both.Go(func() { _, _ = sides[one.from].Write(one.p) })
		if _, err := io.ReadFull(sides[one.from^1], make([]byte, len(one.p))); err != nil {
			s.t.Fatal(err)
		}
		both.Wait()
	}
	return half, log.Bytes()
}

// recorded writes into a script, too.
type recorded struct {
	net.Conn
	s    *script
	from int
	mu   *sync.Mutex
}

func (r *recorded) Write(p []byte) (int, error) {
	r.mu.Lock()
	r.s.say(r.from, bytes.Clone(p))
	r.mu.Unlock()
	return r.Conn.Write(p)
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Error(err)
	}
}
