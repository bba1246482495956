package proxy

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/proxyproto"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func headerOf(version int) []byte {
	return proxyproto.Append(nil, version, netip.MustParseAddrPort("10.1.2.3:4711"), netip.MustParseAddrPort("10.1.2.4:3306"))
}

// TestHeaderInFront: a PROXY protocol header of something in front says whose connection
// it is, in however many pieces it comes, and also if the server has greeted before.
func TestHeaderInFront(t *testing.T) {
	for version := 1; version <= 2; version++ {
		h := headerOf(version)
		server := mysqltest.Accept(t, func(c net.Conn) {
			_, _ = c.Write(greetingPacket) // it waits for no header, as MariaDB
			if _, err := io.ReadFull(c, make([]byte, len(h)+len(loginPacket))); err != nil {
				return
			}
			_, _ = c.Write(okPacket)
			_, _ = io.Copy(io.Discard, c)
		}).Addr().String()
		for _, greeted := range []bool{false, true} {
			p, addr := startProxy(t, Config{Server: server, OnReport: func(v *report.Violation) { t.Errorf("reported: %s", v.Line()) }})
			for cut := range len(h) {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				greet := func() {
					if _, err := io.ReadFull(c, make([]byte, len(greetingPacket))); err != nil {
						t.Error(err)
					}
				}
				if greeted {
					greet()
				}
				_, _ = c.Write(h[:cut])
				if cut > 0 {
					eventually(t, func() bool {
						list := p.list()
						if len(list) == 0 {
							return false
						}
						s := list[0]
						s.mu.Lock()
						defer s.mu.Unlock()
						return len(s.head) == cut
					}, "the first piece does not come")
				}
				_, _ = c.Write(h[cut:])
				if !greeted {
					greet()
				}
				_, _ = c.Write(loginPacket)
				if _, err := io.ReadFull(c, make([]byte, len(okPacket))); err != nil {
					t.Fatal(err)
				}
				list := p.look().List
				if len(list) != 1 || list[0].Client != "10.1.2.3:4711" || list[0].User != "shop" || list[0].Phase != "ready" {
					t.Errorf("version %d, %d bytes first, greeted %t: %+v", version, cut, greeted, list)
				}
				_, _ = c.Write(mysqltest.Packet(0, []byte{1}))
				_ = c.Close()
				eventually(t, func() bool { return p.open() == 0 }, "it stays")
			}
		}
	}
}

// TestTurnBehindHeader: the request for TLS is found behind a header, in any pieces.
func TestTurnBehindHeader(t *testing.T) {
	request := mysqltest.Packet(1, append([]byte{0, 0x0a}, make([]byte, 30)...))
	for version := 0; version <= 2; version++ {
		var front []byte
		if version > 0 {
			front = headerOf(version)
		}
		said := append(append(front, request...), "hello"...)
		due := len(said) - len("hello")
		for cut := range len(said) {
			u := &turn{}
			n, turns := u.first(said[:cut])
			if !turns && cut < due {
				var m int
				m, turns = u.first(said[cut:])
				n += m
			}
			more := string(u.more)
			if cut >= due {
				more += string(said[cut:])
			}
			if !turns || !u.asked || n != due || more != "hello" {
				t.Errorf("version %d, cut at %d: turns %t, %d bytes pass of %d, then %q", version, cut, turns, n, due, more)
			}
		}
	}
}

// TestOwnHeaderRefused: MySQL takes the header for a login with a wrong number. Who asked this
// proxy for it need not look for a balancer.
func TestOwnHeaderRefused(t *testing.T) {
	refusal := mysqltest.Packet(1, []byte("\xff\x84\x04#08S01Got packets out of order"))
	server := mysqltest.Accept(t, func(c net.Conn) {
		_, _ = c.Write(greetingPacket)
		_, _ = io.ReadFull(c, make([]byte, len("PROXY")))
		_, _ = c.Write(refusal)
		_, _ = io.Copy(io.Discard, c) // a reset would overtake it
	}).Addr().String()
	for header, own := range map[int]bool{1: true, 0: false} {
		var r reports
		_, addr := startProxy(t, Config{Server: server, Header: header, OnReport: r.add})
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if !own {
			_, _ = c.Write(headerOf(1)) // of something in front
		}
		if _, err := io.ReadFull(c, make([]byte, len(greetingPacket)+len(refusal))); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		eventually(t, func() bool { return len(r.slugs()) > 0 }, "nothing is told")
		if v := r.list[0]; v.Cause.Slug != "proxy_header_refused" || strings.Contains(v.Cause.Advice, "without -proxy-protocol 1") != own {
			t.Errorf("header %d: %s", header, v.Line())
		}
	}
}
