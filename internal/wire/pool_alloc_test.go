//go:build !race

package wire

import (
	"math/rand/v2"
	"testing"
)

// What takes its scratch from a sync.Pool is counted without the race detector only: under it a pool drops one object in four.

// Nothing is allocated for a compressed body but by the standard library: the
// checksum and the tables of long codes, which its Reset throws away.
func TestInflaterAllocatesLittleForCompressed(t *testing.T) {
	frame := compressed(0, rowsStream(256, 40), 6)
	library := testing.AllocsPerRun(50, func() {
		u, _ := openUnzipper(frame[frameHeaderLen:])
		for err := error(nil); err == nil; {
			_, err = u.z.Read(u.out[:])
		}
		u.close()
	})
	for _, size := range []int{len(frame), 50} {
		f, _ := newQuiet(true)
		n := testing.AllocsPerRun(50, func() {
			for b := frame; len(b) > 0; {
				n := min(size, len(b))
				f.Feed(b[:n])
				b = b[n:]
			}
		})
		// The pools may have been emptied by a collection once or twice.
		if n > library+1 {
			t.Errorf("pieces of %d: %v allocations, %v of the library", size, n, library)
		}
	}
}

func TestTLSAllocatesNothing(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite *tlsSuite) {
		for name, write := range map[string]func(*tlsScript){
			"SELECT 1": selectOne,
			"rows":     fullRecords(rowsStream(2000, 30)),
			"blob":     fullRecords(packetOf(0, 100_000, 3)),
		} {
			r := newTLSRepeat(suite, write)
			for _, pieces := range []int{1, 3, 20} {
				if n := testing.AllocsPerRun(50, func() { r.feed(pieces) }); n != 0 {
					t.Errorf("%s in %d pieces: %v allocations", name, pieces, n)
				}
			}
		}
	})
}

func TestReaderAllocatesNothing(t *testing.T) {
	stream := randomStream(rand.New(rand.NewPCG(5, 6)), 200)
	for _, size := range []int{len(stream), 100, 3} {
		for _, runs := range []bool{false, true} {
			c := &countHandler{r: new(Reader), runs: runs}
			c.r.Init(c)
			if n := testing.AllocsPerRun(20, func() {
				for b := stream; len(b) > 0; {
					n := min(size, len(b))
					c.r.Feed(b[:n])
					b = b[n:]
				}
			}); n != 0 {
				t.Errorf("pieces of %d, runs %v: %v allocations", size, runs, n)
			}
		}
	}
}
