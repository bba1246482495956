package wire

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestPeekFrames(t *testing.T) {
	farewell := packet(0, []byte("\xff\xbf\x0f#HY000The client was disconnected by the server because of inactivity."))
	long := packet(0, []byte("\xff\xbf\x0f#HY000"+strings.Repeat("word ", 120)))
	rows := rowsStream(1000, 30)
	for name, c := range map[string]struct {
		payload []byte
		frames  []byte
	}{
		"stored":             {farewell, stored(0, farewell)},
		"compressed":         {farewell, compressed(0, farewell, 6)},
		"long":               {long, compressed(3, long, 9)},
		"over three frames":  {long, slices.Concat(stored(0, long[:3]), compressed(1, long[3:80], 6), stored(2, long[80:]))},
		"after empty frames": {farewell, slices.Concat(stored(0, nil), stored(1, nil), stored(2, farewell))},
		"empty packet":       {packet(9, nil), stored(0, packet(9, nil))},
		"first of many":      {rows, compressed(0, rows, 6)},
		"first of a blob":    {packetOf(1, 1<<20), compressed(0, packetOf(1, 1<<20), 1)},
	} {
		t.Run(name, func(t *testing.T) {
			want := parse(c.payload, ShortPrefix)[0]
			scratch := make([]byte, PeekLen)
			p, s := PeekFrames(c.frames, scratch)
			if s != PeekPacket || p.Packet != (Header{want.length, want.seq}) || string(p.Prefix) != want.prefix || p.Frame != parseFrameHeader(c.frames) {
				t.Fatalf("%v: %+v, want %v", s, p, want)
			}
			// Less of it never tells anything else.
			was := PeekIncomplete
			for n := range min(len(c.frames), 2000) {
				p, s := PeekFrames(c.frames[:n], scratch)
				if s < was || s == PeekCorrupt {
					t.Fatalf("%d bytes: %v after %v", n, s, was)
				}
				was = s
				if s > PeekIncomplete && (p.Packet != Header{want.length, want.seq} || !strings.HasPrefix(want.prefix, string(p.Prefix))) {
					t.Fatalf("%d bytes: %+v, want %v", n, p, want)
				}
				if s == PeekPacket && string(p.Prefix) != want.prefix {
					t.Fatalf("%d bytes: %+v, want %v", n, p, want)
				}
			}
		})
	}
}

func TestPeekFramesCorrupt(t *testing.T) {
	for name, c := range map[string]struct {
		frames []byte
		want   Corruption
	}{
		"not zlib": {deflated(0, []byte("what is this?"), 50), CorruptHeader},
		"cut":      {deflated(0, zlibOf(packetOf(0, 40), 6)[:10], 44), CorruptCut},
		"short":    {deflated(0, zlibOf(packetOf(0, 40)[:20], 6), 44), CorruptShort},
		"no bytes": {deflated(0, nil, 44), CorruptCut},
	} {
		if p, s := PeekFrames(c.frames, make([]byte, PeekLen)); s != PeekCorrupt || p.Corrupt != c.want {
			t.Errorf("%s: %v %v", name, s, p.Corrupt)
		}
	}
}

func TestPeekFramesSmallScratch(t *testing.T) {
	frame := stored(0, packetOf(0, 40))
	for n := range 40 {
		_, s := PeekFrames(frame, make([]byte, n))
		want := PeekIncomplete
		switch {
		case n >= HeaderLen+PrefixLen:
			want = PeekPacket
		case n >= HeaderLen:
			want = PeekHeader
		}
		if s != want {
			t.Errorf("scratch of %d: %v, want %v", n, s, want)
		}
	}
}

func TestPeekFramesAgreesWithInflater(t *testing.T) {
	rnd := rand.New(rand.NewPCG(15, 16))
	for range 300 {
		stream, _ := framed(rnd, randomStream(rnd, 3))
		before := bytes.Clone(stream)
		p, s := PeekFrames(stream, make([]byte, PeekLen))
		if !bytes.Equal(before, stream) {
			t.Fatal("the peeked bytes were changed")
		}
		i := newInflation()
		i.f.Feed(stream)
		if want := i.all[0]; s != PeekPacket || p.Packet != (Header{want.length, want.seq}) || string(p.Prefix) != want.prefix {
			t.Fatalf("%v %+v, want %v", s, p, want)
		}
	}
}
