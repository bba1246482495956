package proxy

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// FuzzPeers: whatever two peers say to each other, each gets what the other said, to
// the last byte, and nothing breaks.
func FuzzPeers(f *testing.F) {
	f.Add([]byte("\x00GET / HTTP/1.1\r\n"), true)
	f.Add(append(append([]byte{byte(len(greetingPacket)) | 0x80}, greetingPacket...), append([]byte{byte(len(loginPacket))}, loginPacket...)...), false)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	p, addr := startProxy(f, Config{Server: l.Addr().String(), Grace: 1})
	f.Fuzz(func(t *testing.T, b []byte, tell bool) {
		client, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ends := [2]net.Conn{client, server}
		var said, got [2][]byte
		var all sync.WaitGroup
		for i, c := range ends {
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			all.Go(func() {
				b, err := io.ReadAll(c)
				if err != nil {
					t.Error(err)
				}
				got[i] = b
			})
		}
		for len(b) > 1 { // a byte for who speaks and how long, then that
			who, n := int(b[0]>>7), min(int(b[0]&0x7f), len(b)-1)
			said[who] = append(said[who], b[1:1+n]...)
			if _, err := ends[who].Write(b[1 : 1+n]); err != nil {
				t.Fatal(err)
			}
			b = b[1+n:]
		}
		if tell {
			_ = p.look()
		}
		for _, c := range ends {
			_ = c.(*net.TCPConn).CloseWrite()
		}
		all.Wait()
		for i, c := range ends {
			_ = c.Close()
			if string(got[i]) != string(said[1-i]) {
				t.Errorf("%d bytes arrived of %d", len(got[i]), len(said[1-i]))
			}
		}
	})
}
