package wire

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// tlsSettled is a conversation that is past the handshake, and a TLS that saw it.
func tlsSettled(seed uint64, suite *tlsSuite) (*tlsScript, *tlsWatch) {
	s := newTLSScript(rand.New(rand.NewPCG(seed, 3)), suite)
	s.handshake(false)
	s.data(TLSClient, packetOf(0, 10, 3), 100)
	s.data(TLSServer, packetOf(1, 10, 0), 100)
	w := newTLSWatch()
	s.play(w.t, nil)
	s.steps, s.plain = nil, [2][]byte{}
	w.rec[TLSClient].all, w.rec[TLSServer].all, w.late = nil, nil, nil
	return s, w
}

// bytesFrom returns what a side sent since tlsSettled.
func (s *tlsScript) bytesFrom(side TLSSide) (b []byte) {
	for _, st := range s.steps {
		if st.from == side {
			b = append(b, st.bytes...)
		}
	}
	return b
}

func TestTLSPeekKinds(t *testing.T) {
	farewell := packet(0, []byte("\xff\xbf\x0f#HY000The client was disconnected by the server because of inactivity."))
	for _, c := range []struct {
		name   string
		write  func(s *tlsScript)
		cut    int // bytes that have not come yet
		kind   TLSPeekKind
		plain  []byte
		closed bool
	}{
		{name: "nothing", write: func(*tlsScript) {}, kind: TLSPeekIncomplete},
		{name: "ticket and key update", kind: TLSPeekPostHandshake, write: func(s *tlsScript) {
			s.send(TLSServer, s.sealed(TLSServer, tlsHandshakeRecord, handshakeMessage(tlsMsgNewSessionTicket, s.noise(200))))
			s.keyUpdate(TLSServer)
		}},
		{name: "farewell", kind: TLSPeekData, plain: farewell, closed: true, write: func(s *tlsScript) {
			s.keyUpdate(TLSServer)
			s.data(TLSServer, farewell, 1000)
			s.closeNotify(TLSServer)
		}},
		{name: "close", kind: TLSPeekCloseNotify, closed: true, write: func(s *tlsScript) { s.closeNotify(TLSServer) }},
		{name: "alert", kind: TLSPeekAlert, write: func(s *tlsScript) {
			s.send(TLSServer, s.sealed(TLSServer, tlsAlertRecord, []byte{2, 80}))
		}},
		{name: "half a record", cut: 1, kind: TLSPeekIncomplete, write: func(s *tlsScript) { s.data(TLSServer, farewell, 1000) }},
		{name: "plaintext", kind: TLSPeekNotTLS, plain: farewell, write: func(s *tlsScript) { s.send(TLSServer, farewell) }},
	} {
		s, w := tlsSettled(1, &tlsSuites[0])
		c.write(s)
		b := s.bytesFrom(TLSServer)
		b = b[:len(b)-c.cut]
		before := w.t.server.records
		for range 2 { // it must not change anything
			p := w.t.PeekServer(b)
			if p.Kind != c.kind || !bytes.Equal(p.Plain, c.plain) || p.Closed != c.closed {
				t.Errorf("%s: got %v, closed %v, %q", c.name, p.Kind, p.Closed, p.Plain)
			}
		}
		if len(w.late)+len(w.alerts)+len(w.opaque)+len(w.rec[TLSServer].all) > 0 || w.raw != nil || w.t.server.records != before {
			t.Errorf("%s: the peek had an effect", c.name)
		}
	}
}

func TestTLSPeekOpaque(t *testing.T) {
	s, w := tlsSettled(1, &tlsSuites[0])
	w.t.GiveUp("by option")
	s.data(TLSServer, packetOf(0, 10, 0xFF), 1000)
	if p := w.t.PeekServer(s.bytesFrom(TLSServer)); p.Kind != TLSPeekOpaque {
		t.Errorf("got %v", p.Kind)
	}
	if p := w.t.PeekServer(s.bytesFrom(TLSServer)[:9]); p.Kind != TLSPeekIncomplete {
		t.Errorf("got %v", p.Kind)
	}
}

// A buffer that is too small for a record is told so, and then is not.
func TestTLSPeekMissing(t *testing.T) {
	for _, hide := range []bool{false, true} {
		s, w := tlsSettled(1, &tlsSuites[0])
		if hide {
			w.t.GiveUp("by option")
		}
		s.closeNotify(TLSServer)
		s.data(TLSServer, make([]byte, 5000), 1)
		fullRecords(packetOf(1, 10000, 3))(s)
		b := s.bytesFrom(TLSServer)
		for cut := len(b) - 10000; cut < len(b); cut += 700 {
			if p := w.t.PeekServer(b[:cut]); p.Missing != len(b)-cut {
				t.Fatalf("got %d, want %d", p.Missing, len(b)-cut)
			}
		}
		if p := w.t.PeekServer(b); p.Missing != 0 {
			t.Errorf("got %d, want 0", p.Missing)
		}
		w.t.FeedServer(b[:len(b)-10]) // the record has begun
		if p := w.t.PeekServer(b[len(b)-10 : len(b)-3]); p.Missing != 3 {
			t.Errorf("got %d, want 3", p.Missing)
		}
	}
}

// What a peek shows is what the sink gets later, wherever the records are cut.
func TestTLSPeekAgrees(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite *tlsSuite) {
		for seed := range uint64(6) {
			s := converse(rand.New(rand.NewPCG(seed, 4)), suite)
			var client, server tlsPeeker // as sinks that take everything
			view := NewTLS(&client, &server, newTLSWatch())
			for _, st := range s.steps {
				switch {
				case st.log != nil:
					view.WriteKeyLog(st.log)
				case st.from == TLSClient:
					view.FeedClient(st.bytes)
				default:
					for b := range slices.Chunk(st.bytes, 1+s.rnd.IntN(30000)) {
						p, before := view.PeekServer(b), len(server.plain)
						view.FeedServer(b)
						if got := server.plain[before:]; !bytes.Equal(p.Plain, got) {
							t.Fatalf("seed %d: the peek showed %d bytes, the sink got %d", seed, len(p.Plain), len(got))
						}
					}
				}
			}
			if !bytes.Equal(client.plain, s.plain[TLSClient]) || !bytes.Equal(server.plain, s.plain[TLSServer]) {
				t.Fatalf("seed %d: the plaintext differs", seed)
			}
		}
	})
}
