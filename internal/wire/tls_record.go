package wire

import (
	"fmt"
	"sync"
)

const tlsNoSecrets = "the key log has no secrets of this connection"

const (
	tlsHeaderLen = 5
	tlsTagLen    = 16

	// tlsMaxBody is the longest record body of TLS 1.2, RFC 5246 section
	// 6.2.3; TLS 1.3 allows less.
	tlsMaxBody = 1<<14 + 2048

	// tlsMaxHeld bounds the records that arrive before their secrets. A server's
	// first flight arrives in one piece with its ServerHello, of which the
	// secrets are derived only after the Read returned; crypto/tls refuses
	// handshake messages beyond 64 KiB.
	tlsMaxHeld = 128 << 10

	// tlsDropMin is the least body of an incomplete record that is not kept
	// because the sink would skip all of it. Messages after the handshake, of
	// which the contents matter, are shorter.
	tlsDropMin = 4 << 10

	// tlsTailLen is how much is kept of a record that is not kept: the tag and
	// the last bytes of plaintext, where TLS 1.3 has the content type.
	tlsTailLen = 48
)

// tlsRecords holds buffers for records that come in pieces and for plaintext.
// They are not kept per connection: an idle one has neither.
var tlsRecords = sync.Pool{New: func() any { return new(tlsRecord) }}

// tlsTails holds what is kept of a record that is not kept.
var tlsTails = sync.Pool{New: func() any { return new([tlsTailLen]byte) }}

// tlsRecord has room for the tag that cipher.AEAD appends.
type tlsRecord [tlsMaxBody + tlsTagLen]byte

// tlsFraming says what is done with the bytes of one side.
type tlsFraming uint8

const (
	tlsFramed tlsFraming = iota // records
	tlsRaw                      // not TLS: to the sink as they are
	tlsLost                     // nothing; they are counted
)

// tlsPhase is how far the handshake of one side is.
type tlsPhase uint8

const (
	tlsPlain     tlsPhase = iota // nothing is encrypted yet
	tlsHandshake                 // encrypted handshake messages, up to Finished
	tlsDone                      // application data
)

// tlsHalf is what one side sends.
type tlsHalf struct {
	t     *TLS
	sink  Sink
	later *tlsLater // nil if nothing of it is there

	// The small ones lie together: every connection has two of these.
	side    TLSSide
	inSink  bool
	framing tlsFraming
	phase   tlsPhase
	waiting bool  // for secrets; bytes go to held
	drop    bool  // the incomplete body is not kept, only tail
	padded  bool  // this side pads records, TLS 1.3
	tally   uint8 // of records that need no look before they are decrypted whole; opaque: of those of some size, see unseen

	records  uint32 // complete ones, seen through or not
	switches uint16 // how often the sink changed
	length   uint16 // of the body
	got      uint16 // bytes of the body
	have     uint8  // bytes of header
	header   [tlsHeaderLen]byte

	buf  *tlsRecord        // the incomplete body
	tail *[tlsTailLen]byte // its last bytes; nil unless drop
	msg  *tlsPartial       // nil between two messages

	epoch tlsEpoch
}

// tlsLater is what a half has for later, which is rare.
type tlsLater struct {
	next Sink   // takes the place of the sink; nil: none
	held []byte // records that came before their secrets
}

// setLater sets it, or lets go of it.
func (h *tlsHalf) setLater(next Sink, held []byte) {
	switch {
	case next == nil && held == nil:
		h.later = nil
	case h.later == nil:
		h.later = &tlsLater{next, held}
	default:
		h.later.next, h.later.held = next, held
	}
}

// next is the sink that is to take the place of the present one, nil if none is.
func (h *tlsHalf) next() Sink {
	if h.later == nil {
		return nil
	}
	return h.later.next
}

// held are the records that came before their secrets.
func (h *tlsHalf) held() []byte {
	if h.later == nil {
		return nil
	}
	return h.later.held
}

func (h *tlsHalf) visible() bool { return h.phase == tlsDone && h.epoch.ready }

func (h *tlsHalf) feed(b []byte) {
	for len(b) > 0 {
		switch {
		case h.framing == tlsLost:
			return
		case h.framing == tlsRaw:
			h.give(b)
			return
		case h.waiting:
			h.hold(b)
			return
		case h.have < tlsHeaderLen:
			b = h.feedHeader(b)
		default:
			b = h.feedBody(b)
		}
	}
}

// feedHeader takes bytes of a header. Unless it is all there it takes them one
// by one, because each of the first three can show that this is not TLS: the
// header must not swallow bytes of a packet that is shorter.
func (h *tlsHalf) feedHeader(b []byte) []byte {
	if h.have == 0 && len(b) >= tlsHeaderLen && tlsHeaderPossible(b[:3]) {
		h.header = [tlsHeaderLen]byte(b)
		h.have = tlsHeaderLen
		b = b[tlsHeaderLen:]
	}
	for h.have < tlsHeaderLen {
		if len(b) == 0 {
			return nil
		}
		h.header[h.have] = b[0]
		h.have++
		b = b[1:]
		if h.have <= 3 && !tlsHeaderPossible(h.header[:h.have]) {
			h.notTLS(b)
			return nil
		}
	}
	h.length = uint16(h.header[3])<<8 | uint16(h.header[4])
	if h.length > tlsMaxBody {
		h.framing = tlsLost
		h.t.fail(fmt.Sprintf("a record of %d bytes from the %v", h.length, h.side))
		return nil
	}
	if !h.haveKeys() {
		h.have, h.waiting = 0, true
		h.hold(h.header[:])
		return b
	}
	h.got, h.drop = 0, false
	if h.length == 0 {
		h.complete(nil)
	}
	return b
}

// tlsHeaderPossible tells whether a record can begin with these one to three
// bytes. No MySQL packet that a server sends here can be taken for one: with 3
// in its second byte it would be longer than any ERR.
func tlsHeaderPossible(b []byte) bool {
	typ := tlsRecordType(b[0])
	return typ >= tlsChangeCipherSpec && typ <= tlsApplicationData &&
		(len(b) < 2 || b[1] == 3) && (len(b) < 3 || b[2] <= 4)
}

// notTLS hands over what came of the header and the rest.
func (h *tlsHalf) notTLS(rest []byte) {
	first := h.header[:h.have]
	h.have = 0
	h.framing = tlsLost
	if s := h.t.ev.NotTLS(h.side, first); s != nil {
		h.sink, h.framing = s, tlsRaw
		h.setLater(nil, h.held())
		h.give(first)
		h.feed(rest)
	}
}

// haveKeys tells whether the record that begins can be dealt with now, if need
// be by deriving its keys. If not, it must wait. That is so for the server's:
// the client's secrets are in the key log before it writes the first record
// under them, and if they are not there by then, there is no key log.
func (h *tlsHalf) haveKeys() bool {
	if h.t.opaque() || h.phase == tlsPlain || h.epoch.ready {
		return true
	}
	if h.t.is13() && tlsRecordType(h.header[0]) != tlsApplicationData {
		return true // middlebox compatibility, or a plaintext alert
	}
	if h.install() {
		return true
	}
	if h.side == TLSClient && !(h.t.secrets != nil && h.t.secrets.late) {
		h.t.fail(tlsNoSecrets)
	}
	return h.t.opaque()
}

func (h *tlsHalf) hold(b []byte) {
	held := h.held()
	if len(held)+len(b) > tlsMaxHeld {
		h.t.fail(tlsNoSecrets) // which lets go of what was held
		h.feed(b)
		return
	}
	h.setLater(h.next(), append(held, b...))
}

// retry goes on with what was held: a secret came, or none is needed any more.
func (h *tlsHalf) retry() {
	if h.waiting {
		b := h.held()
		h.waiting = false
		h.setLater(h.next(), nil)
		h.feed(b)
	}
}

func (h *tlsHalf) feedBody(b []byte) []byte {
	n := min(int(h.length-h.got), len(b))
	p := b[:n]
	if h.got == 0 && n == int(h.length) {
		h.complete(p) // the usual case, without a copy
		return b[n:]
	}
	if h.got == 0 {
		h.drop = h.mayDrop()
	}
	if h.drop {
		h.keepTail(p)
	} else {
		if h.buf == nil {
			h.buf = tlsRecords.Get().(*tlsRecord)
		}
		copy(h.buf[h.got:], p)
	}
	h.got += uint16(n)
	if h.got < h.length {
		return b[n:]
	}
	if h.drop {
		tail := h.tail
		h.tail = nil
		h.completeDropped(tail)
		tlsTails.Put(tail)
		return b[n:]
	}
	buf := h.buf
	h.buf = nil // wipe must not give away what is in use
	h.complete(buf[:h.length])
	tlsRecords.Put(buf)
	return b[n:]
}

// mayDrop tells whether the record that begins need not be kept until it is
// complete.
func (h *tlsHalf) mayDrop() bool {
	if h.t.opaque() {
		return h.length > tlsTailLen
	}
	if h.padded {
		return false // the content type may be anywhere
	}
	if !h.visible() || h.length < tlsDropMin || tlsRecordType(h.header[0]) != tlsApplicationData {
		return false
	}
	skip, _ := h.sink.Wants()
	return h.next() == nil && skip >= int(h.length)
}

func (h *tlsHalf) keepTail(p []byte) {
	if h.tail == nil {
		h.tail = tlsTails.Get().(*[tlsTailLen]byte)
	}
	if len(p) >= tlsTailLen {
		copy(h.tail[:], p[len(p)-tlsTailLen:])
		return
	}
	copy(h.tail[:], h.tail[len(p):])
	copy(h.tail[tlsTailLen-len(p):], p)
}

// complete looks at a whole record.
func (h *tlsHalf) complete(body []byte) {
	h.have = 0
	h.records++
	h.record(tlsRecordType(h.header[0]), body)
}

// wipe erases the keys and gives back the memory. Framing goes on.
func (h *tlsHalf) wipe() {
	h.epoch.wipe()
	h.msg = nil
	if h.buf != nil {
		tlsRecords.Put(h.buf)
		h.buf, h.drop = nil, true
	}
	h.retry()
}
