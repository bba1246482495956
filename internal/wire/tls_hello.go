package wire

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
)

const (
	tlsRandomLen = 32

	tlsSupportedVersions = 43 // extension, RFC 8446 section 4.2.1
)

// tlsRetryRandom marks a ServerHello as a HelloRetryRequest: the SHA-256 of
// those words. RFC 8446 section 4.1.3.
var tlsRetryRandom = [tlsRandomLen]byte{
	0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
	0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
}

// clientHello takes the random, which names the connection in a key log. There
// is a second ClientHello, with the same random, after a HelloRetryRequest.
func (t *TLS) clientHello(body []byte) {
	if len(body) < 2+tlsRandomLen {
		t.fail("a ClientHello that is too short")
		return
	}
	copy(t.secrets.clientRandom[:], body[2:])
	t.secrets.hello = true
}

// serverHello takes the version and the cipher suite. RFC 8446 section 4.1.3.
func (t *TLS) serverHello(body []byte) {
	p := tlsParser{b: body}
	version := p.uint16()
	random := p.bytes(tlsRandomLen)
	p.bytes(p.uint8()) // session id
	suite := p.uint16()
	p.uint8() // compression method
	if len(p.b) > 0 {
		ext := tlsParser{b: p.bytes(p.uint16())}
		for len(ext.b) > 0 && !ext.bad {
			typ := ext.uint16()
			val := tlsParser{b: ext.bytes(ext.uint16())}
			if typ == tlsSupportedVersions && !ext.bad {
				version = val.uint16()
			}
			p.bad = p.bad || ext.bad || val.bad
		}
	}
	if p.bad || t.helloSeen() {
		t.fail("a ServerHello that is malformed or not due")
		return
	}
	if [tlsRandomLen]byte(random) == tlsRetryRandom {
		return
	}
	t.secrets.answered = true
	t.secrets.serverRandom = [tlsRandomLen]byte(random)
	t.info.Version, t.info.Suite = uint16(version), uint16(suite)
	if version != tls.VersionTLS12 && version != tls.VersionTLS13 {
		t.fail(tls.VersionName(uint16(version)) + " is not seen through")
		return
	}
	if t.suite = tlsSuiteOf(uint16(version), uint16(suite)); t.suite == nil {
		t.fail(fmt.Sprintf("cipher suite %s has no stream mode known here", tls.CipherSuiteName(uint16(suite))))
		return
	}
	if t.is13() {
		t.client.phase, t.server.phase = tlsHandshake, tlsHandshake
	}
}

// tlsParser takes fields off the front of a message. After a field that is not
// all there it is bad, and everything it gives is zero.
type tlsParser struct {
	b   []byte
	bad bool
}

func (p *tlsParser) bytes(n int) []byte {
	if p.bad || n > len(p.b) {
		p.bad, p.b = true, nil
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *tlsParser) uint8() int {
	if b := p.bytes(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (p *tlsParser) uint16() int {
	if b := p.bytes(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}
