package wire

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// tlsRepeat is the view of a connection past its handshake, to which the same
// records can be fed again and again.
type tlsRepeat struct {
	w   *TLS
	h   *tlsHalf
	seq uint64
	b   []byte
}

func newTLSRepeat(suite *tlsSuite, write func(s *tlsScript)) *tlsRepeat {
	s, w := tlsSettled(11, suite)
	r := &tlsRepeat{w: w.t, h: &w.t.server, seq: w.t.server.epoch.seq}
	write(s)
	r.b = s.bytesFrom(TLSServer)
	c := &countHandler{r: new(Reader), runs: true}
	c.r.Init(c)
	r.w.SetSink(TLSServer, c.r)
	return r
}

func (r *tlsRepeat) feed(pieces int) {
	r.h.epoch.seq = r.seq
	for b := r.b; len(b) > 0; {
		n := min(len(b), (len(r.b)+pieces-1)/pieces)
		r.w.FeedServer(b[:n])
		b = b[n:]
	}
	if r.w.opaque() {
		panic(r.w.info.Reason)
	}
}

// selectOne is what a server sends for SELECT 1: five small packets in one record.
func selectOne(s *tlsScript) {
	p := packetOf(1, 1, 1)
	p = append(p, packetOf(2, 23, 3, 'd', 'e', 'f')...)
	p = append(p, packetOf(3, 5, 0xFE)...)
	p = append(p, packetOf(4, 2, 1, '1')...)
	p = append(p, packetOf(5, 5, 0xFE)...)
	s.data(TLSServer, p, 1<<14)
}

// fullRecords writes p in records as full as they can be.
func fullRecords(p []byte) func(s *tlsScript) {
	return func(s *tlsScript) {
		for rest := p; len(rest) > 0; {
			n := min(len(rest), 1<<14)
			s.send(TLSServer, s.sealed(TLSServer, tlsApplicationData, rest[:n]))
			rest = rest[n:]
		}
	}
}

// Benchmarks are for these: the other suites differ in the length of the key.
var tlsBenchSuites = []uint16{tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256}

func benchEachSuite(b *testing.B, f func(b *testing.B, suite *tlsSuite)) {
	for _, id := range tlsBenchSuites {
		name := strings.Split(tls.CipherSuiteName(id), "_")[1]
		b.Run(name, func(b *testing.B) { f(b, tlsSuiteOf(tls.VersionTLS13, id)) })
	}
}

// BenchmarkTLSCipher compares the two ways to decrypt the first n bytes of a
// record; where they cross is tlsBlockMax.
func BenchmarkTLSCipher(b *testing.B) {
	benchEachSuite(b, func(b *testing.B, suite *tlsSuite) {
		r := newTLSRepeat(suite, selectOne)
		k, s := &r.h.epoch.keys, new(tlsScratch)
		src, dst := make([]byte, 1<<14), make([]byte, 1<<14+tlsTagLen)
		for _, n := range []int{16, 64, 128, 192, 256, 512, 1024, 16384} {
			b.Run(fmt.Sprintf("blocks/%d", n), func(b *testing.B) {
				for b.Loop() {
					k.xor(s, dst[:n], src[:n], 0)
				}
			})
			b.Run(fmt.Sprintf("bulk/%d", n), func(b *testing.B) {
				for b.Loop() {
					k.bulk(s, dst, src[:n])
				}
			})
		}
	})
}

// BenchmarkTLSLook compares the two ways to see the packets of a full record,
// by their length: a look at each, and decrypting it whole. Where they cross is
// the gap.
func BenchmarkTLSLook(b *testing.B) {
	benchEachSuite(b, func(b *testing.B, suite *tlsSuite) {
		for _, size := range []int{60, 120, 250, 350, 450, 600, 1000, 4000} {
			plain := rowsStream(1<<14/(size+HeaderLen), size)
			r := newTLSRepeat(suite, fullRecords(plain))
			body := r.b[tlsHeaderLen:]
			c := body[:len(plain)]
			r.w.borrow()
			r.h.epoch.nextRecord(&r.w.scratch.nonce, nil)
			b.Run(fmt.Sprintf("looks/%d", size), func(b *testing.B) {
				for b.Loop() {
					for off := 0; off < len(c); {
						if n, _ := r.h.sink.Wants(); n > 0 {
							n = min(n, len(c)-off)
							r.h.skip(n)
							off += n
							continue
						}
						end := min(off&^15+tlsChunk, len(c))
						r.h.blocks(c, off, end)
						off = end
					}
				}
			})
			b.Run(fmt.Sprintf("whole/%d", size), func(b *testing.B) {
				for b.Loop() {
					r.h.whole(c, func(p []byte) { r.h.give(p) })
				}
			})
		}
	})
}

// BenchmarkTLSFeed is the whole way of a record, per record.
func BenchmarkTLSFeed(b *testing.B) {
	benchEachSuite(b, func(b *testing.B, suite *tlsSuite) {
		for _, c := range []struct {
			name   string
			write  func(*tlsScript)
			pieces int
		}{
			{"select1", selectOne, 1},
			{"rows30", fullRecords(rowsStream((1<<14)/34, 30)), 1},
			{"rows30/pieces", fullRecords(rowsStream((1<<14)/34, 30)), 4},
			{"rows1000", fullRecords(rowsStream((1<<14)/1004, 1000)), 1},
			{"blob", fullRecords(packetOf(0, 64<<14-HeaderLen, 3)), 1},
			{"blob/pieces", fullRecords(packetOf(0, 64<<14-HeaderLen, 3)), 256},
		} {
			b.Run(c.name, func(b *testing.B) {
				r := newTLSRepeat(suite, c.write)
				before := r.h.records
				b.ReportAllocs()
				for b.Loop() {
					r.feed(c.pieces)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(r.h.records-before), "ns/record")
			})
		}
	})
}

// BenchmarkTLSNew is what a connection costs once.
func BenchmarkTLSNew(b *testing.B) {
	s := newTLSScript(rand.New(rand.NewPCG(1, 1)), &tlsSuites[1])
	s.handshake(false)
	b.ReportAllocs()
	for b.Loop() {
		w := newTLSWatch()
		s.play(w.t, nil)
	}
}

// TestTicketsLeaveNothing: behind a handshake and its tickets, an idle connection has the keys and no more. What makes bulk fast comes
// with the first bulk, and a scratch is there only during a call.
func TestTicketsLeaveNothing(t *testing.T) {
	s, w := tlsSettled(11, tlsSuiteOf(tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256))
	for range 2 {
		s.send(TLSServer, s.sealedHandshake(TLSServer)(handshakeMessage(tlsMsgNewSessionTicket, s.noise(250))))
	}
	w.t.FeedServer(s.bytesFrom(TLSServer))
	server := &w.t.server
	if w.t.opaque() || len(w.late) != 2 {
		t.Fatalf("%v, told %v", w.t.Info(), w.late)
	}
	if server.epoch.keys.gcm != nil || server.msg != nil || server.tail != nil || server.buf != nil || w.t.scratch != nil {
		t.Errorf("left behind: gcm %v, message %v, tail %v, record %v, scratch %v",
			server.epoch.keys.gcm != nil, server.msg, server.tail, server.buf != nil, w.t.scratch != nil)
	}
}
