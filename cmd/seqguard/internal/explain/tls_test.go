package explain

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
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

// sections makes a pcapng file of a pcap file with times in nanoseconds.
func sections(pcap []byte) []byte {
	le := binary.LittleEndian
	var out []byte
	block := func(kind uint32, body []byte) {
		body = append(body, make([]byte, -len(body)&3)...)
		n := uint32(len(body) + 12)
		out = le.AppendUint32(append(le.AppendUint32(le.AppendUint32(out, kind), n), body...), n)
	}
	block(0x0a0d0d0a, []byte{0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	block(1, []byte{pcap[20], pcap[21], 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0})
	for b := pcap[24:]; len(b) > 0; {
		at, n := uint64(le.Uint32(b))*1e9+uint64(le.Uint32(b[4:])), le.Uint32(b[8:])
		body := le.AppendUint32(le.AppendUint32(make([]byte, 4), uint32(at>>32)), uint32(at))
		body = append(append(body, b[8:16]...), b[16:16+n]...)
		block(6, body)
		b = b[16+n:]
	}
	return out
}

// TestSecretsThatNeverCome: in a pcapng file, or a live capture, secrets may come behind what
// they are for. Where none come, nothing was seen with them.
func TestSecretsThatNeverCome(t *testing.T) {
	s := newScript(t, 3306, atServer)
	s.tls()
	s.send(client, capture.FIN|capture.ACK, nil)
	s.send(server, capture.FIN|capture.ACK, nil)
	open := newScript(t, 3306, atServer) // at the end of the capture
	open.tls()
	for _, file := range [][]byte{s.file(nil), open.file(nil)} {
		for _, c := range []struct {
			file []byte
			live bool
		}{{file, false}, {sections(file), false}, {file, true}} {
			total, out := explained(t, c.file, Options{Live: c.live})
			if total.Connections != 1 || total.Opaque != 1 || total.Violations != 0 || !strings.Contains(out, "TLS, not seen") || strings.Contains(out, "TLS, seen") ||
				!strings.Contains(out, "could not be seen: they are encrypted, and it takes the clients' secrets to see them (-keylog).") {
				t.Errorf("pcapng %t, live %t: %+v\n%s", len(c.file) != len(file), c.live, total, out)
			}
		}
	}
}
