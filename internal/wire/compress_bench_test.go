package wire

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"testing"
)

// quiet hears nothing, so that only the Inflater is measured.
type quiet struct{ frames int }

func (q *quiet) Frame(FrameHeader)  { q.frames++ }
func (q *quiet) Corrupt(Corruption) { panic("corrupt") }

func newQuiet(runs bool) (*Inflater, *countHandler) {
	c := &countHandler{r: new(Reader), runs: runs}
	c.r.Init(c)
	f := new(Inflater)
	f.Init(c.r, new(quiet))
	return f, c
}

func TestInflaterAllocatesNothingForStored(t *testing.T) {
	stream := bytes.Join([][]byte{
		stored(0, rowsStream(3, 40)), stored(1, nil), stored(2, packet(3, []byte{0xFE, 0, 0, 2, 0})), stored(3, packetOf(0, 5000)),
	}, nil)
	for _, size := range []int{len(stream), 100, 3} {
		f, _ := newQuiet(true)
		if n := testing.AllocsPerRun(50, func() {
			for b := stream; len(b) > 0; {
				n := min(size, len(b))
				f.Feed(b[:n])
				b = b[n:]
			}
		}); n != 0 {
			t.Errorf("pieces of %d: %v allocations", size, n)
		}
	}
}

func TestPeekFramesAllocatesNothingForStored(t *testing.T) {
	frame := stored(0, packet(0, []byte("\xff\xbf\x0f#HY000gone")))
	scratch := make([]byte, PeekLen)
	if n := testing.AllocsPerRun(50, func() { PeekFrames(frame, scratch) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// textRows are rows that compress about as well as those of a real table.
func textRows(n int) []byte {
	var b []byte
	for i := range n {
		row := fmt.Sprintf("\x06%06d\x10customer-%07d\x0a2024-%02d-%02d\x05%05d", i, i*7919%9999999, i%12+1, i%28+1, i*i%99999)
		b = append(b, packet(uint8(i), []byte(row))...)
	}
	return b
}

func BenchmarkInflater(b *testing.B) {
	rows := textRows(16384 / 48)
	blob := packetOf(0, MaxPayload-HeaderLen-1)
	for _, c := range []struct {
		name    string
		payload int
		frame   []byte
	}{
		{"stored/point-select", 4 * 24, stored(0, rowsStream(4, 20))},
		{"stored/16KiB-rows", len(rows), stored(0, rows)},
		{"compressed/16KiB-rows", len(rows), compressed(0, rows, 6)},
		{"compressed/ten-rows", len(textRows(10)), compressed(0, textRows(10), 6)},
		{"compressed/16MiB-blob", len(blob), compressed(0, blob, 2)},
	} {
		for _, piece := range []int{len(c.frame), 4096} {
			if piece > len(c.frame) {
				continue
			}
			b.Run(fmt.Sprintf("%s/pieces-of-%d", c.name, piece), func(b *testing.B) {
				f, _ := newQuiet(true)
				b.ReportAllocs()
				b.SetBytes(int64(c.payload))
				for b.Loop() {
					for s := c.frame; len(s) > 0; {
						n := min(piece, len(s))
						f.Feed(s[:n])
						s = s[n:]
					}
				}
			})
		}
	}
	b.Run("peek/stored", func(b *testing.B) {
		frame, scratch := stored(0, packetOf(0, 80, 0xFF)), make([]byte, PeekLen)
		for b.Loop() {
			PeekFrames(frame, scratch)
		}
	})
}

// What the driver itself does with such a frame, to compare with.
func BenchmarkInflaterDriver(b *testing.B) {
	body := zlibOf(textRows(16384/48), 6)
	z, err := zlib.NewReader(bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		if err := z.(zlib.Resetter).Reset(bytes.NewReader(body), nil); err != nil {
			b.Fatal(err)
		}
		out.Reset()
		if _, err := io.Copy(&out, z); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(out.Len()))
}
