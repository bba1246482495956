package wire

import (
	"crypto/cipher"
	"encoding/binary"

	"golang.org/x/crypto/chacha20"
)

const (
	tlsNonceLen  = 12
	tlsMaxKeyLen = 32

	// Below this many bytes between two places where the sink wants to look,
	// it is cheaper to decrypt the whole record. See BenchmarkTLSView.
	tlsGapAES    = 448
	tlsGapChaCha = 128
)

// tlsKeystream is the stream cipher inside an AEAD, for one record at a time:
// the one that nonce is set to.
type tlsKeystream struct {
	block cipher.Block // AES; nil for ChaCha20
	gcm   cipher.AEAD  // of the same key, for bulk; made when it is first needed
	key   [tlsMaxKeyLen]byte

	nonce   [tlsNonceLen]byte
	counter [16]byte // scratch: what is passed to a cipher.Block escapes
	stream  [16]byte // scratch
}

func (k *tlsKeystream) gap() int {
	if k.block == nil {
		return tlsGapChaCha
	}
	return tlsGapAES
}

// xor decrypts src, which lies at offset off of the record, into dst.
func (k *tlsKeystream) xor(dst, src []byte, off int) {
	if k.block == nil {
		k.chacha(dst, src, off)
		return
	}
	// GCM encrypts with AES in counter mode. With a nonce of 96 bits the counter
	// block is the nonce and a 32-bit number, of which 1 is used for the tag
	// and 2 for the first block of text. NIST SP 800-38D section 7.1.
	copy(k.counter[:], k.nonce[:])
	n := uint32(off/16) + 2
	if r := off % 16; r > 0 {
		binary.BigEndian.PutUint32(k.counter[12:], n)
		k.block.Encrypt(k.stream[:], k.counter[:])
		m := min(16-r, len(src))
		for i, b := range k.stream[r : r+m] {
			dst[i] = src[i] ^ b
		}
		dst, src = dst[m:], src[m:]
		n++
	}
	for ; len(src) >= 16; n++ {
		binary.BigEndian.PutUint32(k.counter[12:], n)
		k.block.Encrypt(k.stream[:], k.counter[:])
		s, d := src[:16], dst[:16]
		le := binary.LittleEndian
		le.PutUint64(d, le.Uint64(s)^le.Uint64(k.stream[:]))
		le.PutUint64(d[8:], le.Uint64(s[8:])^le.Uint64(k.stream[8:]))
		dst, src = dst[16:], src[16:]
	}
	if len(src) > 0 {
		binary.BigEndian.PutUint32(k.counter[12:], n)
		k.block.Encrypt(k.stream[:], k.counter[:])
		for i := range src {
			dst[i] = src[i] ^ k.stream[i]
		}
	}
}

// chacha is xor for ChaCha20. The Cipher stays on the stack. Block 0 is for the
// tag, RFC 8439 section 2.8.
func (k *tlsKeystream) chacha(dst, src []byte, off int) {
	c, err := chacha20.NewUnauthenticatedCipher(k.key[:], k.nonce[:])
	if err != nil {
		panic(err) // key and nonce have the right length
	}
	c.SetCounter(uint32(off/64) + 1)
	if r := off % 64; r > 0 {
		var lead [64]byte
		c.XORKeyStream(lead[:r], lead[:r])
	}
	c.XORKeyStream(dst, src)
}

// bulk decrypts src from the beginning of the record into buf, which has room
// for a tag more, and returns the plaintext.
//
// In GCM, encrypting a ciphertext gives the plaintext, and a tag to throw away.
// That is slower than cipher.NewCTR by a quarter, but allocates nothing.
func (k *tlsKeystream) bulk(buf, src []byte) []byte {
	if k.block != nil && k.gcm == nil {
		k.gcm, _ = cipher.NewGCM(k.block) // refused by GODEBUG=fips140=only
	}
	if k.gcm != nil {
		return k.gcm.Seal(buf[:0], k.nonce[:], src, nil)[:len(src)]
	}
	k.xor(buf[:len(src)], src, 0)
	return buf[:len(src)]
}
