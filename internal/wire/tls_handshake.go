package wire

import "fmt"

// tlsMaxHello bounds a ServerHello. Its key share is 1.6 KB at most
// (ML-KEM-1024), its other extensions are small.
const tlsMaxHello = 8 << 10

// tlsPartial is a handshake message that goes on in the next record.
type tlsPartial struct {
	header [4]byte
	have   int    // bytes of header
	left   int    // bytes of the body to come
	keep   []byte // the part of the body that is needed
}

// messages takes the handshake messages in a record, which may begin and end
// within a message. RFC 8446 section 5.1.
func (h *tlsHalf) messages(p []byte) {
	for len(p) > 0 && !h.t.opaque() {
		if h.msg == nil {
			h.msg = new(tlsPartial)
		}
		m := h.msg
		if m.have < len(m.header) {
			n := copy(m.header[m.have:], p)
			m.have += n
			p = p[n:]
			if m.have < len(m.header) {
				return
			}
			m.left = int(m.header[1])<<16 | int(m.header[2])<<8 | int(m.header[3])
		}
		typ := TLSMessage(m.header[0])
		n := min(m.left, len(p))
		if room := tlsNeeded(typ) - len(m.keep); room > 0 {
			m.keep = append(m.keep, p[:min(n, room)]...)
		}
		m.left -= n
		p = p[n:]
		if m.left > 0 {
			return
		}
		length := int(m.header[1])<<16 | int(m.header[2])<<8 | int(m.header[3])
		body := m.keep
		h.msg = nil
		phase, seq := h.phase, h.epoch.seq
		h.message(typ, body, length)
		if changed := h.phase != phase || h.epoch.seq != seq; changed && len(p) > 0 {
			// The other side of the key change cannot be in the same record.
			h.t.fail(fmt.Sprintf("%d bytes behind a %v from the %v", len(p), typ, h.side))
		}
	}
}

// tlsNeeded is how much of the body of a message is looked at.
func tlsNeeded(typ TLSMessage) int {
	switch typ {
	case tlsMsgClientHello:
		return 2 + tlsRandomLen
	case tlsMsgServerHello:
		return tlsMaxHello
	}
	return 0
}

func (h *tlsHalf) message(typ TLSMessage, body []byte, length int) {
	switch h.phase {
	case tlsPlain:
		h.messagePlain(typ, body, length)
	case tlsHandshake:
		h.messageEncrypted(typ, length)
	default:
		h.messageLate(typ, length)
	}
}

// messagePlain is a message before anything is encrypted.
func (h *tlsHalf) messagePlain(typ TLSMessage, body []byte, length int) {
	switch {
	case typ == tlsMsgClientHello && h.side == TLSClient:
		h.t.clientHello(body)
	case typ == tlsMsgServerHello && h.side == TLSServer:
		if length > tlsMaxHello {
			h.t.fail(fmt.Sprintf("a ServerHello of %d bytes", length))
			return
		}
		h.t.serverHello(body)
	}
}

// messageEncrypted is a message under the handshake keys of TLS 1.3, or the
// Finished of TLS 1.2. That they are what they must be shows that the keys fit.
func (h *tlsHalf) messageEncrypted(typ TLSMessage, length int) {
	switch typ {
	case tlsMsgFinished:
		want := 12 // verify_data, RFC 5246 section 7.4.9
		if h.t.is13() {
			want = h.t.suite.hashLen() // RFC 8446 section 4.4.4
		}
		if length != want {
			h.t.fail(fmt.Sprintf("a Finished of %d bytes from the %v: the keys do not fit", length, h.side))
			return
		}
		h.phase = tlsDone
		if h.t.is13() {
			h.epoch.wipe()
			h.install() // or later, when the secret is known
			return
		}
		h.t.settle()
		return
	case tlsMsgEncryptedExtensions, tlsMsgCertificateRequest, tlsMsgCertificate, tlsMsgCompressedCertificate, tlsMsgCertificateVerify:
		if h.t.is13() {
			return
		}
	}
	h.t.fail(fmt.Sprintf("a %v from the %v in the handshake: the keys do not fit", typ, h.side))
}

// messageLate is a message after the handshake. RFC 8446 section 4.6.
func (h *tlsHalf) messageLate(typ TLSMessage, length int) {
	switch {
	case !h.t.is13() && typ == tlsMsgHelloRequest && h.side == TLSServer:
		// The client may refuse; if not, its ClientHello comes next.
	case !h.t.is13():
		h.t.fail("renegotiation")
		return
	case typ == tlsMsgKeyUpdate && length == 1:
		h.epoch.update(h.t.suite)
	case typ == tlsMsgNewSessionTicket && h.side == TLSServer, typ == tlsMsgCertificateRequest && h.side == TLSServer:
	case typ == tlsMsgCertificate, typ == tlsMsgCertificateVerify, typ == tlsMsgFinished:
		// Authentication after the handshake, RFC 8446 section 4.6.2; it does
		// not change the keys.
		if h.side == TLSServer {
			h.unexpectedLate(typ, length)
			return
		}
	default:
		h.unexpectedLate(typ, length)
		return
	}
	h.t.ev.PostHandshake(h.side, typ)
}

func (h *tlsHalf) unexpectedLate(typ TLSMessage, length int) {
	h.t.fail(fmt.Sprintf("a %v of %d bytes from the %v after the handshake", typ, length, h.side))
}

// changeCipherSpec begins encryption in TLS 1.2.
func (h *tlsHalf) changeCipherSpec() {
	if h.msg != nil {
		h.t.fail(fmt.Sprintf("change_cipher_spec from the %v within a message", h.side))
		return
	}
	h.phase = tlsHandshake
}
