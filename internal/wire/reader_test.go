package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// seen is one packet as a Handler was told about it. For a packet that came in
// a Run only the sequence id is known, so length and prefix are left out.
type seen struct {
	length uint32
	seq    uint8
	prefix string
	run    bool
}

func (s seen) String() string {
	if s.run {
		return fmt.Sprintf("row#%d", s.seq)
	}
	return fmt.Sprintf("%d#%d%q", s.length, s.seq, s.prefix)
}

// recorder writes down what a Reader tells.
type recorder struct {
	r        *Reader
	all      []seen
	runBytes uint64
	runs     bool         // switch run mode on after every packet
	onPacket func(Header) // called after a packet was noted
}

func (c *recorder) Packet(h Header, prefix []byte) {
	c.all = append(c.all, seen{length: h.Length, seq: h.Seq, prefix: string(prefix)})
	if c.runs {
		c.r.SetRun(h.Length != MaxPayload, h.Seq+1)
	}
	if c.onPacket != nil {
		c.onPacket(h)
	}
}

func (c *recorder) Run(r Run) {
	for i := range r.Count {
		c.all = append(c.all, seen{seq: r.First + uint8(i), run: true})
	}
	if r.First+uint8(r.Count-1) != r.Last {
		panic(fmt.Sprintf("run of %d packets from id %d to %d", r.Count, r.First, r.Last))
	}
	c.runBytes += r.Bytes
}

func newRecorder() *recorder {
	c := &recorder{r: new(Reader)}
	c.r.Init(c)
	return c
}

// packet makes the bytes of one packet.
func packet(seq uint8, payload []byte) []byte {
	n := len(payload)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}, payload...)
}

// packetOf makes a packet of n payload bytes that begin with first.
func packetOf(seq uint8, n int, first ...byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i)
	}
	copy(p, first)
	return packet(seq, p)
}

// parse is the plain way to find the packets, for comparison: all bytes at
// once. It leaves out what a Reader cannot have told yet.
func parse(b []byte, p Prefix) (all []seen) {
	for len(b) >= 4 {
		n := int(b[0]) + int(b[1])*256 + int(b[2])*65536
		seq := b[3]
		b = b[4:]
		want := 0
		if n > 0 && p != NoPrefix {
			if len(b) == 0 {
				break
			}
			want = 32
			long := p == LongPrefix || p == GreetingPrefix
			if long || b[0] == 0xFF {
				want = 521
			}
			if long && n > 521 && b[0] != 0xFF {
				want = 3
				if b[0] == 10 && seq == 0 && n <= MaxGreeting {
					want = n
				}
			}
			if p == GreetingPrefix && b[0] != 10 && b[0] != 0xFF {
				want = 1
			}
			want = min(want, n)
		}
		if len(b) < want {
			break
		}
		all = append(all, seen{length: uint32(n), seq: seq, prefix: string(b[:want])})
		b = b[min(n, len(b)):]
	}
	return all
}

// same compares what was told with what parse found.
func same(t *testing.T, got, want []seen) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if g.run {
			if w.length == 0 || w.length == MaxPayload || w.prefix[0] >= 0xFE {
				t.Fatalf("packet %d: %v was counted as a row", i, w)
			}
			w = seen{seq: w.seq, run: true}
		}
		if g != w {
			t.Fatalf("packet %d: got %v, want %v", i, g, w)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("got %d packets, want %d", len(got), len(want))
	}
}

// feedSplit feeds b in pieces of the given sizes, in turn; a size of 0 makes an
// empty call, and without sizes all is fed at once.
func feedSplit(t testing.TB, s Sink, b []byte, sizes []byte) {
	t.Helper()
	for i := 0; len(b) > 0; i++ {
		n := len(b)
		if len(sizes) > 0 && i < 4*len(sizes)+1000 { // not forever in sizes of 0
			n = min(n, int(sizes[i%len(sizes)]))
		}
		if got := s.Feed(b[:n]); got != n {
			t.Fatalf("Feed took %d of %d bytes", got, n)
		}
		b = b[n:]
	}
}

// feedWanted feeds b as a layer does that produces only what is wanted.
func feedWanted(t testing.TB, s Sink, b []byte) {
	t.Helper()
	for len(b) > 0 {
		skip, want := s.Wants()
		if skip < 0 || want < 1 {
			t.Fatalf("Wants said %d, %d", skip, want)
		}
		if n := min(skip, len(b)); n > 0 {
			s.Skip(n)
			b = b[n:]
		}
		n := min(want, len(b))
		if got := s.Feed(b[:n]); got != n {
			t.Fatalf("Feed took %d of %d bytes", got, n)
		}
		b = b[n:]
	}
}

func TestReaderGolden(t *testing.T) {
	long := packetOf(3, 600, 0xFF)
	cases := []struct {
		name   string
		bytes  []byte
		prefix Prefix
		want   []string
	}{
		{"nothing", nil, ShortPrefix, nil},
		{"empty packet", packet(7, nil), ShortPrefix, []string{`0#7""`}},
		{"two empty packets", slices.Concat(packet(0, nil), packet(1, nil)), ShortPrefix, []string{`0#0""`, `0#1""`}},
		{"ping", packet(0, []byte{14}), ShortPrefix, []string{`1#0"\x0e"`}},
		{"header only", packet(0, []byte("abc"))[:4], ShortPrefix, nil},
		{"header only, nothing wanted", packet(0, []byte("abc"))[:4], NoPrefix, []string{`3#0""`}},
		{"prefix incomplete", packetOf(0, 40)[:4+31], ShortPrefix, nil},
		{"prefix complete, packet not", packet(0, bytes.Repeat([]byte("a"), 40))[:4+32], ShortPrefix,
			[]string{`40#0"` + strings.Repeat("a", 32) + `"`}},
		{"ERR", packet(1, []byte("\xff\x15\x04#28000no")), ShortPrefix, []string{`11#1"\xff\x15\x04#28000no"`}},
		{"long ERR", long, ShortPrefix, []string{fmt.Sprintf("600#3%q", long[4:4+521])}},
		{"long prefix", packet(1, bytes.Repeat([]byte("b"), 60)), LongPrefix, []string{`60#1"` + strings.Repeat("b", 60) + `"`}},
		{"greeting with a long version", packetOf(0, 3000, 10), LongPrefix, []string{fmt.Sprintf("3000#0%q", packetOf(0, 3000, 10)[4:])}},
		{"too long for a greeting", packetOf(0, MaxGreeting+1, 10), LongPrefix, []string{`8193#0"\n\x01\x02"`}},
		{"no greeting, and not whole", packet(0, bytes.Repeat([]byte("b"), 60))[:9], GreetingPrefix, []string{`60#0"b"`}},
		{"greeting, not whole", packetOf(0, 60, 10)[:9], GreetingPrefix, nil},
		{"no prefix", slices.Concat(packet(1, []byte("secret")), packet(2, nil)), NoPrefix, []string{`6#1""`, `0#2""`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, sizes := range [][]byte{nil, {1}, {3}, {4}, {5}, {0, 2}} {
				rec := newRecorder()
				rec.r.SetPrefix(c.prefix)
				feedSplit(t, rec.r, c.bytes, sizes)
				var got []string
				for _, s := range rec.all {
					got = append(got, s.String())
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("in pieces of %v: got %v, want %v", sizes, got, c.want)
				}
			}
		})
	}
}

func TestReaderContinuedPacket(t *testing.T) {
	// The continuation begins with what would be an ERR in a packet of its own:
	// it is shown like one, the Handler knows better. The third is empty.
	stream := slices.Concat(packetOf(1, MaxPayload, 'x'), packetOf(2, MaxPayload, 0xFF), packet(3, nil), packetOf(0, 5))
	want := parse(stream, ShortPrefix)
	if len(want) != 4 {
		t.Fatalf("%d packets in the test itself", len(want))
	}
	for _, size := range []int{len(stream), 1 << 16, 12345} {
		rec := newRecorder()
		rec.runs = true
		for b := stream; len(b) > 0; {
			n := min(size, len(b))
			rec.r.Feed(b[:n])
			b = b[n:]
		}
		same(t, rec.all, want)
	}
	rec := newRecorder()
	feedWanted(t, rec.r, stream)
	same(t, rec.all, want)
}

func TestReaderRun(t *testing.T) {
	// 600 rows with ids 250…255, 0…, and around them what is not a row.
	stream := packetOf(249, 3)
	var bytesOfRows int
	seq := uint8(250)
	for i := range 600 {
		stream = append(stream, packetOf(seq, 10+i%50, 1)...)
		bytesOfRows += 10 + i%50
		seq++
	}
	stream = append(stream, packetOf(seq, 7, 0xFE)...)

	rec := newRecorder()
	rec.runs = true
	rec.r.Feed(stream)
	same(t, rec.all, parse(stream, ShortPrefix))
	if n := len(rec.all); n != 602 || rec.all[0].run || !rec.all[1].run || !rec.all[600].run || rec.all[601].run {
		t.Errorf("%d packets, not one run between two packets", n)
	}
	if rec.runBytes != uint64(bytesOfRows) {
		t.Errorf("run of %d bytes, want %d", rec.runBytes, bytesOfRows)
	}
}

// A row of the binary protocol begins with 0x00.
func TestReaderBinaryRun(t *testing.T) {
	rec := newRecorder()
	rec.r.SetBinary(true)
	rec.r.SetRun(true, 1)
	stream := slices.Concat(packetOf(1, 9, 0), packetOf(2, 9, 0), packetOf(3, 9, 1), packetOf(4, 9, 0))
	rec.r.Feed(stream)
	same(t, rec.all, parse(stream, ShortPrefix))
	if len(rec.all) != 4 || !rec.all[1].run || rec.all[2].run {
		t.Errorf("told %v", rec.all)
	}
}

func TestReaderRunStopsAt(t *testing.T) {
	rows := slices.Concat(packetOf(1, 9, 1), packetOf(2, 9, 1))
	for name, p := range map[string][]byte{
		"ERR":             packetOf(3, 9, 0xFF),
		"EOF":             packetOf(3, 5, 0xFE),
		"empty":           packet(3, nil),
		"id skipped":      packetOf(4, 9, 1),
		"id repeated":     packetOf(2, 9, 1),
		"not whole":       packetOf(3, 100, 1)[:60],
		"begin of a blob": {0xFF, 0xFF, 0xFF, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			rec := newRecorder()
			rec.r.SetRun(true, 1)
			stream := append(slices.Clone(rows), p...)
			rec.r.Feed(stream)
			same(t, rec.all, parse(stream, ShortPrefix))
			if !rec.all[0].run || !rec.all[1].run || len(rec.all) > 2 && rec.all[2].run {
				t.Errorf("told %v", rec.all)
			}
		})
	}
}

// A row by itself in front of the end is a packet, whatever its length, the first or
// behind others; without the end it is the beginning of a run.
func TestReaderRowByItself(t *testing.T) {
	for _, length := range []int{1, 9, PrefixLen, PrefixLen + 1, 300, 0xFEFE} {
		row, end := packetOf(1, length, 1), packetOf(2, 5, 0xFE)
		rec := newRecorder()
		rec.r.SetRun(true, 1)
		rec.r.Feed(slices.Concat(row, end))
		same(t, rec.all, parse(slices.Concat(row, end), ShortPrefix))
		if len(rec.all) != 2 || rec.all[0].run || rec.all[1].run || rec.r.Missing() != 0 {
			t.Errorf("a row of %d bytes and the end: told %v, missing %d", length, rec.all, rec.r.Missing())
		}
		rec = newRecorder()
		rec.r.SetRun(true, 1)
		rec.r.Feed(row)
		if len(rec.all) != 1 || !rec.all[0].run {
			t.Errorf("a row of %d bytes: told %v", length, rec.all)
		}
	}
}

func TestReaderStop(t *testing.T) {
	ok := packetOf(2, 50)
	rest := []byte("\x16\x03\x01 something else")
	stream := slices.Concat(packetOf(0, 3), ok, rest)
	end := len(stream) - len(rest)

	stopping := func() *recorder {
		rec := newRecorder()
		rec.onPacket = func(h Header) {
			if h.Seq == 2 {
				rec.r.Stop()
			}
		}
		return rec
	}

	t.Run("at every split", func(t *testing.T) {
		for cut := 1; cut < len(stream); cut++ {
			rec := stopping()
			n := rec.r.Feed(stream[:cut])
			if n != min(cut, end) {
				t.Fatalf("cut at %d: took %d", cut, n)
			}
			if cut < end {
				if n := rec.r.Feed(stream[cut:]); n != end-cut {
					t.Fatalf("cut at %d: took %d of the second part, want %d", cut, n, end-cut)
				}
			}
			if len(rec.all) != 2 || rec.r.Missing() != 0 {
				t.Fatalf("cut at %d: %v, %d missing", cut, rec.all, rec.r.Missing())
			}
		}
	})
	t.Run("byte by byte", func(t *testing.T) {
		rec := stopping()
		feedSplit(t, rec.r, stream[:end], []byte{1})
		if rec.r.Missing() != 0 || len(rec.all) != 2 {
			t.Errorf("%v, %d missing", rec.all, rec.r.Missing())
		}
	})
	t.Run("goes on afterwards", func(t *testing.T) {
		rec := stopping()
		if n := rec.r.Feed(stream); n != end {
			t.Fatalf("took %d, want %d", n, end)
		}
		more := packetOf(0, 3)
		if n := rec.r.Feed(more); n != len(more) || len(rec.all) != 3 {
			t.Errorf("took %d of %d, packets %v", n, len(more), rec.all)
		}
	})
	t.Run("payload skipped", func(t *testing.T) {
		rec := stopping()
		feedWanted(t, rec.r, stream[:end])
		more := packetOf(0, 3)
		if n := rec.r.Feed(more); n != len(more) || len(rec.all) != 3 {
			t.Errorf("took %d of %d, packets %v", n, len(more), rec.all)
		}
	})
	t.Run("empty packet", func(t *testing.T) {
		rec := stopping()
		if n := rec.r.Feed(slices.Concat(packet(2, nil), rest)); n != HeaderLen {
			t.Errorf("took %d", n)
		}
	})
}

func TestReaderMissing(t *testing.T) {
	for _, p := range []Prefix{ShortPrefix, LongPrefix, NoPrefix, GreetingPrefix} {
		for _, first := range []byte{0, 0xFF} {
			stream := packetOf(0, 700, first)
			rec := newRecorder()
			rec.r.SetPrefix(p)
			for i := range stream {
				want := len(stream) - i
				switch {
				case i == 0:
					want = 0
				case i < HeaderLen:
					want = HeaderLen - i
				}
				if got := rec.r.Missing(); got != want {
					t.Fatalf("prefix %d: after %d bytes %d missing, want %d", p, i, got, want)
				}
				rec.r.Feed(stream[i : i+1])
			}
			if got := rec.r.Missing(); got != 0 {
				t.Fatalf("at the end %d missing", got)
			}
		}
	}
}

// The wanted length may change while a packet is half there: what one direction
// says decides how the other is looked at.
func TestReaderPrefixChangedInPacket(t *testing.T) {
	all := []Prefix{ShortPrefix, LongPrefix, NoPrefix, GreetingPrefix}
	stream := slices.Concat(packetOf(0, 600, 0xFF), packetOf(1, 40), packetOf(2, 3))
	for _, from := range all {
		for _, to := range all {
			for cut := range stream {
				rec := newRecorder()
				rec.r.SetPrefix(from)
				rec.r.Feed(stream[:cut])
				rec.r.SetPrefix(to)
				rec.r.Feed(stream[cut:])
				if len(rec.all) != 3 || rec.all[0].length != 600 || rec.all[1].length != 40 || rec.all[2].length != 3 || rec.r.Missing() != 0 {
					t.Fatalf("%d to %d at %d: %v", from, to, cut, rec.all)
				}
			}
		}
	}
}

func TestReaderForgetsSplitPrefix(t *testing.T) {
	rec := newRecorder()
	feedSplit(t, rec.r, packet(1, []byte("correct horse battery staple")), []byte{3})
	if bytes.Contains(rec.r.buf[:], []byte("horse")) {
		t.Error("the head of a payload is still in the reader's buffer")
	}
}

// randomStream makes packets of all kinds with mostly contiguous ids.
func randomStream(rnd *rand.Rand, packets int) []byte {
	var b []byte
	seq := uint8(rnd.Uint32())
	for range packets {
		n := rnd.IntN(60)
		switch rnd.IntN(12) {
		case 0:
			n = 0
		case 1:
			n = rnd.IntN(2000)
		}
		p := packetOf(seq, n)
		if n > 0 {
			p[4] = byte(rnd.Uint32())
			switch rnd.IntN(8) {
			case 0:
				p[4] = 0xFE
			case 1:
				p[4] = 0xFF
			}
		}
		b = append(b, p...)
		seq++
		if rnd.IntN(20) == 0 {
			seq = uint8(rnd.Uint32())
		}
	}
	return b
}

func TestReaderAnySplit(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		stream := randomStream(rnd, 1+rnd.IntN(60))
		checkSplits(t, stream, randomSizes(rnd))
	}
}

func randomSizes(rnd *rand.Rand) []byte {
	sizes := make([]byte, 1+rnd.IntN(8))
	most := []int{3, 8, 40, 256}[rnd.IntN(4)]
	for i := range sizes {
		sizes[i] = byte(rnd.IntN(most))
	}
	return sizes
}

// checkSplits holds every way to feed a stream against parse.
func checkSplits(t *testing.T, stream, sizes []byte) {
	t.Helper()
	for _, p := range []Prefix{ShortPrefix, LongPrefix, NoPrefix, GreetingPrefix} {
		want := parse(stream, p)
		for _, runs := range []bool{false, true} {
			if runs && p != ShortPrefix {
				continue // same compares the kinds of rows by their first byte
			}
			for _, feed := range []func(Sink){
				func(s Sink) { feedSplit(t, s, stream, nil) },
				func(s Sink) { feedSplit(t, s, stream, []byte{1}) },
				func(s Sink) { feedSplit(t, s, stream, sizes) },
				func(s Sink) { feedWanted(t, s, stream) },
			} {
				rec := newRecorder()
				rec.runs = runs
				rec.r.SetPrefix(p)
				feed(rec.r)
				same(t, rec.all, want)
			}
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x0e"), []byte{1, 2})
	f.Add(randomStream(rand.New(rand.NewPCG(3, 4)), 20), []byte{7})
	f.Add([]byte("\xff\xff\xff\x00abc\xff\x00\x00\x01"), []byte{0, 3})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) { checkSplits(t, stream, sizes) })
}

// countHandler tells nothing, so that only the Reader is measured.
type countHandler struct {
	r       *Reader
	packets int
	runs    bool
}

func (c *countHandler) Packet(h Header, _ []byte) {
	c.packets++
	if c.runs {
		c.r.SetRun(true, h.Seq+1)
	}
}
func (c *countHandler) Run(r Run) { c.packets += r.Count }

// rowsStream is a read of n rows with ids 0, 1, …
func rowsStream(n, size int) []byte {
	var b []byte
	for i := range n {
		b = append(b, packetOf(uint8(i), size, 3)...)
	}
	return b
}

func BenchmarkReader(b *testing.B) {
	perPacket := func(b *testing.B, c *countHandler, stream []byte, piece int) {
		c.r = new(Reader)
		c.r.Init(c)
		b.ReportAllocs()
		b.SetBytes(int64(len(stream)))
		for b.Loop() {
			for s := stream; len(s) > 0; {
				n := min(piece, len(s))
				c.r.Feed(s[:n])
				s = s[n:]
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(c.packets), "ns/packet")
	}
	for _, size := range []int{8, 40, 200} {
		rows := rowsStream(1024, size)
		b.Run(fmt.Sprintf("rows/%d", size), func(b *testing.B) {
			perPacket(b, &countHandler{runs: true}, rows, len(rows))
		})
		b.Run(fmt.Sprintf("rows/%d/reads-of-4096", size), func(b *testing.B) {
			perPacket(b, &countHandler{runs: true}, rows, 4096)
		})
		b.Run(fmt.Sprintf("packets/%d", size), func(b *testing.B) {
			perPacket(b, &countHandler{}, rows, len(rows))
		})
	}
	b.Run("blob", func(b *testing.B) {
		perPacket(b, &countHandler{}, packetOf(0, 1<<20), 1<<16)
	})
}
