package wire

import (
	"io"
)

// PeekLen is the scratch space that PeekFrames can use.
const PeekLen = HeaderLen + LongPrefixLen

// PeekStatus says how much PeekFrames found.
type PeekStatus uint8

const (
	PeekIncomplete PeekStatus = iota // no whole packet header
	PeekHeader                       // a packet header, but not all of the prefix
	PeekPacket                       // a packet header and the prefix
	PeekCorrupt                      // a frame whose body cannot be inflated
)

func (s PeekStatus) String() string {
	switch s {
	case PeekIncomplete:
		return "incomplete"
	case PeekHeader:
		return "header"
	case PeekPacket:
		return "packet"
	case PeekCorrupt:
		return "corrupt"
	}
	return "unknown"
}

// Peeked is the first packet of bytes that were peeked at.
type Peeked struct {
	Frame   FrameHeader // the first frame, if there were bytes enough
	Packet  Header
	Prefix  []byte     // as in Handler.Packet, in the caller's scratch
	Corrupt Corruption // with PeekCorrupt
}

// PeekFrames tells what packet comes next on a compressed connection, given
// bytes that were read without taking them out of the socket. The bytes begin
// between two packets, and may end anywhere. It keeps no state, and what it
// finds goes through an Inflater later all the same.
//
// The packet's bytes are put into scratch, of which PeekLen bytes are useful.
// The checksum of a body is not looked at unless the packet reaches its end.
func PeekFrames(b, scratch []byte) (p Peeked, s PeekStatus) {
	inner := scratch[:0:min(len(scratch), PeekLen)]
	for first := true; len(b) >= frameHeaderLen; first = false {
		h := parseFrameHeader(b)
		if first {
			p.Frame = h
		}
		b = b[frameHeaderLen:]
		body := b[:min(int(h.Length), len(b))]
		b = b[len(body):]
		whole := len(body) == int(h.Length)

		if h.Inflated == 0 {
			n := min(len(body), cap(inner)-len(inner))
			inner = append(inner, body[:n]...)
		} else if inner, p.Corrupt = appendInflated(inner, body, int(h.Inflated), whole); p.Corrupt != CorruptNone {
			return p, PeekCorrupt
		}
		if p.Packet, p.Prefix, s = firstPacket(inner); s == PeekPacket || len(inner) == cap(inner) || !whole {
			return p, s
		}
	}
	return p, s
}

// appendInflated inflates a body, or the beginning of one, until dst is full.
func appendInflated(dst, body []byte, inflated int, whole bool) ([]byte, Corruption) {
	u, err := openUnzipper(body)
	defer u.close()
	room := min(cap(dst)-len(dst), inflated)
	for err == nil && room > 0 {
		var n int
		n, err = u.z.Read(dst[len(dst) : len(dst)+room])
		dst, room = dst[:len(dst)+n], room-n
	}
	switch {
	case err == nil, room == 0 && err == io.EOF, err == io.ErrUnexpectedEOF && !whole:
		return dst, CorruptNone
	case err == io.EOF:
		return dst, CorruptShort
	}
	return dst, corruptionOf(err, body)
}

// firstPacket finds what a Handler would be told of the packet that b begins
// with.
func firstPacket(b []byte) (h Header, prefix []byte, s PeekStatus) {
	if len(b) < HeaderLen {
		return h, nil, PeekIncomplete
	}
	h = Header{Length: uint24(b), Seq: b[3]}
	prefix = b[HeaderLen:]
	want := new(Reader).prefixOf(h, prefix)
	if len(prefix) < want {
		return h, prefix, PeekHeader
	}
	return h, prefix[:want], PeekPacket
}
