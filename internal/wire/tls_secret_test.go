package wire

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"testing"
	"unsafe"
)

// memory is what lies in the TLS itself.
func (t *TLS) memory() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(t)), unsafe.Sizeof(*t))
}

// secretsOf lists the secrets and keys of a script, as they are now.
func secretsOf(s *tlsScript) map[string][]byte {
	m := map[string][]byte{}
	for side := range s.epoch {
		e := &s.epoch[side]
		m[fmt.Sprint(TLSSide(side), " iv")] = e.iv[:4]
		if s.is13() {
			m[fmt.Sprint(TLSSide(side), " secret")] = e.keys.secret(s.suite.hashLen())
		}
		if !s.suite.aes { // of AES only the key schedule is kept
			m[fmt.Sprint(TLSSide(side), " key")] = e.keys.key()
		}
	}
	return m
}

func TestTLSZero(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite *tlsSuite) {
		s, w := tlsSettled(5, suite)
		for name, secret := range secretsOf(s) {
			if !bytes.Contains(w.t.memory(), secret) {
				t.Errorf("%s: not found where it must be: the test is wrong", name)
			}
		}
		w.t.Zero()
		for name, secret := range secretsOf(s) {
			if bytes.Contains(w.t.memory(), secret) {
				t.Errorf("%s: not erased", name)
			}
		}
		for _, h := range []*tlsHalf{&w.t.client, &w.t.server} {
			if h.epoch != (tlsEpoch{}) {
				t.Errorf("the keys of the %v are still there", h.side)
			}
		}
		// Framing goes on.
		before := w.t.server.records
		s.data(TLSServer, rowsStream(100, 30), 500)
		s.play(w.t, []byte{4})
		if i := w.t.Info(); i.State != TLSOpaque || i.Reason != "the keys were erased" || i.Version != suite.version {
			t.Errorf("got %+v", i)
		}
		if w.t.server.records == before || len(w.rec[TLSServer].all) > 0 {
			t.Error("records are not counted, or are still seen")
		}
	})
}

// The secrets of the handshake go when the traffic keys are there.
func TestTLSForgetsHandshakeSecrets(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite *tlsSuite) {
		_, w := tlsSettled(6, suite)
		if w.t.secrets != nil {
			t.Error("secrets of the handshake are still there")
		}
	})
}

func TestTLSPrintsNoSecret(t *testing.T) {
	_, w := tlsSettled(7, tlsSuiteOf(tls.VersionTLS13, tls.TLS_CHACHA20_POLY1305_SHA256))
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		if got := fmt.Sprintf(format, w.t); got != "TLS(visible)" {
			t.Errorf("%s: %s", format, got)
		}
	}
}

// What an idle connection costs, the key schedules in crypto/aes included.
func TestTLSMemory(t *testing.T) {
	const inAES = 2*512 + 768 // two cipher.Block and the server's GCM, by size class
	n := unsafe.Sizeof(TLS{})
	t.Logf("%d bytes, and %d in crypto/aes if the server sent rows", n, inAES)
	if n += inAES; n > 3<<10 {
		t.Errorf("%d bytes", n)
	}
}
