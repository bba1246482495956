package capture

// LinkType is what a frame begins with: https://www.tcpdump.org/linktypes.html
type LinkType uint16

// The link types that are read.
const (
	LinkNull     LinkType = 0 // BSD loopback: a protocol family in the byte order of the host
	LinkEthernet LinkType = 1
	LinkRawBSD   LinkType = 12
	LinkRawOpen  LinkType = 14
	LinkRaw      LinkType = 101
	LinkLoop     LinkType = 108 // OpenBSD loopback: the same in network byte order
	LinkSLL      LinkType = 113 // Linux "any", v1
	LinkIPv4     LinkType = 228
	LinkIPv6     LinkType = 229
	LinkSLL2     LinkType = 276 // Linux "any", v2
)

func (l LinkType) known() bool {
	switch l {
	case LinkNull, LinkEthernet, LinkRawBSD, LinkRawOpen, LinkRaw, LinkLoop, LinkSLL, LinkIPv4, LinkIPv6, LinkSLL2:
		return true
	}
	return false
}

// network returns the EtherType of what a frame carries, 0 if it is nothing to
// read, and the frame behind the header of the link.
func (l LinkType) network(b []byte) (uint16, []byte) {
	var kind uint16
	switch l {
	case LinkEthernet:
		if len(b) < 14 {
			return 0, nil
		}
		kind, b = u16(b[12:]), b[14:]
	case LinkSLL:
		if len(b) < 16 {
			return 0, nil
		}
		kind, b = u16(b[14:]), b[16:]
	case LinkSLL2:
		if len(b) < 20 {
			return 0, nil
		}
		kind, b = u16(b), b[20:]
	case LinkNull, LinkLoop:
		if len(b) < 4 {
			return 0, nil
		}
		b = b[4:] // the families' numbers differ by system; the packet says its version itself
		kind = version(b)
	default:
		kind = version(b)
	}
	for range 4 {
		if kind != etherVLAN && kind != etherQinQ && kind != etherQinQ2 || len(b) < 4 {
			break
		}
		kind, b = u16(b[2:]), b[4:]
	}
	return kind, b
}

func version(b []byte) uint16 {
	if len(b) > 0 {
		switch b[0] >> 4 {
		case 4:
			return etherIPv4
		case 6:
			return etherIPv6
		}
	}
	return 0
}
