package proxyproto

import (
	"net/netip"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for _, c := range []struct{ source, destination string }{
		{"10.0.0.7:4711", "10.0.0.9:3306"},
		{"[2001:db8::7]:4711", "[2001:db8::9]:3306"},
		{"10.0.0.7:1", "[2001:db8::9]:65535"},
	} {
		for _, version := range []int{1, 2} {
			s, d := netip.MustParseAddrPort(c.source), netip.MustParseAddrPort(c.destination)
			b := Append(nil, version, s, d)
			for i := range b {
				if _, _, v := Parse(b[:i]); v != Unsure {
					t.Errorf("v%d: %d of %d bytes: %d", version, i, len(b), v)
				}
			}
			n, got, v := Parse(append(b, "what follows"...))
			if v != Yes || n != len(b) || got.Addr().Unmap() != s.Addr() || got.Port() != s.Port() {
				t.Errorf("v%d %q: %d %v %d", version, b, n, got, v)
			}
		}
	}
	if got := string(Append(nil, 1, netip.MustParseAddrPort("10.0.0.7:4711"), netip.MustParseAddrPort("10.0.0.9:3306"))); got != "PROXY TCP4 10.0.0.7 10.0.0.9 4711 3306\r\n" {
		t.Errorf("%q", got)
	}
}

func TestUnknown(t *testing.T) {
	for _, version := range []int{1, 2} {
		n, s, v := Parse(Append(nil, version, netip.AddrPort{}, netip.AddrPort{}))
		if v != Yes || n == 0 || s.IsValid() {
			t.Errorf("v%d: %d %v %d", version, n, s, v)
		}
	}
	for _, b := range []string{"\x20\x00\x00\x01\x85", "GET / HTTP/1.1\r\n", "PROXY " + string(make([]byte, 200)), "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"} {
		if _, _, v := Parse([]byte(b)); v != No {
			t.Errorf("%q: %d", b, v)
		}
	}
}
