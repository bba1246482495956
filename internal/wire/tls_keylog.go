package wire

import (
	"bytes"
	"encoding/hex"
)

// tlsLabel names a secret in a key log.
// https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-05.html
type tlsLabel uint8

const (
	tlsMasterSecret tlsLabel = iota // of TLS 1.2
	tlsClientHandshakeSecret
	tlsServerHandshakeSecret
	tlsClientTrafficSecret
	tlsServerTrafficSecret

	tlsLabels int = iota
)

func (l tlsLabel) String() string {
	switch l {
	case tlsMasterSecret:
		return "CLIENT_RANDOM"
	case tlsClientHandshakeSecret:
		return "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
	case tlsServerHandshakeSecret:
		return "SERVER_HANDSHAKE_TRAFFIC_SECRET"
	case tlsClientTrafficSecret:
		return "CLIENT_TRAFFIC_SECRET_0"
	case tlsServerTrafficSecret:
		return "SERVER_TRAFFIC_SECRET_0"
	}
	return "unknown"
}

// tlsSecrets holds the secrets of one connection until the traffic keys are
// derived.
type tlsSecrets struct {
	hello        bool // clientRandom is known
	answered     bool // so are serverRandom, version and suite
	late         bool // the client's records wait for secrets, too
	clientRandom [tlsRandomLen]byte
	serverRandom [tlsRandomLen]byte

	known  [tlsLabels]tlsSecret
	resume tlsSecret // see TLS.OfferSession
}

type tlsSecret struct {
	n int
	b [tlsMaxSecretLen]byte
}

func (s *tlsSecret) set(b []byte) { s.n = copy(s.b[:], b) }

func (s *tlsSecret) get() []byte {
	if s.n == 0 {
		return nil
	}
	return s.b[:s.n]
}

func (s *tlsSecrets) get(l tlsLabel) []byte { return s.known[l].get() }

// master returns the master secret of TLS 1.2. That of a session that is resumed
// is not written to the key log again by crypto/tls.
func (s *tlsSecrets) master(resumed bool) []byte {
	m := s.get(tlsMasterSecret)
	if m == nil && resumed {
		s.known[tlsMasterSecret] = s.resume
		m = s.get(tlsMasterSecret)
	}
	return m
}

// WriteKeyLog takes what crypto/tls writes to a tls.Config.KeyLogWriter: whole
// lines. Lines of other connections and whatever else is not understood are
// left out. Records that waited for a secret go to the sinks from here.
func (t *TLS) WriteKeyLog(lines []byte) {
	took := t.borrow()
	for line := range bytes.SplitSeq(lines, []byte("\n")) {
		t.keyLogLine(bytes.TrimSuffix(line, []byte("\r")))
	}
	for _, h := range [...]*tlsHalf{&t.client, &t.server} {
		if h.phase != tlsPlain && !h.epoch.ready && !t.opaque() {
			h.install()
		}
	}
	t.server.retry()
	t.client.retry() // see Late
	if took {
		t.giveBack()
	}
}

func (t *TLS) keyLogLine(line []byte) {
	if t.secrets == nil {
		return
	}
	name, rest, _ := bytes.Cut(line, []byte(" "))
	random, secret, _ := bytes.Cut(rest, []byte(" "))
	var r [tlsRandomLen]byte
	var s tlsSecret
	if len(random) != 2*len(r) || len(secret)%2 != 0 || len(secret) > 2*len(s.b) {
		return
	}
	if _, err := hex.Decode(r[:], random); err != nil || r != t.secrets.clientRandom {
		return
	}
	n, err := hex.Decode(s.b[:], secret)
	if err != nil {
		return
	}
	s.n = n
	for l := tlsMasterSecret; int(l) < tlsLabels; l++ {
		if string(name) == l.String() {
			t.secrets.known[l] = s
		}
	}
}
