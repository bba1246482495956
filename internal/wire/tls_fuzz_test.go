package wire

import (
	"crypto/tls"
	"math/rand/v2"
	"strings"
	"testing"
)

// Any split of any conversation gives the packets that were sent.
func FuzzTLSConversation(f *testing.F) {
	f.Add(uint64(1), uint8(0), []byte{})
	f.Add(uint64(2), uint8(1), []byte{0})
	f.Add(uint64(3), uint8(2), []byte{0, 3, 255})
	f.Add(uint64(4), uint8(4), []byte{1, 0, 90})
	f.Add(uint64(5), uint8(10), []byte{7})
	f.Fuzz(func(t *testing.T, seed uint64, suite uint8, sizes []byte) {
		s := converse(rand.New(rand.NewPCG(seed, 1)), &tlsSuites[int(suite)%len(tlsSuites)])
		w := newTLSWatch()
		w.rec[0].runs, w.rec[1].runs = seed%2 == 0, seed%3 == 0
		s.play(w.t, sizes)
		w.check(t, s.plain)
	})
}

// FuzzTLSLive is the same with crypto/tls on both sides, which has no way to ask
// for a KeyUpdate: those come from the scripts above and from OpenSSL.
func FuzzTLSLive(f *testing.F) {
	ecdsa, rsa := tlsCertificate(f, false), tlsCertificate(f, true)
	f.Add(uint64(1), uint8(0), []byte{}, []byte{})
	f.Add(uint64(2), uint8(1), []byte{3}, []byte{0, 9, 128})
	f.Add(uint64(3), uint8(2), []byte{255, 0, 128, 127}, []byte{129})
	for i := range tlsSuites {
		f.Add(uint64(4), uint8(i), []byte{0, 30}, []byte{200, 4})
	}
	f.Fuzz(func(t *testing.T, seed uint64, suite uint8, writes, reads []byte) {
		if sizes(writes).mean() < 64 || sizes(reads).mean() < 16 {
			return // a hundred thousand records or reads
		}
		s := tlsSuites[int(suite)%len(tlsSuites)]
		client := &tls.Config{MinVersion: s.version, MaxVersion: s.version}
		server := &tls.Config{Certificates: []tls.Certificate{ecdsa}}
		if s.version == tls.VersionTLS12 {
			client.CipherSuites = []uint16{s.id}
			server.CipherSuites = client.CipherSuites // also those that crypto/tls leaves out by default
			if strings.Contains(tls.CipherSuiteName(s.id), "_RSA_") {
				server.Certificates = []tls.Certificate{rsa}
			}
		}
		w, state, plain := tlsTalkIn(t, server, client, seed, writes, reads)
		w.sees(t, plain, state)
	})
}

// Nothing that the two sides send makes a TLS panic or keep much; and how it
// comes makes no difference to what is seen of it.
func FuzzTLSBytes(f *testing.F) {
	f.Add(uint64(1), uint8(0), []byte{0, 4, 1}, []byte{3})
	f.Add(uint64(2), uint8(3), []byte{10, 4, 1, 9, 9, 9}, []byte{0})
	f.Add(uint64(3), uint8(2), []byte{3, 0, 255, 3, 1, 7}, []byte{200, 1})
	f.Fuzz(func(t *testing.T, seed uint64, suite uint8, spoil, sizes []byte) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := converse(rnd, &tlsSuites[int(suite)%len(tlsSuites)])
		for ; len(spoil) >= 3; spoil = spoil[3:] { // step, offset, what
			b := s.steps[int(spoil[0])%len(s.steps)].bytes
			if len(b) > 0 {
				b[int(spoil[1])%len(b)] ^= spoil[2]
			}
		}
		var first *tlsWatch
		for _, cut := range [][]byte{nil, sizes} {
			w := newTLSWatch()
			s.play(w.t, cut)
			if n := len(w.t.server.held()) + len(w.t.client.held()); n > tlsMaxHeld {
				t.Fatalf("%d bytes held", n)
			}
			if first == nil {
				first = w
				continue
			}
			if a, b := first.t.Info().State, w.t.Info().State; a != b {
				t.Fatalf("%v (%s) or %v (%s) by the cut", a, first.t.Info().Reason, b, w.t.Info().Reason)
			}
			for side := range w.rec {
				same(t, w.rec[side].all, first.rec[side].all)
			}
		}
	})
}

// FuzzTLSRandom feeds bytes that no TLS wrote.
func FuzzTLSRandom(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"), []byte("\x15\x03\x03\x00\x02\x02\x28"), []byte("CLIENT_RANDOM 00 00\n"))
	f.Add(record(tlsApplicationData, make([]byte, 30)), packetOf(0, 20, 0xFF), []byte("\n\n  \n"))
	f.Fuzz(func(t *testing.T, client, server, log []byte) {
		w := newTLSWatch()
		w.t.FeedClient(client)
		w.t.PeekServer(server)
		w.t.FeedServer(server)
		w.t.WriteKeyLog(log)
		w.t.FeedServer(client)
		w.t.FeedClient(server)
		w.t.Zero()
	})
}
