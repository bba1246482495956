package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// tlsStep is something that happens on a TLS connection.
type tlsStep struct {
	from  TLSSide
	bytes []byte
	log   []byte // lines of the key log; then there are no bytes
}

// tlsScript writes TLS conversations that crypto/tls would not: every suite,
// every split of messages into records, padding, key updates at any time. The
// records are sealed with the real AEADs.
type tlsScript struct {
	rnd    *rand.Rand
	suite  *tlsSuite
	random [2][tlsRandomLen]byte // client, server
	epoch  [2]tlsEpoch
	keys   [2][tlsMaxKeyLen]byte // which tlsEpoch forgets after it made the key schedule
	pad    int                   // TLS 1.3: up to this much padding a record
	steps  []tlsStep
	plain  [2][]byte // application data
}

func newTLSScript(rnd *rand.Rand, suite *tlsSuite) *tlsScript {
	s := &tlsScript{rnd: rnd, suite: suite}
	for i := range s.random {
		copy(s.random[i][:], s.noise(tlsRandomLen))
	}
	return s
}

func (s *tlsScript) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.rnd.Uint32())
	}
	return b
}

func (s *tlsScript) is13() bool { return s.suite.version == tls.VersionTLS13 }

func (s *tlsScript) send(from TLSSide, records ...[]byte) {
	st := tlsStep{from: from}
	for _, r := range records {
		st.bytes = append(st.bytes, r...)
	}
	s.steps = append(s.steps, st)
}

func (s *tlsScript) log(l tlsLabel, secret []byte) {
	line := fmt.Appendf(nil, "%v %x %x\n", l, s.random[TLSClient], secret)
	s.steps = append(s.steps, tlsStep{log: line})
}

func record(typ tlsRecordType, body []byte) []byte {
	return append([]byte{byte(typ), 3, 3, byte(len(body) >> 8), byte(len(body))}, body...)
}

// sealed makes an encrypted record.
func (s *tlsScript) sealed(from TLSSide, typ tlsRecordType, content []byte) []byte {
	e := &s.epoch[from]
	key := s.keys[from][:s.suite.keyLen]
	var aead cipher.AEAD
	if s.suite.aes {
		block, _ := aes.NewCipher(key)
		aead, _ = cipher.NewGCM(block)
	} else {
		aead, _ = chacha20poly1305.New(key)
	}
	var explicit []byte
	if s.suite.explicitNonce {
		explicit = s.noise(8)
	}
	seq := e.seq
	var nonce [tlsNonceLen]byte
	e.nextRecord(&nonce, explicit)
	if s.is13() {
		inner := append(append([]byte(nil), content...), byte(typ))
		if s.pad > 0 {
			inner = append(inner, make([]byte, s.rnd.IntN(min(s.pad, 1<<14+1-len(content))))...)
		}
		n := len(inner) + tlsTagLen
		header := []byte{byte(tlsApplicationData), 3, 3, byte(n >> 8), byte(n)}
		return aead.Seal(header, nonce[:], inner, header)
	}
	aad := binary.BigEndian.AppendUint64(nil, seq)
	aad = append(aad, byte(typ), 3, 3, byte(len(content)>>8), byte(len(content)))
	return record(typ, append(explicit, aead.Seal(nil, nonce[:], content, aad)...))
}

// setSecret puts a side under a traffic secret of TLS 1.3.
func (s *tlsScript) setSecret(from TLSSide, secret []byte) {
	s.epoch[from].begin13(s.suite, secret)
	s.keepKey(from)
}

// keepKey keeps the key of a traffic secret.
func (s *tlsScript) keepKey(from TLSSide) {
	copy(s.keys[from][:], s.epoch[from].expand(s.suite, "key", s.suite.keyLen))
}

func handshakeMessage(typ TLSMessage, body []byte) []byte {
	n := len(body)
	return append([]byte{byte(typ), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// split cuts messages into records at random places.
func (s *tlsScript) split(messages []byte, seal func([]byte) []byte) (records []byte) {
	for len(messages) > 0 {
		n := 1 + s.rnd.IntN(len(messages))
		records = append(records, seal(messages[:n])...)
		messages = messages[n:]
	}
	return records
}

func (s *tlsScript) plainHandshake(p []byte) []byte { return record(tlsHandshakeRecord, p) }

func (s *tlsScript) sealedHandshake(from TLSSide) func([]byte) []byte {
	return func(p []byte) []byte { return s.sealed(from, tlsHandshakeRecord, p) }
}

func (s *tlsScript) clientHello() []byte {
	b := append([]byte{3, 3}, s.random[TLSClient][:]...)
	return handshakeMessage(tlsMsgClientHello, append(b, s.noise(1800)...)) // a post-quantum key share
}

func (s *tlsScript) serverHello(random [tlsRandomLen]byte) []byte {
	b := append([]byte{3, 3}, random[:]...)
	b = append(b, 32)
	b = append(b, s.noise(32)...)
	b = binary.BigEndian.AppendUint16(b, s.suite.id)
	b = append(b, 0)
	ext := append([]byte{0, 51, 4, 0}, s.noise(1024)...) // key_share
	if s.is13() {
		ext = append(ext, 0, tlsSupportedVersions, 0, 2, 3, 4)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(ext)))
	return handshakeMessage(tlsMsgServerHello, append(b, ext...))
}

// handshake writes a handshake of the suite's version; retry adds a
// HelloRetryRequest to TLS 1.3.
func (s *tlsScript) handshake(retry bool) {
	if s.is13() {
		s.handshake13(retry)
	} else {
		s.handshake12()
	}
}

var ccs = record(tlsChangeCipherSpec, []byte{1})

func (s *tlsScript) handshake13(retry bool) {
	n := s.suite.hashLen()
	s.send(TLSClient, s.split(s.clientHello(), s.plainHandshake))
	if retry {
		s.send(TLSServer, s.split(s.serverHello(tlsRetryRandom), s.plainHandshake), ccs)
		s.send(TLSClient, ccs, s.split(s.clientHello(), s.plainHandshake))
	}
	var secrets [tlsLabels][]byte
	for l := range secrets {
		secrets[l] = s.noise(n)
	}
	hello := s.split(s.serverHello(s.random[TLSServer]), s.plainHandshake)
	s.setSecret(TLSServer, secrets[tlsServerHandshakeSecret])
	var flight []byte
	flight = append(flight, handshakeMessage(tlsMsgEncryptedExtensions, []byte{0, 0})...)
	flight = append(flight, handshakeMessage(tlsMsgCertificateRequest, s.noise(50))...)
	flight = append(flight, handshakeMessage(tlsMsgCertificate, s.noise(3000))...)
	flight = append(flight, handshakeMessage(tlsMsgCertificateVerify, s.noise(260))...)
	flight = append(flight, handshakeMessage(tlsMsgFinished, s.noise(n))...)
	sealed := s.split(flight, s.sealedHandshake(TLSServer))
	s.setSecret(TLSServer, secrets[tlsServerTrafficSecret])
	early := s.sealed(TLSServer, tlsHandshakeRecord, handshakeMessage(tlsMsgNewSessionTicket, s.noise(200)))
	s.send(TLSServer, hello, ccs, sealed, early) // all before the client knows a secret

	for l := tlsClientHandshakeSecret; int(l) < tlsLabels; l++ {
		s.log(l, secrets[l])
	}
	s.setSecret(TLSClient, secrets[tlsClientHandshakeSecret])
	flight = handshakeMessage(tlsMsgCertificate, s.noise(1000))
	flight = append(flight, handshakeMessage(tlsMsgFinished, s.noise(n))...)
	sealed = s.split(flight, s.sealedHandshake(TLSClient))
	s.setSecret(TLSClient, secrets[tlsClientTrafficSecret])
	s.send(TLSClient, ccs, sealed)
}

func (s *tlsScript) handshake12() {
	s.send(TLSClient, s.split(s.clientHello(), s.plainHandshake))
	flight := s.serverHello(s.random[TLSServer])
	flight = append(flight, handshakeMessage(tlsMsgCertificate, s.noise(3000))...)
	flight = append(flight, handshakeMessage(14, nil)...) // ServerHelloDone
	s.send(TLSServer, s.split(flight, s.plainHandshake))

	master := s.noise(tlsMaxSecretLen)
	ivLen := tlsNonceLen
	if s.suite.explicitNonce {
		ivLen = 4
	}
	for _, side := range []TLSSide{TLSClient, TLSServer} {
		s.epoch[side].derive12(s.suite, side, master, s.random[TLSClient][:], s.random[TLSServer][:])
		seed := append(append([]byte("key expansion"), s.random[TLSServer][:]...), s.random[TLSClient][:]...)
		block := tlsPRF(s.suite.hash, master, seed, 2*(s.suite.keyLen+ivLen))
		copy(s.keys[side][:], block[int(side)*s.suite.keyLen:][:s.suite.keyLen])
	}
	s.log(tlsMasterSecret, master)
	finished := func(side TLSSide) []byte {
		return s.sealed(side, tlsHandshakeRecord, handshakeMessage(tlsMsgFinished, s.noise(12)))
	}
	s.send(TLSClient, s.plainHandshake(handshakeMessage(16, s.noise(66))), ccs, finished(TLSClient))
	s.send(TLSServer, s.plainHandshake(handshakeMessage(tlsMsgNewSessionTicket, s.noise(180))), ccs, finished(TLSServer))
}

// data writes application data in records of random size, at most most.
func (s *tlsScript) data(from TLSSide, p []byte, most int) {
	s.plain[from] = append(s.plain[from], p...)
	var records []byte
	for len(p) > 0 {
		n := min(len(p), 1+s.rnd.IntN(most))
		records = append(records, s.sealed(from, tlsApplicationData, p[:n])...)
		p = p[n:]
	}
	s.send(from, records)
}

// keyUpdate writes a KeyUpdate and goes on with the next keys.
func (s *tlsScript) keyUpdate(from TLSSide) {
	s.send(from, s.split(handshakeMessage(tlsMsgKeyUpdate, []byte{1}), s.sealedHandshake(from)))
	s.epoch[from].update(s.suite)
	s.keepKey(from)
}

func (s *tlsScript) closeNotify(from TLSSide) {
	s.send(from, s.sealed(from, tlsAlertRecord, []byte{1, 0}))
}

// play feeds the steps, in pieces of the given sizes.
func (s *tlsScript) play(t *TLS, sizes []byte) {
	i := 0
	for _, st := range s.steps {
		if st.log != nil {
			t.WriteKeyLog(st.log)
			continue
		}
		for b := st.bytes; len(b) > 0; i++ {
			n := len(b)
			if len(sizes) > 0 {
				n = min(n, 1+int(sizes[i%len(sizes)])*13)
			}
			piece := append([]byte(nil), b[:n]...)
			if st.from == TLSClient {
				t.FeedClient(piece)
			} else {
				t.FeedServer(piece)
			}
			clear(piece) // it must not have been kept
			b = b[n:]
		}
	}
}

// tlsWatch records what a TLS tells, and both streams of packets.
type tlsWatch struct {
	t      *TLS
	rec    [2]*recorder
	alerts []string
	late   []string
	opaque []string
	raw    *recorder // gets what is not TLS
}

func newTLSWatch() *tlsWatch {
	w := &tlsWatch{rec: [2]*recorder{newRecorder(), newRecorder()}}
	w.t = NewTLS(w.rec[TLSClient].r, w.rec[TLSServer].r, w)
	return w
}

func (w *tlsWatch) Alert(from TLSSide, a TLSAlert) {
	w.alerts = append(w.alerts, fmt.Sprintf("%v: %v", from, a))
}

func (w *tlsWatch) PostHandshake(from TLSSide, m TLSMessage) {
	w.late = append(w.late, fmt.Sprintf("%v: %v", from, m))
}

func (w *tlsWatch) NotTLS(TLSSide, []byte) Sink {
	w.raw = newRecorder()
	return w.raw.r
}

func (w *tlsWatch) Opaque(reason string) { w.opaque = append(w.opaque, reason) }

// check holds the packets seen against the plaintext.
func (w *tlsWatch) check(t *testing.T, plain [2][]byte) {
	t.Helper()
	if i := w.t.Info(); i.State != TLSVisible {
		t.Fatalf("state %v, reason %q", i.State, i.Reason)
	}
	for side := range plain {
		same(t, w.rec[side].all, parse(plain[side], ShortPrefix))
	}
}
