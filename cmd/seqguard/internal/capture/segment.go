package capture

import "net/netip"

// Addr is one end of a connection. IPv4 addresses are mapped into IPv6.
type Addr struct {
	IP   [16]byte
	Port uint16
}

// AddrPort is a as package netip has it.
func (a Addr) AddrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.IP).Unmap(), a.Port)
}

// Loopback reports whether a is an address of the machine itself.
func (a Addr) Loopback() bool { return netip.AddrFrom16(a.IP).Unmap().IsLoopback() }

func (a Addr) String() string { return a.AddrPort().String() }

// Flags of a TCP segment.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Segment is a TCP segment. Payload points into the frame.
type Segment struct {
	Src, Dst Addr
	Seq, Ack uint32
	Flags    uint8
	Payload  []byte
	Cut      int // bytes of payload that the capture left out
}

// Result says what a frame was.
type Result uint8

const (
	IsTCP      Result = iota
	NotTCP            // something else, or what cannot be read
	NotRead           // of a link type that is not read
	IsFragment        // a piece of an IP packet: TCP in it cannot be read
)

const (
	protoTCP = 6

	etherIPv4  = 0x0800
	etherIPv6  = 0x86dd
	etherVLAN  = 0x8100
	etherQinQ  = 0x88a8
	etherQinQ2 = 0x9100
)

// Segment finds the TCP segment in a frame.
func (f *Frame) Segment(s *Segment) Result {
	if !f.Link.known() {
		return NotRead
	}
	kind, b := f.Link.network(f.Data)
	switch kind {
	case etherIPv4:
		return s.ipv4(b, f.Cut)
	case etherIPv6:
		return s.ipv6(b, f.Cut)
	}
	return NotTCP
}

func u16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }
func u32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

var mapped = [12]byte{10: 0xff, 11: 0xff}

func (s *Segment) ipv4(b []byte, cut int) Result {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != protoTCP {
		return NotTCP
	}
	header, total := int(b[0]&15)*4, int(u16(b[2:]))
	if header < 20 || header > len(b) {
		return NotTCP
	}
	if u16(b[6:])&0x3fff != 0 { // more fragments, or an offset
		return IsFragment
	}
	*(*[12]byte)(s.Src.IP[:]), *(*[12]byte)(s.Dst.IP[:]) = mapped, mapped
	copy(s.Src.IP[12:], b[12:16])
	copy(s.Dst.IP[12:], b[16:20])
	if total == 0 { // segmentation is left to the network card: longer than the field
		total = len(b) + cut
	}
	return s.tcp(b[header:], total-header)
}

func (s *Segment) ipv6(b []byte, cut int) Result {
	if len(b) < 40 || b[0]>>4 != 6 {
		return NotTCP
	}
	length, next := int(u16(b[4:])), b[6]
	s.Src.IP, s.Dst.IP = [16]byte(b[8:24]), [16]byte(b[24:40])
	b = b[40:]
	if length == 0 {
		length = len(b) + cut
	}
	for range 8 {
		switch next {
		case protoTCP:
			return s.tcp(b, length)
		case 0, 43, 60, 135: // hop-by-hop, routing, destination, mobility
			if len(b) < 8 {
				return NotTCP
			}
			n := int(b[1])*8 + 8
			if n > len(b) {
				return NotTCP
			}
			next, b, length = b[0], b[n:], length-n
		case 51: // authentication
			if len(b) < 8 {
				return NotTCP
			}
			n := int(b[1])*4 + 8
			if n > len(b) {
				return NotTCP
			}
			next, b, length = b[0], b[n:], length-n
		case 44:
			return IsFragment
		default:
			return NotTCP
		}
	}
	return NotTCP
}

// tcp reads the segment in b. length is what the IP header says; a short frame
// of Ethernet has padding behind it.
func (s *Segment) tcp(b []byte, length int) Result {
	if len(b) < 20 {
		return NotTCP
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > length {
		return NotTCP
	}
	s.Src.Port, s.Dst.Port = u16(b), u16(b[2:])
	s.Seq, s.Ack, s.Flags = u32(b[4:]), u32(b[8:]), b[13]
	s.Payload, s.Cut = nil, 0
	n := length - header
	if header < len(b) {
		s.Payload = b[header:min(length, len(b))]
	}
	s.Cut = n - len(s.Payload)
	return IsTCP
}
