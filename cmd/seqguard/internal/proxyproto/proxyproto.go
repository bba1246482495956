// Package proxyproto reads and writes the header of the PROXY protocol, by which a
// proxy tells a server whose connection it passes on.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Verdict is whether bytes are a header.
type Verdict uint8

const (
	No Verdict = iota
	Yes
	Unsure // they may become one
)

var (
	signature = []byte("\r\n\r\n\x00\r\nQUIT\n")
	word      = []byte("PROXY ")
)

const (
	maxText   = 107 // of version 1, with CR and LF
	maxBinary = 536 // as much as the specification wants every receiver to take
)

// Parse recognises a header in a client's first bytes: how long it is, and whose
// connection it says it is (not valid if it does not say).
func Parse(b []byte) (n int, source netip.AddrPort, v Verdict) {
	switch {
	case bytes.HasPrefix(b, signature):
		return parseBinary(b)
	case bytes.HasPrefix(b, word):
		i := bytes.Index(b[:min(len(b), maxText)], []byte("\r\n"))
		if i < 0 {
			if len(b) >= maxText {
				return 0, source, No
			}
			return 0, source, Unsure
		}
		if f := bytes.Fields(b[:i]); len(f) == 6 {
			if s, err := netip.ParseAddrPort(hostPort(f[2], f[4])); err == nil {
				source = s
			}
		}
		return i + 2, source, Yes
	case len(b) < len(word) && bytes.HasPrefix(word, b), len(b) < len(signature) && bytes.HasPrefix(signature, b):
		return 0, source, Unsure
	}
	return 0, source, No
}

func hostPort(host, port []byte) string {
	if bytes.IndexByte(host, ':') >= 0 {
		return "[" + string(host) + "]:" + string(port)
	}
	return string(host) + ":" + string(port)
}

func parseBinary(b []byte) (n int, source netip.AddrPort, v Verdict) {
	if len(b) < 16 {
		return 0, source, Unsure
	}
	n = 16 + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case n > maxBinary:
		return 0, source, No
	case len(b) < n:
		return 0, source, Unsure
	case b[12] == 0x21 && b[13]>>4 == 1 && n >= 28:
		source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:])), binary.BigEndian.Uint16(b[24:]))
	case b[12] == 0x21 && b[13]>>4 == 2 && n >= 52:
		source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[16:])), binary.BigEndian.Uint16(b[48:]))
	}
	return n, source, Yes
}

// Append appends a header of version 1 or 2. Addresses that are no IP addresses, as
// of a Unix socket, make it say that nothing is known.
func Append(b []byte, version int, source, destination netip.AddrPort) []byte {
	s, d := source.Addr().Unmap(), destination.Addr().Unmap()
	if s.IsValid() && d.IsValid() && s.Is4() != d.Is4() { // one is written as the other
		s, d = netip.AddrFrom16(s.As16()), netip.AddrFrom16(d.As16())
	}
	known := s.IsValid() && d.IsValid()
	if version == 1 {
		if !known {
			return append(b, "PROXY UNKNOWN\r\n"...)
		}
		family := "TCP6"
		if s.Is4() {
			family = "TCP4"
		}
		return fmt.Appendf(b, "PROXY %s %s %s %d %d\r\n", family, s.WithZone(""), d.WithZone(""), source.Port(), destination.Port())
	}
	b = append(b, signature...)
	if !known {
		return append(b, 0x20, 0, 0, 0) // LOCAL
	}
	if s.Is4() {
		b = append(b, 0x21, 0x11, 0, 12)
	} else {
		b = append(b, 0x21, 0x21, 0, 36)
	}
	b = append(append(b, s.AsSlice()...), d.AsSlice()...)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, source.Port()), destination.Port())
}
