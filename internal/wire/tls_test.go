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
				s.send(TLSServer, s.split(handshakeMessage(tlsMsgNewSessionTicket, s.noise(250)), s.sealedHandshake(TLSServer)))
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
	var want [2]uint32
	for _, st := range s.steps {
		for b := st.bytes; len(b) > 0; b = b[5+int(b[3])<<8+int(b[4]):] {
			want[st.from]++
		}
	}
	for _, hide := range []bool{false, true} {
		for _, sizes := range [][]byte{nil, {0}, {3, 90}} {
			w := newTLSWatch()
			if hide {
				w.t.GiveUp("by option")
			}
			s.play(w.t, sizes)
			for side, n := range want {
				if got := w.t.half(TLSSide(side)).records; got != n {
					t.Errorf("hidden %v, sizes %v, %v: %d records, want %d", hide, sizes, TLSSide(side), got, n)
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
			s.send(TLSServer, s.sealed(TLSServer, tlsHandshakeRecord, handshakeMessage(tlsMsgHelloRequest, nil)))
			s.send(TLSClient, s.sealed(TLSClient, tlsHandshakeRecord, s.clientHello()))
		}},
		{"behind a KeyUpdate", "behind a key_update", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			m := handshakeMessage(tlsMsgKeyUpdate, []byte{0})
			s.send(TLSServer, s.sealed(TLSServer, tlsHandshakeRecord, append(m, m...)))
		}},
		{"a message that is not due", "a finished of 3 bytes from the server after the handshake", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			s.send(TLSServer, s.sealed(TLSServer, tlsHandshakeRecord, handshakeMessage(tlsMsgFinished, s.noise(3))))
		}},
		{"a message of no known type", "a handshake message 99 of 3 bytes", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			s.send(TLSClient, s.sealed(TLSClient, tlsHandshakeRecord, handshakeMessage(99, s.noise(3))))
		}},
		{"a record of no known type", "an encrypted record type 24 record of 3 bytes", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			s.send(TLSClient, s.sealed(TLSClient, 24, s.noise(3)))
		}},
		{"change_cipher_spec afterwards", "renegotiation", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, func(s *tlsScript) {
			s.send(TLSClient, s.sealed(TLSClient, tlsChangeCipherSpec, []byte{1}))
		}},
		{"short record", "an application_data record of 7 bytes", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, func(s *tlsScript) {
			s.send(TLSClient, record(tlsApplicationData, s.noise(7)))
		}},
		{"early data", "application data from the client before a handshake", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			early := tlsStep{from: TLSClient, bytes: record(tlsApplicationData, s.noise(100))}
			s.steps = slices.Insert(s.steps, 1, early)
		}},
		{"two ServerHellos", "malformed or not due", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, func(s *tlsScript) {
			s.steps = slices.Insert(s.steps, 2, s.steps[1])
		}},
		{"malformed ServerHello", "malformed or not due", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			hello := s.serverHello(s.random[TLSServer])
			hello[4+2+32]++ // length of the session id
			s.steps = slices.Insert(s.steps, 1, tlsStep{from: TLSServer, bytes: record(tlsHandshakeRecord, hello)})
		}},
		{"long ServerHello", "a ServerHello of 9000 bytes", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			hello := handshakeMessage(tlsMsgServerHello, s.noise(9000))
			s.steps = slices.Insert(s.steps, 1, tlsStep{from: TLSServer, bytes: record(tlsHandshakeRecord, hello)})
		}},
		{"a flight without end", "the key log has no secrets of this connection", tls.TLS_AES_128_GCM_SHA256, func(s *tlsScript) {
			long := slices.Repeat(record(tlsApplicationData, s.noise(1<<14)), 9)
			s.steps = slices.Insert(s.steps, 2, tlsStep{from: TLSServer, bytes: long})
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
					if n := len(w.t.server.held()); n > 0 {
						t.Errorf("%d bytes held", n)
					}
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

// A record that the sink would skip is not kept until it is complete. If it
// turns out to be something else, that is told.
func TestTLSDropped(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		rest         func(s *tlsScript) []byte // the record after the beginning of a blob
	}{
		{"blob", "", func(s *tlsScript) []byte { return s.sealed(TLSServer, tlsApplicationData, make([]byte, 10000)) }},
		{"big ticket", "was not kept and has padding, or is not data", func(s *tlsScript) []byte {
			return s.sealed(TLSServer, tlsHandshakeRecord, handshakeMessage(tlsMsgNewSessionTicket, s.noise(10000)))
		}},
		{"first padding", "has padding", func(s *tlsScript) []byte {
			return s.sealed(TLSServer, 0, make([]byte, 10000))
		}},
	} {
		s, w := tlsSettled(4, &tlsSuites[0])
		s.data(TLSServer, packetOf(0, 50000, 3)[:1000], 1<<14)
		b := append(s.bytesFrom(TLSServer), c.rest(s)...)
		for p := range slices.Chunk(b, 3000) {
			w.t.FeedServer(p)
			if w.t.server.buf != nil {
				t.Errorf("%s: kept", c.name)
			}
		}
		if got := strings.Join(w.opaque, ","); c.reason == "" && got != "" || !strings.Contains(got, c.reason) {
			t.Errorf("%s: got %q", c.name, got)
		}
		if got := w.rec[TLSServer].r.Missing(); c.reason == "" && got != 50000+HeaderLen-1000-10000 {
			t.Errorf("%s: %d bytes missing", c.name, got)
		}
	}

	// The sink is exchanged in the middle of it, and wants what was not kept.
	s, w := tlsSettled(4, &tlsSuites[0])
	s.data(TLSServer, packetOf(0, 50000, 3)[:1000], 1<<14)
	s.data(TLSServer, make([]byte, 10000), 1<<14)
	b := append(s.bytesFrom(TLSServer), s.sealed(TLSServer, tlsApplicationData, make([]byte, 10000))...)
	w.t.FeedServer(b[:len(b)-3000])
	w.t.server.sink = newRecorder().r
	w.t.FeedServer(b[len(b)-3000:])
	if got := strings.Join(w.opaque, ","); !strings.Contains(got, "was not kept but is wanted") {
		t.Errorf("got %q", got)
	}
}

// A client that authenticates after the handshake does not change its keys.
func TestTLSPostHandshakeAuthentication(t *testing.T) {
	s, w := tlsSettled(4, &tlsSuites[0])
	s.send(TLSServer, s.sealed(TLSServer, tlsHandshakeRecord, handshakeMessage(tlsMsgCertificateRequest, s.noise(40))))
	for _, m := range []TLSMessage{tlsMsgCertificate, tlsMsgCertificateVerify, tlsMsgFinished} {
		s.send(TLSClient, s.sealed(TLSClient, tlsHandshakeRecord, handshakeMessage(m, s.noise(32))))
	}
	s.data(TLSClient, packetOf(0, 30, 3), 100)
	s.play(w.t, nil)
	w.check(t, s.plain)
	want := "server: certificate_request client: certificate client: certificate_verify client: finished"
	if got := strings.Join(w.late, " "); got != want {
		t.Errorf("got %s", got)
	}
}

// stubborn is a sink that takes nothing, against the rules.
type stubborn struct{}

func (stubborn) Wants() (skip, want int) { return 0, 1 }
func (stubborn) Skip(int)                {}
func (stubborn) Feed([]byte) int         { return 0 }

func TestTLSSinkTakesNothing(t *testing.T) {
	s, w := tlsSettled(4, &tlsSuites[0])
	w.t.SetSink(TLSServer, stubborn{})
	s.data(TLSServer, packetOf(0, 3000, 3), 1<<14)
	s.play(w.t, nil)
	if got := strings.Join(w.opaque, ","); got != "the sink of the server takes nothing" {
		t.Errorf("got %q", got)
	}
}

func TestTLSNames(t *testing.T) {
	for got, want := range map[fmt.Stringer]string{
		TLSClient: "client", TLSSide(9): "TLSSide(9)",
		TLSHandshake: "handshake", TLSVisible: "visible", TLSOpaque: "opaque", TLSState(9): "TLSState(9)",
		tlsMsgNewSessionTicket: "new_session_ticket", tlsMsgKeyUpdate: "key_update", TLSMessage(77): "handshake message 77",
		TLSPeekData: "data", TLSPeekCloseNotify: "close_notify", TLSPeekNotTLS: "not TLS", TLSPeekKind(9): "TLSPeekKind(9)",
		TLSAlert{2, 40}: "handshake failure", TLSAlert{1, 0}: "close notify",
		tlsHandshakeRecord: "handshake", tlsRecordType(9): "record type 9",
	} {
		if got.String() != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
