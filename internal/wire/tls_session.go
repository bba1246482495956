package wire

import "crypto/tls"

// WatchSessions returns a cache that does what c does, and calls offer with the
// master secret of each session of TLS 1.2 that crypto/tls takes out of it in
// order to resume it, before the ClientHello is written. offer passes it on to
// OfferSession, under the lock of the connection.
//
// crypto/tls does not write the secret of a resumed session to the key log, and
// the alternative would be to keep the secrets of all sessions here.
func WatchSessions(c tls.ClientSessionCache, offer func(master []byte)) tls.ClientSessionCache {
	if c == nil {
		return nil // no resumption
	}
	return &tlsSessionWatch{c, offer}
}

type tlsSessionWatch struct {
	tls.ClientSessionCache
	offer func(master []byte)
}

func (w *tlsSessionWatch) Get(key string) (*tls.ClientSessionState, bool) {
	s, ok := w.ClientSessionCache.Get(key)
	if ok && s != nil {
		if m := tlsMasterOf(s); m != nil {
			w.offer(m)
			clear(m)
		}
	}
	return s, ok
}

// tlsMasterOf returns the master secret of a session of TLS 1.2, or nil. The
// encoding is that of crypto/tls.SessionState, which may change: then nothing
// fits, and resumed connections are opaque. A test holds it against the present
// one.
func tlsMasterOf(s *tls.ClientSessionState) []byte {
	_, state, err := s.ResumptionState()
	if err != nil || state == nil {
		return nil
	}
	b, err := state.Bytes()
	if err != nil {
		return nil
	}
	defer clear(b)
	p := tlsParser{b: b}
	version := p.uint16()
	p.bytes(1 + 2 + 8) // type, cipher suite, time of creation
	secret := p.bytes(p.uint8())
	if version != tls.VersionTLS12 || len(secret) != tlsMaxSecretLen {
		return nil
	}
	return append([]byte(nil), secret...)
}

// OfferSession tells the master secret of a TLS 1.2 session that the client is
// about to resume. It is used if the server agrees.
func (t *TLS) OfferSession(master []byte) {
	if t.secrets != nil && len(master) == tlsMaxSecretLen {
		t.secrets.resume.set(master)
	}
}
