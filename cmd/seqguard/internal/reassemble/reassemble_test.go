package reassemble

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
)

// log is a Handler that writes down what it is told.
type log struct {
	got   [2][]byte // gaps as that many '?'
	gaps  [2]int64
	ends  [2][]End
	order []Side // of the pieces, runs of one side once
	gone  int
	last  int64
	t     testing.TB
	each  func(from Side, p []byte)
}

func (l *log) now(at int64) {
	if at < l.last {
		l.t.Errorf("time goes back: %d after %d", at, l.last)
	}
	l.last = at
}

func (l *log) Bytes(from Side, p []byte, at int64) {
	l.now(at)
	l.got[from] = append(l.got[from], p...)
	if n := len(l.order); n == 0 || l.order[n-1] != from {
		l.order = append(l.order, from)
	}
	if l.each != nil {
		l.each(from, p)
	}
}

func (l *log) Gap(from Side, n int64, at int64) {
	l.now(at)
	if n <= 0 {
		l.t.Errorf("a gap of %d bytes", n)
	}
	l.gaps[from] += n
	l.got[from] = append(l.got[from], bytes.Repeat([]byte("?"), int(min(n, 1<<20)))...)
}

func (l *log) End(from Side, how End, at int64) { l.now(at); l.ends[from] = append(l.ends[from], how) }
func (l *log) Gone(at int64)                    { l.now(at); l.gone++ }

// talk is a connection, segment by segment as both ends saw it.
type talk struct {
	client, server capture.Addr
	next           [2]uint32
	at             int64
	segments       []capture.Segment
	times          []int64
}

func newTalk(isn uint32) *talk {
	t := &talk{client: capture.Addr{Port: 50000}, server: capture.Addr{Port: 3306}, next: [2]uint32{isn, isn + 1e9}, at: 1e9}
	t.send(Client, capture.SYN, nil)
	t.send(Server, capture.SYN|capture.ACK, nil)
	t.send(Client, capture.ACK, nil)
	return t
}

func (t *talk) send(from Side, flags uint8, p []byte) {
	s := capture.Segment{Src: t.client, Dst: t.server, Seq: t.next[from], Ack: t.next[from.Other()], Flags: flags, Payload: p}
	if from == Server {
		s.Src, s.Dst = s.Dst, s.Src
	}
	t.next[from] += uint32(len(p))
	if flags&(capture.SYN|capture.FIN) != 0 {
		t.next[from]++
	}
	t.at += 1e5
	t.segments, t.times = append(t.segments, s), append(t.times, t.at)
}

// say sends one side's bytes in segments of random length.
func (t *talk) say(r *rand.Rand, from Side, p []byte) {
	for len(p) > 0 {
		n := 1 + r.IntN(min(len(p), 1460))
		t.send(from, capture.ACK|capture.PSH, p[:n])
		p = p[n:]
	}
}

func (t *talk) bye() {
	t.send(Client, capture.ACK|capture.FIN, nil)
	t.send(Server, capture.ACK|capture.FIN, nil)
	t.send(Client, capture.ACK, nil)
}

// exchange is a conversation of questions and answers of random lengths.
func exchange(r *rand.Rand, rounds int) (*talk, [2][]byte) {
	t := newTalk(r.Uint32())
	var said [2][]byte
	for range rounds {
		for _, side := range []Side{Client, Server} {
			p := make([]byte, 1+r.IntN(6000))
			for i := range p {
				p[i] = byte(r.IntN(256))
			}
			said[side] = append(said[side], p...)
			t.say(r, side, p)
		}
	}
	t.bye()
	return t, said
}

func run(t testing.TB, limits Limits, segments []capture.Segment, times []int64) (*log, *Flow, *Table) {
	l := &log{t: t}
	var flow *Flow
	tab := NewTable(limits)
	tab.Open = func(f *Flow, _ int64) Handler {
		if flow != nil {
			t.Errorf("a second connection")
		}
		flow = f
		return l
	}
	for i := range segments {
		tab.Segment(&segments[i], times[i])
	}
	tab.Close()
	if l.gone != 1 {
		t.Errorf("Gone was called %d times", l.gone)
	}
	if tab.held != 0 || len(tab.waiting) != 0 || len(tab.flows) != 0 {
		t.Errorf("left behind: %d bytes, %d waiting, %d flows", tab.held, len(tab.waiting), len(tab.flows))
	}
	return l, flow, tab
}

// TestDisorder: whatever the order, and whatever comes twice or overlaps, both
// streams come out whole, and no answer before its question.
func TestDisorder(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		const rounds = 6
		c, said := exchange(r, rounds)
		segments := append([]capture.Segment(nil), c.segments...)
		for i := 3; i < len(segments); i++ { // behind the handshake
			switch r.IntN(6) {
			case 0: // later
				j := min(len(segments)-1, i+1+r.IntN(12))
				segments[i], segments[j] = segments[j], segments[i]
			case 1: // again
				segments = append(segments[:i+1], segments[i:]...)
				i++
			case 2: // again, from further ahead: Linux joins what it sends anew
				if len(segments[i].Payload) > 0 {
					segments = append(segments[:i+1], append([]capture.Segment{joined(r, c, segments[i], said)}, segments[i+1:]...)...)
					i++
				}
			}
		}
		times := make([]int64, len(segments))
		for i := range times {
			times[i] = int64(i) * 1e5
		}
		l, f, _ := run(t, Limits{}, segments, times)
		for _, side := range []Side{Client, Server} {
			if !bytes.Equal(l.got[side], said[side]) || l.gaps[side] != 0 {
				t.Fatalf("seed %d: side %d: %d bytes, want %d; %d in gaps", seed, side, len(l.got[side]), len(said[side]), l.gaps[side])
			}
		}
		if len(l.order) != 2*rounds {
			t.Fatalf("seed %d: %d turns, want %d", seed, len(l.order), 2*rounds)
		}
		if f.Middle || f.Ends[Server].Port != 3306 || len(l.ends[0]) != 1 || l.ends[0][0] != EndFIN || len(l.ends[1]) != 1 {
			t.Fatalf("seed %d: %+v, ends %v", seed, f, l.ends)
		}
	}
}

// joined is a segment with up to 500 bytes of what its sender sent before it.
func joined(r *rand.Rand, c *talk, s capture.Segment, said [2][]byte) capture.Segment {
	side, first := Client, c.segments[0].Seq+1
	if s.Src == c.server {
		side, first = Server, c.segments[1].Seq+1
	}
	from := int(s.Seq - first)
	more := r.IntN(min(from, 500) + 1)
	s.Payload = said[side][from-more : from+len(s.Payload)]
	s.Seq -= uint32(more)
	return s
}

// TestLoss: what is missing from the capture is told with its length, in its place.
func TestLoss(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		c, said := exchange(r, 8)
		var segments []capture.Segment
		var times []int64
		var lost [2]int64
		want := [2][]byte{append([]byte(nil), said[0]...), append([]byte(nil), said[1]...)}
		for i, s := range c.segments {
			if i > 2 && len(s.Payload) > 0 && r.IntN(10) == 0 {
				side, first := Client, c.segments[0].Seq+1
				if s.Src == c.server {
					side, first = Server, c.segments[1].Seq+1
				}
				lost[side] += int64(len(s.Payload))
				copy(want[side][s.Seq-first:], bytes.Repeat([]byte("?"), len(s.Payload)))
				continue
			}
			segments, times = append(segments, s), append(times, c.times[i])
		}
		l, f, _ := run(t, Limits{}, segments, times)
		for side := range 2 {
			if l.gaps[side] != lost[side] || f.Lost[side] != lost[side] || !bytes.Equal(l.got[side], want[side]) {
				t.Fatalf("seed %d: side %d: gaps of %d bytes, %d were lost; streams equal: %t", seed, side, l.gaps[side], lost[side], bytes.Equal(l.got[side], want[side]))
			}
		}
	}
}

// TestRetransmission: bytes that were lost on the network, not by the capture, are
// waited for.
func TestRetransmission(t *testing.T) {
	c := newTalk(4294967000) // the numbers pass zero
	c.send(Server, capture.ACK, []byte("greeting"))
	c.send(Client, capture.ACK, bytes.Repeat([]byte("a"), 1000))
	c.send(Client, capture.ACK, bytes.Repeat([]byte("b"), 1000))
	c.send(Client, capture.ACK, bytes.Repeat([]byte("c"), 1000))
	s := c.segments
	s = append(s[:4:4], s[5], s[6], s[4])
	tm := []int64{0, 1, 2, 3, 4, 5, 30e9} // half a minute later
	l, f, _ := run(t, Limits{}, s, tm)
	if l.gaps[Client] != 0 || len(l.got[Client]) != 3000 || f.Late[Client] != 2 {
		t.Errorf("%d bytes, %d in gaps, %d late", len(l.got[Client]), l.gaps[Client], f.Late[Client])
	}
}

func TestCutFrames(t *testing.T) {
	c := newTalk(1)
	c.send(Server, capture.ACK, []byte("0123456789"))
	c.send(Client, capture.ACK, []byte("abcdefghij"))
	c.bye()
	for i := range c.segments {
		if s := &c.segments[i]; len(s.Payload) > 4 {
			s.Payload, s.Cut = s.Payload[:4], 6
		}
	}
	l, _, _ := run(t, Limits{}, c.segments, c.times)
	if string(l.got[Server]) != "0123??????" || string(l.got[Client]) != "abcd??????" {
		t.Errorf("%q %q", l.got[Server], l.got[Client])
	}
}

func TestMiddleAndReset(t *testing.T) {
	c := newTalk(77)
	c.send(Server, capture.ACK, []byte("xx"))
	c.send(Client, capture.ACK, []byte("question"))
	c.send(Server, capture.ACK, []byte("answer"))
	c.send(Server, capture.ACK|capture.RST, nil)
	l, f, _ := run(t, Limits{}, c.segments[4:], c.times[4:])
	if !f.Middle || f.Ends[Server].Port != 3306 || string(l.got[Client]) != "question" || string(l.got[Server]) != "answer" {
		t.Errorf("%+v %q", f, l.got)
	}
	if fmt.Sprint(l.ends) != fmt.Sprint([2][]End{nil, {EndReset}}) {
		t.Errorf("ends %v", l.ends)
	}
}

// TestPortUsedAgain: a SYN begins another connection, also one that is not ended.
func TestPortUsedAgain(t *testing.T) {
	var logs []*log
	tab := NewTable(Limits{})
	tab.Open = func(*Flow, int64) Handler {
		logs = append(logs, &log{t: t})
		return logs[len(logs)-1]
	}
	for i := range uint32(3) {
		c := newTalk(1000 * i)
		c.send(Server, capture.ACK, fmt.Appendf(nil, "connection %d", i))
		for j := range c.segments {
			tab.Segment(&c.segments[j], int64(i)*1e9+c.times[j])
		}
	}
	tab.Close()
	for i, l := range logs {
		if string(l.got[Server]) != fmt.Sprintf("connection %d", i) || l.gone != 1 {
			t.Errorf("%q, gone %d", l.got[Server], l.gone)
		}
	}
	if len(logs) != 3 {
		t.Errorf("%d connections", len(logs))
	}
}

// TestBounds: what waits, and how many connections are kept, is bounded.
func TestBounds(t *testing.T) {
	tab := NewTable(Limits{Flows: 100, Ignored: 50, HeldBytes: 1 << 20, FlowBytes: 64 << 10})
	tab.Open = func(*Flow, int64) Handler { return &log{t: t} }
	r := rand.New(rand.NewPCG(1, 3))
	p := make([]byte, 1000)
	for i := range 30000 {
		s := capture.Segment{
			Src: capture.Addr{Port: uint16(r.IntN(1000) + 1)}, Dst: capture.Addr{Port: 3306},
			Seq: uint32(i%50) * 1500, Ack: r.Uint32N(1 << 20), Flags: capture.ACK, Payload: p,
		}
		tab.Segment(&s, int64(i)*1e3)
		if tab.held > 1<<20+2000 || tab.lists[0].n > 100 || tab.lists[1].n > 50 || len(tab.flows) > 150 || len(tab.waiting) > 100 {
			t.Fatalf("held %d, flows %d %d %d, waiting %d", tab.held, tab.lists[0].n, tab.lists[1].n, len(tab.flows), len(tab.waiting))
		}
	}
	tab.Close()
	if tab.held != 0 || len(tab.waiting) != 0 {
		t.Errorf("held %d, waiting %d", tab.held, len(tab.waiting))
	}
}

// Several answers in a row are lost: each gap is told between the question before
// it and the one behind it, not all of them before the next question.
func TestGapsBetweenQuestions(t *testing.T) {
	for _, rounds := range []int{3, 400} { // the end of the capture tells the gaps, and the number of segments
		k := newTalk(7)
		var segments []capture.Segment
		var times []int64
		for i := range rounds {
			k.send(Client, capture.ACK, []byte{byte(i), 'q'})
			n := len(k.segments)
			segments, times = append(segments, k.segments...), append(times, k.times...)
			k.send(Server, capture.ACK, []byte{byte(i), 'a', 'a'}) // lost, but for the last one
			k.segments, k.times = k.segments[n:], k.times[n:]
			if i < rounds-1 {
				k.segments, k.times = nil, nil
			}
		}
		segments, times = append(segments, k.segments...), append(times, k.times...)
		var order []byte
		l := &log{t: t}
		tab := NewTable(Limits{})
		tab.Open = func(*Flow, int64) Handler { return &ordered{l, &order} }
		for i := range segments {
			tab.Segment(&segments[i], times[i])
		}
		tab.Close()
		want := bytes.Repeat([]byte("q?"), rounds)
		want[len(want)-1] = 'a'
		if !bytes.Equal(order, want) {
			t.Errorf("%d rounds: %.40q…, want %.40q…", rounds, order, want)
		}
	}
}

// ordered is a log of what came in which order.
type ordered struct {
	*log
	order *[]byte
}

func (o *ordered) Bytes(from Side, p []byte, at int64) {
	*o.order = append(*o.order, "qa"[from])
	o.log.Bytes(from, p, at)
}

func (o *ordered) Gap(from Side, n int64, at int64) {
	*o.order = append(*o.order, '?')
	o.log.Gap(from, n, at)
}
