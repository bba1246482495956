package wire

import (
	"encoding/binary"
	"sync"
)

const (
	// HeaderLen is the length of a packet header: three bytes of payload
	// length, least significant first, and the sequence id.
	// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
	HeaderLen = 4

	// MaxPayload is the longest payload of one packet. A packet of exactly
	// this length is continued by the next one.
	MaxPayload = 1<<24 - 1

	// PrefixLen is how many bytes of an ordinary payload are shown to the
	// Handler. 32 is what a login needs (capabilities, maximal packet size,
	// collation, MariaDB's extended capabilities; the user name comes after)
	// and more than the head of an OK packet (at most 1+9+9+2+2).
	PrefixLen = 32

	// LongPrefixLen is how many bytes of an ERR packet are shown, and of any
	// packet after LongPrefix: a code, a SQL state and a message of
	// MYSQL_ERRMSG_SIZE (512) bytes.
	LongPrefixLen = 1 + 2 + 6 + 512

	// MaxGreeting is the length of the longest greeting that is shown whole,
	// after LongPrefix. The version is as long as the server likes.
	MaxGreeting = 8 << 10

	firstERR = 0xFF
	firstEOF = 0xFE

	protocolVersion = 10 // a greeting begins with it
)

// Header is the header of one packet.
type Header struct {
	Length uint32 // payload bytes of this packet, at most MaxPayload
	Seq    uint8
}

// Run is a row of packets without anything to look at: rows of a result.
type Run struct {
	Count       int
	First, Last uint8  // sequence ids; they are contiguous modulo 256
	Bytes       uint64 // payload bytes of all of them
}

// Handler is told about the packets of one direction.
type Handler interface {
	// Packet is called once for each packet, when its header and the wanted
	// part of its payload have been seen. The rest of the payload may still be
	// on its way. prefix is valid during the call only.
	Packet(h Header, prefix []byte)
	// Run is called for packets that passed while SetRun was on.
	Run(r Run)
}

// Reader finds the packets in one direction of an uncompressed stream.
//
// The zero value is not usable: call Init. A Reader allocates nothing, except for
// a long greeting that comes in pieces. Every connection has two Readers, so they
// have room for an ordinary prefix only; an ERR packet that comes in pieces is
// put together in a buffer from a pool.
type Reader struct {
	h Handler

	skip uint32 // payload bytes of the current packet not seen yet and not wanted
	have int    // bytes in buf: the header and then the prefix of a split packet
	need int    // bytes of buf wanted; HeaderLen until the header is complete

	mode    mode  // 0 of most packets
	binary  bool  // the rows of a run are of the binary protocol
	runNext uint8 // the id that the next row must have to count as a run

	buf  [HeaderLen + PrefixLen]byte
	more []byte // in place of buf, for a packet of which more is wanted
}

// mode is what is to be minded beside header and prefix.
type mode uint8

const (
	running  mode = 1 << iota // rows pass: see SetRun
	stopped                   // Stop was called
	noLook                    // NoPrefix
	long                      // LongPrefix
	greeting                  // GreetingPrefix, which is long, too
)

// Init makes r ready for the first byte of a stream.
func (r *Reader) Init(h Handler) {
	r.h, r.need = h, HeaderLen
}

// SetRun switches run mode on or off: while it is on, whole packets with
// contiguous ids that start at next, and that are neither ERR, nor the end of a
// result (first byte 0xFE), nor empty, nor continued, are counted instead of
// handed over one by one. To be called from within Handler.Packet. Whatever
// cannot be counted, a row that came in two pieces for one, goes to
// Handler.Packet, and the counting goes on only when that calls SetRun again. So
// does a row by itself in front of the end.
func (r *Reader) SetRun(on bool, next uint8) {
	r.runNext = next
	if on {
		r.mode |= running
	} else {
		r.mode &^= running
	}
}

// SetBinary says whether rows are of the binary protocol. One of them that does
// not begin with 0x00 is no row, and is not counted in a run.
func (r *Reader) SetBinary(binary bool) { r.binary = binary }

// SetPrefix chooses how much of the payload of coming packets is looked at.
func (r *Reader) SetPrefix(p Prefix) {
	r.mode &^= noLook | long | greeting
	switch p {
	case NoPrefix:
		r.mode |= noLook
	case LongPrefix:
		r.mode |= long
	case GreetingPrefix:
		r.mode |= long | greeting
	}
}

// Prefix says how much of a payload is looked at.
type Prefix uint8

const (
	ShortPrefix    Prefix = iota // PrefixLen bytes, LongPrefixLen of an ERR
	LongPrefix                   // LongPrefixLen bytes
	NoPrefix                     // nothing: the payload may be a credential
	GreetingPrefix               // LongPrefix, and 1 byte of what can be neither a greeting nor an ERR
)

// Stop makes Feed return after the packet that is being handled: what follows
// is not a packet of this stream (TLS or compression starts). To be called from
// within Handler.Packet; the rest of that packet is still taken.
func (r *Reader) Stop() { r.mode |= stopped }

// Missing returns how many bytes of the current packet have not passed yet: 0
// between two packets. While a header is incomplete it counts the header only.
func (r *Reader) Missing() int {
	switch {
	case r.skip > 0:
		return int(r.skip)
	case r.have >= HeaderLen:
		return HeaderLen + int(uint24(r.buf[:])) - r.have
	case r.have > 0:
		return HeaderLen - r.have
	}
	return 0
}

// Partial is what is here of a packet of which too little is here to hand it over, with
// its header. It is valid until the next call.
func (r *Reader) Partial() []byte {
	if r.more != nil {
		return r.more
	}
	return r.buf[:r.have]
}

// Wants implements Sink.
func (r *Reader) Wants() (skip, want int) { return int(r.skip), r.need - r.have }

// Skip implements Sink.
func (r *Reader) Skip(n int) { r.skip -= uint32(n) }

// Feed implements Sink.
func (r *Reader) Feed(b []byte) int {
	if r.skip == 0 {
		r.mode &^= stopped // honoured by the previous call, unless its packet is still passing
	}
	total := len(b)
	for {
		b = r.feedUsual(b)
		if r.skip > 0 {
			n := min(int(r.skip), len(b))
			r.skip -= uint32(n)
			if b = b[n:]; len(b) > 0 && r.mode&stopped == 0 {
				continue
			}
		}
		if r.mode&stopped != 0 && r.skip == 0 {
			return total - len(b)
		}
		if len(b) == 0 {
			return total
		}
		if r.mode&running != 0 && r.have == 0 {
			rest := r.feedRun(b)
			if len(rest) == 0 {
				return total
			}
			if len(rest) < len(b) { // behind the rows, the usual end
				b = rest
				continue
			}
		}
		b = r.feedOne(b)
	}
}

// feedUsual takes packets off the front of b for as long as header and prefix are
// all in b, and nothing else is to be minded. In run mode it takes the end of the
// result, and a row by itself in front of that: for the many results that have one
// row, what counts runs need not come into the processor's caches.
func (r *Reader) feedUsual(b []byte) []byte {
	if r.have > 0 {
		return b
	}
	i := 0
	for r.skip == 0 && i < len(b)-HeaderLen && b[i+HeaderLen] != firstERR {
		head := binary.LittleEndian.Uint32(b[i:])
		h := Header{Length: head & MaxPayload, Seq: uint8(head >> 24)}
		if r.mode != 0 && (r.mode != running || b[i+HeaderLen] != firstEOF && !endsBehind(b[i+HeaderLen:], h)) {
			break
		}
		want := min(int(h.Length), PrefixLen)
		past := i + HeaderLen + want
		if past > len(b) {
			break
		}
		r.skip = h.Length - uint32(want)
		r.h.Packet(h, b[i+HeaderLen:past])
		i = past
	}
	return b[i:]
}

// endsBehind reports whether what comes behind the packet whose payload b begins
// with is in b, too, and looks like the end of rows.
func endsBehind(b []byte, h Header) bool {
	next := int(h.Length) + HeaderLen
	return next < len(b) && b[next] == firstEOF
}

// feedOne takes bytes up to the end of the wanted part of one packet and hands
// it over if that is complete.
func (r *Reader) feedOne(b []byte) []byte {
	if r.have == 0 && len(b) > HeaderLen {
		head := binary.LittleEndian.Uint32(b)
		h := Header{Length: head & MaxPayload, Seq: uint8(head >> 24)}
		want := r.prefixOf(h, b[HeaderLen:])
		if past := HeaderLen + want; past <= len(b) {
			r.skip = h.Length - uint32(want)
			r.h.Packet(h, b[HeaderLen:past])
			return b[past:]
		}
	}
	return r.feedSplit(b)
}

// feedSplit is feedOne for a packet whose header and prefix are split over two
// calls: they are collected in buf. The wanted length is known in steps: header,
// then first payload byte, then the rest of the prefix.
func (r *Reader) feedSplit(b []byte) []byte {
	for len(b) > 0 {
		if r.need > len(r.buf) {
			return r.feedLong(b)
		}
		n := copy(r.buf[r.have:r.need], b)
		r.have += n
		b = b[n:]
		if r.have < r.need {
			return b
		}
		h := Header{Length: uint24(r.buf[:]), Seq: r.buf[3]}
		want := r.prefixOf(h, r.buf[HeaderLen:r.have])
		if r.need < HeaderLen+want {
			r.need = HeaderLen + want
			continue
		}
		// More than want may have been collected: SetPrefix may have been
		// called since, by what was seen in the other direction.
		got := r.have - HeaderLen
		r.have, r.need = 0, HeaderLen
		r.skip = h.Length - uint32(got)
		r.h.Packet(h, r.buf[HeaderLen:HeaderLen+want])
		clear(r.buf[HeaderLen : HeaderLen+got]) // it may hold the head of a credential
		return b
	}
	return b
}

// feedLong is feedOne for a packet of which more is wanted than buf has room for.
func (r *Reader) feedLong(b []byte) []byte {
	if r.more == nil {
		if r.need <= len(longPrefix{}) {
			r.more = longPrefixes.Get().(*longPrefix)[:0]
		} else {
			r.more = make([]byte, 0, r.need)
		}
		r.more = append(r.more, r.buf[:r.have]...)
	}
	n := min(len(b), r.need-r.have)
	r.more = append(r.more, b[:n]...)
	r.have += n
	if r.have == r.need {
		p := r.more
		r.have, r.need, r.more = 0, HeaderLen, nil
		h := Header{Length: uint24(p), Seq: p[3]}
		want := min(r.prefixOf(h, p[HeaderLen:]), len(p)-HeaderLen) // see feedOne
		r.skip = h.Length - uint32(len(p)-HeaderLen)
		r.h.Packet(h, p[HeaderLen:HeaderLen+want])
		clear(p)
		if cap(p) == len(longPrefix{}) {
			longPrefixes.Put((*longPrefix)(p[:cap(p)]))
		}
	}
	return b[n:]
}

// longPrefix has room for what is wanted of an ERR packet, with its header.
type longPrefix [HeaderLen + LongPrefixLen]byte

var longPrefixes = sync.Pool{New: func() any { return new(longPrefix) }}

// prefixOf returns how many bytes of the payload to look at, as far as that can
// be told from what is there of it: 1 when the first byte must be seen first.
func (r *Reader) prefixOf(h Header, payload []byte) int {
	limit := PrefixLen
	switch {
	case r.mode&noLook != 0:
		return 0
	case len(payload) == 0 && !(r.mode&long != 0 && r.mode&greeting == 0 && h.Length <= LongPrefixLen):
		limit = 1
	case r.mode&long != 0 && h.Length > LongPrefixLen && h.Length <= MaxGreeting && h.Seq == 0 && payload[0] == protocolVersion:
		limit = MaxGreeting
	case r.mode&greeting != 0 && payload[0] != protocolVersion && payload[0] != firstERR:
		// It is no packet either, and more may never come.
		limit = 1
	case r.mode&long != 0 && h.Length > LongPrefixLen && payload[0] != firstERR:
		// Too long for what is expected: it is no packet at all, and the rest may
		// never come. A TLS alert has seven bytes.
		limit = 3
	case r.mode&long != 0 || payload[0] == firstERR:
		limit = LongPrefixLen
	}
	return min(int(h.Length), limit)
}

// feedRun takes whole uninteresting packets off the front of b. It is the hot
// loop of a scan: a few nanoseconds a row, most of them to wait for the length
// that says where the next one is. So the header is one load, and what can be
// reckoned from the end is.
func (r *Reader) feedRun(b []byte) []byte {
	first, count, i := r.runNext, 0, 0
	next := first
	end := byte(firstEOF) // the first byte that is not a row's
	if r.binary {
		end = 1
	}
	for i < len(b)-HeaderLen {
		h := binary.LittleEndian.Uint32(b[i:])
		n := h & MaxPayload
		past := i + HeaderLen + int(n)
		// n-1 of an empty packet is huge.
		if uint8(h>>24) != next || n-1 >= MaxPayload-1 || b[i+HeaderLen] >= end || past > len(b) {
			break
		}
		next++
		count++
		i = past
	}
	if count > 0 {
		r.runNext = next
		r.h.Run(Run{Count: count, First: first, Last: next - 1, Bytes: uint64(i - count*HeaderLen)})
	}
	return b[i:]
}

func uint24(b []byte) uint32 {
	_ = b[2]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
}
