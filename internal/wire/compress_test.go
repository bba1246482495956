package wire

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"math/rand/v2"
	"slices"
	"testing"
)

// stored makes a frame whose body is not compressed.
func stored(seq uint8, body []byte) []byte {
	n := len(body)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq, 0, 0, 0}, body...)
}

// deflated makes a frame of a body that is compressed already.
func deflated(seq uint8, body []byte, inflated int) []byte {
	b := stored(seq, body)
	b[4], b[5], b[6] = byte(inflated), byte(inflated>>8), byte(inflated>>16)
	return b
}

// writers are reused: a new one for every tiny frame is most of a test's time.
var writers = map[int]*zlib.Writer{}

// zlibOf compresses b.
func zlibOf(b []byte, level int) []byte {
	var out bytes.Buffer
	w := writers[level]
	if w == nil {
		w, _ = zlib.NewWriterLevel(&out, level)
		writers[level] = w
	}
	w.Reset(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func compressed(seq uint8, payload []byte, level int) []byte {
	return deflated(seq, zlibOf(payload, level), len(payload))
}

// framed cuts a stream into frames at random, and compresses some of them.
func framed(rnd *rand.Rand, stream []byte) (b []byte, frames []FrameHeader) {
	seq := uint8(rnd.Uint32())
	most := []int{5, 60, 400, 5000, 100000}[rnd.IntN(5)]
	most = max(most, len(stream)/200)
	for len(stream) > 0 {
		payload := stream[:min(len(stream), rnd.IntN(most+1))]
		stream = stream[len(payload):]
		h := FrameHeader{Seq: seq}
		var frame []byte
		if rnd.IntN(2) == 0 || len(payload) == 0 {
			frame = stored(seq, payload)
		} else {
			frame = compressed(seq, payload, rnd.IntN(10))
			h.Inflated = uint32(len(payload))
		}
		h.Length = uint32(len(frame) - 7)
		b = append(b, frame...)
		frames = append(frames, h)
		seq++
	}
	return b, frames
}

// inflation is an Inflater over a recorder, and what it told.
type inflation struct {
	*recorder
	f       Inflater
	frames  []FrameHeader
	corrupt []Corruption
}

func (i *inflation) Frame(h FrameHeader)  { i.frames = append(i.frames, h) }
func (i *inflation) Corrupt(c Corruption) { i.corrupt = append(i.corrupt, c) }

func newInflation() *inflation {
	i := &inflation{recorder: newRecorder()}
	i.f.Init(i.r, i)
	return i
}

// whole checks that a stream was seen to its end without complaint.
func (i *inflation) whole(t *testing.T, frames []FrameHeader, packets []seen) {
	t.Helper()
	if len(i.corrupt) > 0 || i.f.broken {
		t.Fatalf("corrupt: %v", i.corrupt)
	}
	if !slices.Equal(i.frames, frames) {
		t.Fatalf("got frames %v, want %v", i.frames, frames)
	}
	same(t, i.all, packets)
	if i.f.buf != nil {
		t.Fatal("a buffer was kept after the end of a frame")
	}
}

func TestInflaterSmall(t *testing.T) {
	ping := packet(0, []byte{14})
	rows := rowsStream(300, 30)
	cases := []struct {
		name    string
		frames  [][]byte
		payload []byte
	}{
		{"stored", [][]byte{stored(0, ping)}, ping},
		{"empty frame", [][]byte{stored(0, nil), stored(1, ping)}, ping},
		{"compressed", [][]byte{compressed(0, rows, 6)}, rows},
		{"no compression inside zlib", [][]byte{compressed(0, rows, 0)}, rows},
		{"header split over frames", [][]byte{stored(0, rows[:2]), compressed(1, rows[2:], 1)}, rows},
		{"header split over compressed frames", [][]byte{compressed(0, rows[:3], 6), compressed(1, rows[3:], 1)}, rows},
		{"packet split over frames", [][]byte{compressed(0, rows[:20], 6), stored(1, rows[20:35]), compressed(2, rows[35:], 9)}, rows},
		{"bytes after the zlib data", [][]byte{deflated(0, append(zlibOf(ping, 6), "junk"...), len(ping))}, ping},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			stream := bytes.Join(c.frames, nil)
			var frames []FrameHeader
			for _, f := range c.frames {
				frames = append(frames, parseFrameHeader(f))
			}
			for _, runs := range []bool{false, true} {
				for _, sizes := range [][]byte{nil, {1}, {6}, {7}, {8}, {0, 100, 3}} {
					i := newInflation()
					i.runs = runs
					feedSplit(t, &i.f, stream, sizes)
					i.whole(t, frames, parse(c.payload, ShortPrefix))
				}
				i := newInflation()
				i.runs = runs
				feedWanted(t, &i.f, stream)
				i.whole(t, frames, parse(c.payload, ShortPrefix))
			}
		})
	}
}

func TestInflaterAnyCut(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for round := range 200 {
		payload := randomStream(rnd, 1+rnd.IntN(80))
		if round%8 == 0 { // frames that need several tries
			payload = append(payload, packetOf(0, 90000)...)
			for n := range payload[len(payload)-80000:] {
				payload[len(payload)-80000+n] = byte(rnd.Uint32())
			}
			payload = append(payload, randomStream(rnd, 500)...)
		}
		stream, frames := framed(rnd, payload)
		want := parse(payload, ShortPrefix)
		sizes := randomSizes(rnd)
		for _, runs := range []bool{false, true} {
			for _, feed := range []func(Sink){
				func(s Sink) { feedSplit(t, s, stream, nil) },
				func(s Sink) { feedSplit(t, s, stream, sizes) },
				func(s Sink) { feedWanted(t, s, stream) },
			} {
				i := newInflation()
				i.runs = runs
				feed(&i.f)
				i.whole(t, frames, want)
				if i.f.Missing() != 0 {
					t.Fatalf("%d bytes missing at the end", i.f.Missing())
				}
			}
		}
	}
}

// incompressible are n bytes that zlib cannot make smaller.
func incompressible(n int) []byte {
	rnd := rand.New(rand.NewPCG(9, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// A huge frame of many packets is needed to its end: all tries of collect.
func TestInflaterHugeFrameOfRows(t *testing.T) {
	var payload []byte
	noise := incompressible(3 << 20)
	for i := range 3000 {
		payload = append(payload, packet(uint8(i), append([]byte{1}, noise[i*1000:][:1000]...))...)
	}
	frame := compressed(0, payload, 6)
	if n := len(frame); n < 2<<20 {
		t.Fatalf("the test's frame has %d bytes only", n)
	}
	for _, piece := range []int{len(frame), 1 << 20, 5000} {
		i := newInflation()
		i.runs = true
		most := 0
		for b := frame; len(b) > 0; {
			n := min(piece, len(b))
			i.f.Feed(b[:n])
			b = b[n:]
			most = max(most, cap(i.f.buf))
		}
		i.whole(t, []FrameHeader{parseFrameHeader(frame)}, parse(payload, ShortPrefix))
		if n := i.f.inflated; n > uint64(len(payload))*4/3 {
			t.Errorf("pieces of %d: inflated %d bytes for %d", piece, n, len(payload))
		}
		if most > len(frame) {
			t.Errorf("pieces of %d: buffer of %d for a frame of %d", piece, most, len(frame))
		}
	}
}

// A blob of several frames: of the first the head is needed, of the last the
// end, of those between nothing.
func TestInflaterDoesNotInflateBlobs(t *testing.T) {
	const frameLen = 1 << 20
	for name, blob := range map[string][]byte{"text": bytes.Repeat([]byte("seven words that compress very well indeed. "), 200000), "noise": incompressible(8 << 20)} {
		t.Run(name, func(t *testing.T) {
			payload := slices.Concat(packet(3, blob), packetOf(4, 7, 0xFE))
			var stream []byte
			var frames []FrameHeader
			for i, p := 0, payload; len(p) > 0; i++ {
				n := min(frameLen, len(p))
				f := compressed(uint8(i), p[:n], 6)
				frames = append(frames, parseFrameHeader(f))
				stream = append(stream, f...)
				p = p[n:]
			}
			last := uint64(len(payload)%frameLen + 1)
			for _, piece := range []int{len(stream), 4096} {
				i := newInflation()
				most := 0
				for b := stream; len(b) > 0; {
					n := min(piece, len(b))
					i.f.Feed(b[:n])
					b = b[n:]
					most = max(most, cap(i.f.buf))
				}
				i.whole(t, frames, parse(payload, ShortPrefix))
				// the last frame may need several tries
				if got := i.f.inflated; got > chunkLen+last*3/2+chunkLen {
					t.Errorf("pieces of %d: inflated %d bytes; the last frame has %d", piece, got, last)
				}
				if first := frames[0].Length; name == "text" && most > bodyLen {
					t.Errorf("pieces of %d: buffer of %d, first frame has %d", piece, most, first)
				}
			}
			i := newInflation()
			fed := 0
			lower := &countingSink{Sink: &i.f, fed: &fed}
			feedWanted(t, lower, stream)
			i.whole(t, frames, parse(payload, ShortPrefix))
			if most := bodyLen + int(frames[len(frames)-1].Length) + 7*len(frames); fed > most {
				t.Errorf("a layer below had to produce %d bytes of %d, want at most %d", fed, len(stream), most)
			}
		})
	}
}

// countingSink counts what is fed and not skipped.
type countingSink struct {
	Sink
	fed *int
}

func (c *countingSink) Feed(b []byte) int {
	*c.fed += len(b)
	return c.Sink.Feed(b)
}

// Of a stored blob a layer below need not produce anything but headers.
func TestInflaterPassesSkipThrough(t *testing.T) {
	payload := packetOf(0, 3<<20)
	var stream []byte
	for i, p := 0, payload; len(p) > 0; i++ {
		n := min(1<<20, len(p))
		stream = append(stream, stored(uint8(i), p[:n])...)
		p = p[n:]
	}
	i := newInflation()
	fed := 0
	feedWanted(t, &countingSink{Sink: &i.f, fed: &fed}, stream)
	same(t, i.all, parse(payload, ShortPrefix))
	if want := 4*frameHeaderLen + HeaderLen + PrefixLen; fed != want {
		t.Errorf("%d bytes were fed, want %d", fed, want)
	}
	if i.f.Missing() != 0 || i.r.Missing() != 0 {
		t.Errorf("missing %d and %d", i.f.Missing(), i.r.Missing())
	}
}

func TestInflaterMissing(t *testing.T) {
	payload := packetOf(0, 3000)
	for name, frame := range map[string][]byte{"stored": stored(0, payload), "compressed": compressed(0, payload, 6)} {
		t.Run(name, func(t *testing.T) {
			i := newInflation()
			for n := range frame {
				want := len(frame) - n
				switch {
				case n == 0:
					want = 0
				case n < frameHeaderLen:
					want = frameHeaderLen - n
				}
				if got := i.f.Missing(); got != want {
					t.Fatalf("after %d bytes %d missing, want %d", n, got, want)
				}
				if n > frameHeaderLen && name == "compressed" && i.r.Missing() != 0 {
					t.Fatalf("after %d bytes of an incomplete body the packet had begun", n)
				}
				i.f.Feed(frame[n : n+1])
			}
			if i.f.Missing() != 0 || i.r.Missing() != 0 {
				t.Errorf("at the end %d and %d missing", i.f.Missing(), i.r.Missing())
			}
		})
	}
}

// A packet whose rest passed unseen is complete at the end of the frame only.
func TestInflaterSkipsAtTheEndOfTheFrame(t *testing.T) {
	payload := packetOf(0, 200000)
	first, second := compressed(0, payload[:150000], 6), compressed(1, payload[150000:], 6)
	i := newInflation()
	i.f.Feed(first)
	if got := i.r.Missing(); got != len(payload)-150000 {
		t.Fatalf("after the first frame %d missing", got)
	}
	i.f.Feed(second[:len(second)-1])
	if i.r.Missing() == 0 {
		t.Error("the packet was complete before the frame")
	}
	i.f.Feed(second[len(second)-1:])
	if i.r.Missing() != 0 {
		t.Errorf("at the end %d missing", i.r.Missing())
	}
}

func TestInflaterCorrupt(t *testing.T) {
	rows := rowsStream(50, 40)
	z := zlibOf(rows, 6)
	changed := func(at int, with byte) []byte {
		c := slices.Clone(z)
		if at < 0 {
			at += len(c)
		}
		c[at] ^= with
		return c
	}
	wrongWindow := slices.Clone(z)
	wrongWindow[0] = 0x88
	cases := []struct {
		name  string
		frame []byte
		want  Corruption
	}{
		{"not zlib", deflated(0, []byte("GET / HTTP/1.1\r\n"), 100), CorruptHeader},
		{"window too large", deflated(0, wrongWindow, len(rows)), CorruptHeader},
		{"preset dictionary", deflated(0, append([]byte{0x78, 0xBB, 1, 2, 3, 4}, z[2:]...), len(rows)), CorruptHeader},
		{"zstd", deflated(0, []byte("\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00abc"), 100), CorruptZstd},
		{"reserved block type", deflated(0, []byte{0x78, 0x9C, 0x07, 0, 0, 0, 0, 0}, 100), CorruptData},
		{"checksum", deflated(0, changed(-1, 1), len(rows)), CorruptChecksum},
		{"cut in the data", deflated(0, z[:len(z)/2], len(rows)), CorruptCut},
		{"cut in the header", deflated(0, z[:1], len(rows)), CorruptCut},
		{"cut in the checksum", deflated(0, z[:len(z)-2], len(rows)), CorruptCut},
		{"no bytes", deflated(0, nil, len(rows)), CorruptCut},
		{"one less than announced", deflated(0, z, len(rows)+1), CorruptShort},
		{"nothing instead of something", deflated(0, []byte(nothing), 1), CorruptShort},
		{"one more than announced", deflated(0, z, len(rows)-1), CorruptLong},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			next := slices.Concat(stored(1, packetOf(0, 5)), compressed(2, rows, 6))
			for _, sizes := range [][]byte{nil, {1}, {20}} {
				i := newInflation()
				feedSplit(t, &i.f, append(slices.Clone(c.frame), next...), sizes)
				if !slices.Equal(i.corrupt, []Corruption{c.want}) || !i.f.broken {
					t.Fatalf("told %v, want %v", i.corrupt, c.want)
				}
				if len(i.frames) != 3 || i.f.Missing() != 0 || i.f.buf != nil {
					t.Errorf("frames %v, %d bytes missing", i.frames, i.f.Missing())
				}
				all := parse(rows, ShortPrefix)
				if len(i.all) > len(all) {
					t.Errorf("%d packets; inner went on being fed", len(i.all))
				}
			}
			i := newInflation()
			feedWanted(t, &i.f, append(slices.Clone(c.frame), next...))
			if !slices.Equal(i.corrupt, []Corruption{c.want}) || len(i.frames) != 3 {
				t.Errorf("fed what is wanted: %v, frames %v", i.corrupt, i.frames)
			}
		})
	}
}

func TestInflaterInnerStreamEnds(t *testing.T) {
	payload := slices.Concat(packetOf(0, 5), packetOf(1, 5))
	for name, frame := range map[string][]byte{"stored": stored(0, payload), "compressed": compressed(0, payload, 6)} {
		i := newInflation()
		i.onPacket = func(Header) { i.r.Stop() }
		if n := i.f.Feed(frame); n != len(frame) {
			t.Errorf("%s: took %d of %d", name, n, len(frame))
		}
		if !slices.Equal(i.corrupt, []Corruption{CorruptEnded}) || len(i.all) != 1 {
			t.Errorf("%s: %v, packets %v", name, i.corrupt, i.all)
		}
	}
}

// A frame that inflates to far more than it announces, and one that announces
// the most there is, cost what is announced and no more.
func TestInflaterBomb(t *testing.T) {
	rows := bytes.Repeat(packetOf(0, 251, 1), MaxPayload/255)
	z := zlibOf(bytes.Repeat(rows, 2), 1) // 32 MiB
	for _, announced := range []int{1, 1000, 1 << 20, len(rows)} {
		for _, piece := range []int{len(z) + frameHeaderLen, 10000} {
			i := newInflation()
			i.runs = true
			for b := deflated(0, z, announced); len(b) > 0; {
				n := min(piece, len(b))
				i.f.Feed(b[:n])
				b = b[n:]
			}
			if !slices.Equal(i.corrupt, []Corruption{CorruptLong}) {
				t.Fatalf("announced %d: %v", announced, i.corrupt)
			}
			// a try may come to the announced length before it comes to its end
			if limit := 4*announced + 1; int(i.f.inflated) > limit {
				t.Errorf("announced %d: inflated %d", announced, i.f.inflated)
			}
		}
	}
}

// The end of the zlib data may come after all that is announced, by as much as
// another try or an inflater's window away.
func TestInflaterVerifiesTheEnd(t *testing.T) {
	rows := rowsStream(100, 40)
	window := rowsStream(1<<15/32, 28) // what compress/flate hands out at a time
	// Blocks that contain nothing between the data and the end.
	late := func(checksum uint32) []byte {
		var out bytes.Buffer
		w := zlib.NewWriter(&out)
		w.Write(rows)
		w.Flush()
		out.Write(bytes.Repeat([]byte{0, 0, 0, 0xFF, 0xFF}, 100000))
		out.Write([]byte{3, 0})
		return binary.BigEndian.AppendUint32(out.Bytes(), checksum)
	}
	wrong := zlibOf(window, 6)
	wrong[len(wrong)-1]++
	for name, c := range map[string]struct {
		frame   []byte
		payload []byte
		want    []Corruption
	}{
		"far behind":             {deflated(0, late(adler32.Checksum(rows)), len(rows)), rows, nil},
		"far behind and wrong":   {deflated(0, late(1), len(rows)), rows, []Corruption{CorruptChecksum}},
		"window":                 {compressed(0, window, 6), window, nil},
		"window, wrong checksum": {deflated(0, wrong, len(window)), window, []Corruption{CorruptChecksum}},
	} {
		for _, sizes := range [][]byte{nil, {255}} {
			i := newInflation()
			feedSplit(t, &i.f, c.frame, sizes)
			if !slices.Equal(i.corrupt, c.want) || i.f.buf != nil || i.f.Missing() != 0 {
				t.Errorf("%s: %v", name, i.corrupt)
			}
			same(t, i.all, parse(c.payload, ShortPrefix))
		}
	}
}

// Deflate blocks that contain nothing cost no more than the bytes they take.
func TestInflaterEmptyBlocks(t *testing.T) {
	body := append([]byte{0x78, 0x9C}, bytes.Repeat([]byte{0, 0, 0, 0xFF, 0xFF}, 100000)...)
	body = append(body, 3, 0)
	body = binary.BigEndian.AppendUint32(body, adler32.Checksum(nil))
	i := newInflation()
	feedSplit(t, &i.f, deflated(0, body, 1000), []byte{255})
	if !slices.Equal(i.corrupt, []Corruption{CorruptShort}) {
		t.Errorf("%v", i.corrupt)
	}
}

func FuzzInflater(f *testing.F) {
	rnd := rand.New(rand.NewPCG(11, 12))
	for range 5 {
		b, _ := framed(rnd, randomStream(rnd, 20))
		f.Add(b, []byte{3, 200})
	}
	f.Add(deflated(0, []byte(nothing), 1), []byte{1})
	f.Add(deflated(0, []byte("\x28\xb5\x2f\xfd"), 9), []byte{1})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		var first *inflation
		for n, feed := range []func(Sink){
			func(s Sink) { feedSplit(t, s, stream, nil) },
			func(s Sink) { feedSplit(t, s, stream, []byte{1}) },
			func(s Sink) { feedSplit(t, s, stream, sizes) },
			func(s Sink) { feedWanted(t, s, stream) },
		} {
			i := newInflation()
			feed(&i.f)
			if n == 0 {
				first = i
				continue
			}
			if !slices.Equal(i.all, first.all) || !slices.Equal(i.frames, first.frames) ||
				!slices.Equal(i.corrupt, first.corrupt) || i.f.Missing() != first.f.Missing() || i.r.Missing() != first.r.Missing() {
				t.Fatalf("way %d: %v %v %v, at once: %v %v %v", n, i.frames, i.all, i.corrupt, first.frames, first.all, first.corrupt)
			}
		}
		PeekFrames(stream, make([]byte, PeekLen))
	})
}

// FuzzInflaterStream makes frames of arbitrary bytes and cuts.
func FuzzInflaterStream(f *testing.F) {
	rnd := rand.New(rand.NewPCG(13, 14))
	f.Add(randomStream(rnd, 20), uint64(1), []byte{3})
	f.Add(randomStream(rnd, 200), uint64(2), []byte{200, 1})
	f.Fuzz(func(t *testing.T, payload []byte, seed uint64, sizes []byte) {
		stream, frames := framed(rand.New(rand.NewPCG(seed, 0)), payload)
		for _, feed := range []func(Sink){
			func(s Sink) { feedSplit(t, s, stream, sizes) },
			func(s Sink) { feedWanted(t, s, stream) },
		} {
			i := newInflation()
			feed(&i.f)
			i.whole(t, frames, parse(payload, ShortPrefix))
		}
	})
}

func TestCompressionNames(t *testing.T) {
	names := map[string]bool{}
	for c := range CorruptEnded + 2 {
		names[fmt.Sprint("corruption ", c)] = true
	}
	for s := range PeekCorrupt + 2 {
		names[fmt.Sprint("peek ", s)] = true
	}
	if want := int(CorruptEnded) + 2 + int(PeekCorrupt) + 2; len(names) != want {
		t.Errorf("%d different names of %d: %v", len(names), want, names)
	}
}
