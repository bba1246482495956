package wire

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func eachSuite(t *testing.T, f func(t *testing.T, suite *tlsSuite)) {
	for i := range tlsSuites {
		t.Run(tls.CipherSuiteName(tlsSuites[i].id), func(t *testing.T) { f(t, &tlsSuites[i]) })
	}
}

// converse writes a whole conversation: all that may happen, at random.
func converse(rnd *rand.Rand, suite *tlsSuite) *tlsScript {
	s := newTLSScript(rnd, suite)
	if rnd.IntN(3) == 0 {
		s.pad = 1 + rnd.IntN(600)
	}
	s.handshake(rnd.IntN(2) == 0)
	most := []int{20, 300, 16384, 16384}[rnd.IntN(4)]
	for range 10 {
		from := TLSSide(rnd.IntN(2))
		switch rnd.IntN(6) {
		case 0:
			s.data(from, packetOf(0, rnd.IntN(60000), 3), most)
		case 1:
			s.data(from, rowsStream(1+rnd.IntN(400), 1+rnd.IntN(90)), most)
		case 2:
			if s.is13() {
				s.keyUpdate(from)
			}
		case 3:
			if s.is13() {
				s.send(TLSServer, s.split(handshakeMessage(TLSNewSessionTicket, s.noise(250)), s.sealedHandshake(TLSServer)))
			}
		default:
			s.data(from, randomStream(rnd, 1+rnd.IntN(60)), most)
		}
	}
	s.closeNotify(TLSClient)
	return s
}

func TestTLSScripts(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite *tlsSuite) {
		seeds := uint64(10)
		if tlsUnderRace {
			seeds = 2
		}
		for seed := range seeds {
			rnd := rand.New(rand.NewPCG(seed, 1))
			s := converse(rnd, suite)
			for _, sizes := range [][]byte{nil, {0}, randomSizes(rnd)} {
				for _, runs := range []bool{false, true} {
					w := newTLSWatch()
					w.rec[0].runs, w.rec[1].runs = runs, runs
					s.play(w.t, sizes)
					t.Logf("seed %d, sizes %v", seed, sizes)
					w.check(t, s.plain)
					if got := w.alerts; !slices.Equal(got, []string{"client: close notify"}) {
						t.Fatal("alerts:", got)
					}
				}
			}
		}
	})
}

// The records are counted the same however they come, seen through or not.
func TestTLSCounts(t *testing.T) {
	s := converse(rand.New(rand.NewPCG(3, 1)), &tlsSuites[0])
	var want [2]TLSCounts
	for _, st := range s.steps {
		want[st.from].Bytes += uint64(len(st.bytes))
		for b := st.bytes; len(b) > 0; b = b[5+int(b[3])<<8+int(b[4]):] {
			want[st.from].Records++
		}
	}
	for _, hide := range []bool{false, true} {
		for _, sizes := range [][]byte{nil, {0}, {3, 90}} {
			w := newTLSWatch()
			if hide {
				w.t.GiveUp("by option")
			}
			s.play(w.t, sizes)
			for side, c := range want {
				if got := w.t.Counts(TLSSide(side)); got != c {
					t.Errorf("hidden %v, sizes %v, %v: got %+v, want %+v", hide, sizes, TLSSide(side), got, c)
				}
			}
		}
	}
}

// Compression begins inside TLS: the rest of the bytes go to another sink.
func TestTLSSetSink(t *testing.T) {
	for _, length := range []int{7, 30, 90, 3000, 40000} { // of the last packet before
		for _, most := range []int{5, 64, 16384} {
			s := newTLSScript(rand.New(rand.NewPCG(uint64(length), uint64(most))), &tlsSuites[0])
			s.handshake(false)
			first := append(packetOf(0, 20, 10), packetOf(2, length, 0)...)
			second := randomStream(s.rnd, 40)
			s.data(TLSServer, append(slices.Clone(first), second...), most)
			for _, sizes := range [][]byte{nil, {0}, {9, 200}} {
				w := newTLSWatch()
				before, after := w.rec[TLSServer], newRecorder()
				before.onPacket = func(h Header) {
					if h.Seq == 2 {
						before.r.Stop()
						w.t.SetSink(TLSServer, after.r)
					}
				}
				s.play(w.t, sizes)
				same(t, before.all, parse(first, ShortPrefix))
				same(t, after.all, parse(second, ShortPrefix))
			}
		}
	}
}

func TestTLSNotTLS(t *testing.T) {
	refusal := packet(2, []byte("\xff\x13\x04#08S01Bad handshake"))
	refusal[0] = byte(len(refusal) - 4)
	for _, alert := range []bool{false, true} {
		for _, size := range []int{1, 2, 3, 100} {
			w := newTLSWatch()
			b := slices.Clone(refusal)
			if alert {
				b = append(record(tlsAlertRecord, []byte{2, 40}), b...)
			}
			for len(b) > 0 {
				n := min(size, len(b))
				w.t.FeedServer(b[:n])
				b = b[n:]
			}
			if w.raw == nil {
				t.Fatal("not noticed")
			}
			same(t, w.raw.all, parse(refusal, ShortPrefix))
			if got := strings.Join(w.alerts, ","); alert && got != "server: handshake failure" || !alert && got != "" {
				t.Error("alerts:", got)
			}
		}
	}
}

// Whatever does not fit makes a connection opaque, once and with a reason.
func TestTLSOpaque(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		suite        uint16
		spoil        func(s *tlsScript)
	}{
		{"no secrets", "the key log has no secrets of this connection", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			s.steps = slices.DeleteFunc(s.steps, func(st tlsStep) bool { return st.log != nil })
		}},
		{"no secrets 1.2", "the key log has no secrets of this connection", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, func(s *tlsScript) {
			s.steps = slices.DeleteFunc(s.steps, func(st tlsStep) bool { return st.log != nil })
		}},
		{"another connection's secrets", "the key log has no secrets of this connection", tls.TLS_AES_256_GCM_SHA384, func(s *tlsScript) {
			for i := range s.steps {
				if l := s.steps[i].log; l != nil {
					l[strings.IndexByte(string(l), ' ')+1] ^= 1
				}
			}
		}},
		{"wrong secret", "the keys do not fit", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, func(s *tlsScript) {
			for i := range s.steps {
				if l := s.steps[i].log; l != nil {
					l[len(l)-2] ^= 1
				}
			}
		}},
		{"renegotiation", "renegotiation", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, func(s *tlsScript) {
			s.send(TLSServer, s.sealed(TLSServer, tlsHandshakeRecord, handshakeMessage(TLSHelloRequest, nil)))
			s.send(TLSClient, s.sealed(TLSClient, tlsHandshakeRecord, s.clientHello()))
		}},
		{"behind a KeyUpdate", "behind a key_update", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			m := handshakeMessage(TLSKeyUpdate, []byte{0})
			s.send(TLSServer, s.sealed(TLSServer, tlsHandshakeRecord, append(m, m...)))
		}},
		{"huge record", "a record of 20000 bytes", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			s.send(TLSServer, record(tlsApplicationData, s.noise(20000)))
		}},
		{"empty record", "where an encrypted one was due", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			s.send(TLSServer, record(tlsApplicationData, nil))
		}},
		{"nothing but padding", "has no content type", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			s.pad = 0
			r := s.sealed(TLSServer, 0, make([]byte, 500))
			s.send(TLSServer, r)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range tlsSuites {
				if tlsSuites[i].id != c.suite {
					continue
				}
				s := newTLSScript(rand.New(rand.NewPCG(8, 8)), &tlsSuites[i])
				s.handshake(false)
				s.data(TLSClient, packetOf(0, 10, 3), 100)
				s.data(TLSServer, packetOf(1, 10, 0), 100)
				c.spoil(s)
				s.send(TLSServer, record(tlsApplicationData, s.noise(100)))
				for _, sizes := range [][]byte{nil, {0}} {
					w := newTLSWatch()
					s.play(w.t, sizes)
					if len(w.opaque) != 1 || !strings.Contains(w.opaque[0], c.reason) || w.t.Info().Reason != w.opaque[0] {
						t.Errorf("got %q, want %q", w.opaque, c.reason)
					}
				}
			}
		})
	}
}

// A suite or a version that cannot be seen through is told by name.
func TestTLSOpaqueSuite(t *testing.T) {
	for _, c := range []struct {
		version, suite uint16
		want           string
	}{
		{tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_CBC_SHA, "cipher suite TLS_RSA_WITH_AES_128_CBC_SHA has no stream mode"},
		{tls.VersionTLS13, 0x1304, "cipher suite 0x1304 has no stream mode"},
		{tls.VersionTLS11, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "TLS 1.1 is not seen through"},
	} {
		s := newTLSScript(rand.New(rand.NewPCG(8, 9)), &tlsSuite{version: c.version, id: c.suite})
		s.send(TLSClient, record(tlsHandshakeRecord, s.clientHello()))
		hello := record(tlsHandshakeRecord, s.serverHello(s.random[TLSServer]))
		hello[5+4+1] = byte(min(c.version, tls.VersionTLS12))
		s.send(TLSServer, hello)
		w := newTLSWatch()
		s.play(w.t, nil)
		if got := fmt.Sprint(w.opaque); !strings.Contains(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
		if i := w.t.Info(); i.Version != c.version || i.Suite != c.suite {
			t.Errorf("got %x %x", i.Version, i.Suite)
		}
	}
}
