package wire

import (
	"crypto/aes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"hash"
)

const tlsMaxSecretLen = 48 // of SHA-384, and of a master secret

// tlsSuite is a cipher suite that can be seen through.
type tlsSuite struct {
	id            uint16
	version       uint16
	keyLen        int
	aes           bool // AES-GCM, or else ChaCha20-Poly1305
	explicitNonce bool // 8 bytes of nonce in front of each record, RFC 5288
	hash          func() hash.Hash
}

var tlsSuites = [...]tlsSuite{
	{id: tls.TLS_AES_128_GCM_SHA256, version: tls.VersionTLS13, keyLen: 16, aes: true, hash: sha256.New},
	{id: tls.TLS_AES_256_GCM_SHA384, version: tls.VersionTLS13, keyLen: 32, aes: true, hash: sha512.New384},
	{id: tls.TLS_CHACHA20_POLY1305_SHA256, version: tls.VersionTLS13, keyLen: 32, hash: sha256.New},

	{id: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, version: tls.VersionTLS12, keyLen: 16, aes: true, explicitNonce: true, hash: sha256.New},
	{id: tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, version: tls.VersionTLS12, keyLen: 16, aes: true, explicitNonce: true, hash: sha256.New},
	{id: tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, version: tls.VersionTLS12, keyLen: 32, aes: true, explicitNonce: true, hash: sha512.New384},
	{id: tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, version: tls.VersionTLS12, keyLen: 32, aes: true, explicitNonce: true, hash: sha512.New384},
	{id: tls.TLS_RSA_WITH_AES_128_GCM_SHA256, version: tls.VersionTLS12, keyLen: 16, aes: true, explicitNonce: true, hash: sha256.New},
	{id: tls.TLS_RSA_WITH_AES_256_GCM_SHA384, version: tls.VersionTLS12, keyLen: 32, aes: true, explicitNonce: true, hash: sha512.New384},
	{id: tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, version: tls.VersionTLS12, keyLen: 32, hash: sha256.New},
	{id: tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, version: tls.VersionTLS12, keyLen: 32, hash: sha256.New},
}

// tlsSuiteOf returns nil for a suite that cannot be seen through.
func tlsSuiteOf(version, id uint16) *tlsSuite {
	for i := range tlsSuites {
		if s := &tlsSuites[i]; s.id == id && s.version == version {
			return s
		}
	}
	return nil
}

func (s *tlsSuite) hashLen() int { return s.hash().Size() }

// tlsEpoch is the records of one side under the same keys.
type tlsEpoch struct {
	seq   uint64 // of the next record
	iv    [tlsNonceLen]byte
	ready bool
	keys  tlsKeystream
}

// install derives the keys of the phase that this half is in. It fails if the
// secret is not known yet.
func (h *tlsHalf) install() bool {
	t := h.t
	if t.secrets == nil {
		return false
	}
	if t.is13() {
		label := tlsTrafficLabel(h.side, h.phase)
		secret := t.secrets.get(label)
		if len(secret) != t.suite.hashLen() {
			return false
		}
		h.epoch.wipe()
		h.epoch.begin13(t.suite, secret)
	} else {
		master := t.secrets.master(h.side == TLSServer && t.client.phase == tlsPlain)
		if master == nil {
			return false
		}
		h.epoch.wipe()
		h.epoch.derive12(t.suite, h.side, master, t.secrets.clientRandom[:], t.secrets.serverRandom[:])
	}
	t.settle()
	return true
}

// tlsTrafficLabel tells which secret protects the records of a side.
func tlsTrafficLabel(side TLSSide, phase tlsPhase) tlsLabel {
	switch {
	case side == TLSClient && phase == tlsHandshake:
		return tlsClientHandshakeSecret
	case side == TLSClient:
		return tlsClientTrafficSecret
	case phase == tlsHandshake:
		return tlsServerHandshakeSecret
	}
	return tlsServerTrafficSecret
}

// begin13 makes the keys of a traffic secret. RFC 8446 section 7.3.
func (e *tlsEpoch) begin13(suite *tlsSuite, secret []byte) {
	copy(e.keys.secret(suite.hashLen()), secret)
	key := e.expand(suite, "key", suite.keyLen)
	iv := e.expand(suite, "iv", tlsNonceLen)
	e.setKeys(suite, key, iv)
	clear(key)
	clear(iv)
}

// update makes the keys that follow a KeyUpdate. RFC 8446 section 7.2.
func (e *tlsEpoch) update(suite *tlsSuite) {
	next := e.expand(suite, "traffic upd", suite.hashLen())
	e.begin13(suite, next)
	clear(next)
}

// expand is HKDF-Expand-Label with an empty context. RFC 8446 section 7.1.
func (e *tlsEpoch) expand(suite *tlsSuite, label string, n int) []byte {
	info := make([]byte, 0, 32)
	info = binary.BigEndian.AppendUint16(info, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(info, "tls13 "...)
	info = append(info, label...)
	info = append(info, 0)
	out, err := hkdf.Expand(suite.hash, e.keys.secret(suite.hashLen()), string(info), n)
	if err != nil {
		panic(err) // only if n were beyond 255 hashes
	}
	return out
}

// derive12 makes the keys of a master secret. RFC 5246 section 6.3; an AEAD has
// no MAC keys.
func (e *tlsEpoch) derive12(suite *tlsSuite, side TLSSide, master, clientRandom, serverRandom []byte) {
	ivLen := tlsNonceLen
	if suite.explicitNonce {
		ivLen = 4
	}
	seed := append([]byte("key expansion"), serverRandom...)
	seed = append(seed, clientRandom...)
	block := tlsPRF(suite.hash, master, seed, 2*(suite.keyLen+ivLen))
	key := block[int(side)*suite.keyLen:][:suite.keyLen]
	iv := block[2*suite.keyLen+int(side)*ivLen:][:ivLen]
	e.setKeys(suite, key, iv)
	clear(block)
}

// tlsPRF is P_hash of RFC 5246 section 5.
func tlsPRF(h func() hash.Hash, secret, seed []byte, n int) []byte {
	m := hmac.New(h, secret)
	sum := func(parts ...[]byte) []byte {
		m.Reset()
		for _, p := range parts {
			m.Write(p)
		}
		return m.Sum(nil)
	}
	var out []byte
	for a := sum(seed); len(out) < n; a = sum(a) {
		out = append(out, sum(a, seed)...)
	}
	return out
}

func (e *tlsEpoch) setKeys(suite *tlsSuite, key, iv []byte) {
	e.keys.block, e.keys.gcm = nil, nil
	if suite.aes {
		block, err := aes.NewCipher(key)
		if err != nil {
			panic(err) // 16 or 32 bytes
		}
		e.keys.block = block
	} else {
		copy(e.keys.key(), key)
	}
	e.iv = [tlsNonceLen]byte{}
	copy(e.iv[:], iv)
	e.seq, e.ready = 0, true
}

// explicitLen is the length of the nonce in front of a record.
func (h *tlsHalf) explicitLen() int {
	if h.epoch.ready && h.t.suite.explicitNonce {
		return 8
	}
	return 0
}

// nextRecord makes the nonce of the record that follows: with its explicit part, if
// it has one, or the sequence number, RFC 8446 section 5.3 and RFC 7905 section 2.
func (e *tlsEpoch) nextRecord(nonce *[tlsNonceLen]byte, explicit []byte) {
	*nonce = e.iv
	if len(explicit) > 0 {
		copy(nonce[4:], explicit)
	} else {
		n := nonce[4:]
		binary.BigEndian.PutUint64(n, binary.BigEndian.Uint64(n)^e.seq)
	}
	e.seq++
}

// skipRecord counts a record that is not looked at.
func (e *tlsEpoch) skipRecord() { e.seq++ }

func (e *tlsEpoch) wipe() { *e = tlsEpoch{} }
