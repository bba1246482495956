package wire

import "fmt"

// record looks at one whole record.
func (h *tlsHalf) record(typ tlsRecordType, body []byte) {
	switch {
	case typ == tlsAlertRecord && len(body) == 2 && (h.phase == tlsPlain || h.t.is13()):
		// In the clear: an encrypted alert is longer. In TLS 1.3 a side that
		// cannot make sense of the other's keys sends it so.
		h.alert(body)
	case h.t.opaque():
		h.unseen(typ, len(body))
	case h.phase == tlsPlain:
		h.recordPlain(typ, body)
	case h.t.is13():
		h.record13(typ, body)
	default:
		h.record12(typ, body)
	}
}

// unseen counts a record that cannot be seen through, unless it is as small as an
// alert or, of a client that was asked for a certificate and has none, the message
// that says so (RFC 8446, sections 6 and 4.4.2).
func (h *tlsHalf) unseen(typ tlsRecordType, n int) {
	const noCertificate = 4 + 1 + 3 + 1 + tlsTagLen // header, context, list, content type
	if typ == tlsApplicationData && n > noCertificate && h.tally < 255 {
		h.tally++
	}
}

func (h *tlsHalf) alert(p []byte) { h.t.ev.Alert(h.side, TLSAlert{p[0], p[1]}) }

func (h *tlsHalf) recordPlain(typ tlsRecordType, body []byte) {
	switch typ {
	case tlsHandshakeRecord:
		h.messages(body)
	case tlsChangeCipherSpec:
		// Of TLS 1.3 it is for middleboxes only, RFC 8446 appendix D.4; it may
		// come from the client after a HelloRetryRequest.
		if h.t.helloSeen() && !h.t.is13() {
			h.changeCipherSpec()
		}
	case tlsApplicationData:
		h.t.fail(fmt.Sprintf("application data from the %v before a handshake", h.side)) // early data, for one
	default:
		h.t.fail(fmt.Sprintf("an %v record of %d bytes from the %v", typ, len(body), h.side))
	}
}

// record13 looks at a record after the ServerHello of TLS 1.3. RFC 8446
// section 5.2.
func (h *tlsHalf) record13(outer tlsRecordType, body []byte) {
	switch {
	case outer == tlsChangeCipherSpec && h.phase == tlsHandshake:
		return
	case outer != tlsApplicationData || len(body) <= tlsTagLen || !h.epoch.ready:
		h.t.fail(fmt.Sprintf("an %v record of %d bytes from the %v where an encrypted one was due", outer, len(body), h.side))
		return
	}
	h.epoch.nextRecord(&h.t.scratch.nonce, nil)
	c := body[:len(body)-tlsTagLen]
	if len(c) <= tlsBlockMax {
		// The content type is in the last block: of a small record, decrypt the
		// others along with it.
		p := h.t.scratch.small[:len(c)]
		h.epoch.keys.xor(h.t.scratch, p, c, 0)
		n := len(p)
		for n > 0 && p[n-1] == 0 {
			n--
		}
		if n == 0 {
			h.noContentType()
			return
		}
		h.padded = h.padded || n < len(p)
		if typ := tlsRecordType(p[n-1]); typ == tlsApplicationData && h.phase == tlsDone {
			h.give(p[:n-1])
		} else {
			h.control(typ, p[:n-1])
		}
		clear(p)
		return
	}
	typ, n := h.contentType(c, 0)
	switch {
	case n < 0:
		h.noContentType()
	case typ == tlsApplicationData && h.phase == tlsDone:
		h.view(c[:n])
	default:
		h.once(c[:n], func(p []byte) { h.control(typ, p) })
	}
}

func (h *tlsHalf) noContentType() {
	h.t.fail(fmt.Sprintf("a record from the %v has no content type: the keys do not fit", h.side))
}

// contentType finds the type of a TLS 1.3 record, which is the last byte that is
// not padding, and the length of the content before it, or -1. c is the end of
// the ciphertext without the tag and begins at offset at.
func (h *tlsHalf) contentType(c []byte, at int) (tlsRecordType, int) {
	for end := len(c); end > 0; {
		start := max((at+end-1)&^15-at, 0)
		p := h.t.scratch.small[:end-start]
		h.epoch.keys.xor(h.t.scratch, p, c[start:end], at+start)
		for i := len(p) - 1; i >= 0; i-- {
			if typ := tlsRecordType(p[i]); typ != 0 {
				clear(p)
				h.padded = h.padded || start+i+1 < len(c)
				return typ, at + start + i
			}
		}
		end = start
	}
	return 0, -1
}

// record12 looks at a record after the ChangeCipherSpec of TLS 1.2. RFC 5246
// section 6.2.3.3.
func (h *tlsHalf) record12(typ tlsRecordType, body []byte) {
	explicit := h.explicitLen()
	if len(body) < explicit+tlsTagLen || !h.epoch.ready {
		h.t.fail(fmt.Sprintf("an %v record of %d bytes from the %v where an encrypted one was due", typ, len(body), h.side))
		return
	}
	h.epoch.nextRecord(&h.t.scratch.nonce, body[:explicit])
	c := body[explicit : len(body)-tlsTagLen]
	if typ == tlsApplicationData && h.phase == tlsDone {
		h.view(c)
		return
	}
	h.once(c, func(p []byte) { h.control(typ, p) })
}

// control looks at the plaintext of a record that is not application data.
func (h *tlsHalf) control(typ tlsRecordType, p []byte) {
	switch {
	case typ == tlsAlertRecord && len(p) == 2:
		h.alert(p)
	case typ == tlsHandshakeRecord && len(p) > 0:
		h.messages(p)
	case typ == tlsChangeCipherSpec && !h.t.is13():
		h.t.fail("renegotiation")
	case h.phase == tlsHandshake:
		h.t.fail(fmt.Sprintf("an encrypted %v record from the %v in the handshake: the keys do not fit", typ, h.side))
	default:
		h.t.fail(fmt.Sprintf("an encrypted %v record of %d bytes from the %v", typ, len(p), h.side))
	}
}

// completeDropped ends a record of which only the tail was kept.
func (h *tlsHalf) completeDropped(tail *[tlsTailLen]byte) {
	h.have = 0
	h.records++
	if h.t.opaque() {
		h.unseen(tlsRecordType(h.header[0]), int(h.length))
		return
	}
	n := int(h.length) - tlsTagLen - h.explicitLen()
	if h.t.is13() {
		h.epoch.nextRecord(&h.t.scratch.nonce, nil)
		at := int(h.length) - tlsTailLen
		var typ tlsRecordType
		typ, n = h.contentType(tail[:tlsTailLen-tlsTagLen], at)
		if typ != tlsApplicationData {
			h.t.fail(fmt.Sprintf("a record of %d bytes from the %v was not kept and has padding, or is not data", h.length, h.side))
			return
		}
	} else {
		h.epoch.skipRecord()
	}
	// What the sink skips can only have changed if it was exchanged meanwhile.
	if skip, _ := h.sink.Wants(); skip < n {
		h.t.fail(fmt.Sprintf("a record of %d bytes from the %v was not kept but is wanted", h.length, h.side))
		return
	}
	h.skip(n)
}
