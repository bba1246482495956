package wire

import "io"

// Inflater is the view of one direction of a connection that uses the
// compressed protocol: it finds the frames, hands their headers to a
// FrameHandler, and what is inside them to the inner Sink.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html
//
// Frames and packets are cut independently of each other, so a packet may be
// split over frames anywhere and a frame may hold many packets.
//
// No more is inflated than the inner Sink needs. A frame in the middle of a
// blob passes untouched, and inflating stops where all the rest of a frame
// would be skipped. The price: of such a frame neither the checksum nor the
// announced length is verified. Of a frame that is inflated to its end they are.
//
// The zero value is not usable: call Init. An Inflater holds memory only while
// a compressed body is incomplete: 64 KiB, and more, up to the body's length of
// at most 16 MiB, only for a body that must be seen to its end.
type Inflater struct {
	inner Sink
	h     FrameHandler

	have  int // bytes of header
	frame FrameHeader
	body  bodyMode
	left  uint32 // body bytes that have not passed yet
	given uint32 // payload bytes of a compressed body that inner got
	owed  uint32 // payload bytes that inner skips at the end of the frame

	buf   []byte // the beginning of a compressed body that comes in pieces
	stage int    // length of buf at which to try and inflate

	broken   bool   // Corrupt was called
	inflated uint64 // bytes that were inflated, ever; tests look at it

	header [frameHeaderLen]byte
}

var _ Sink = (*Inflater)(nil)

// bodyMode says what happens to the body of the current frame.
type bodyMode uint8

const (
	bodyPassed    bodyMode = iota // nothing of it is needed, or no more
	bodyStored                    // it is not compressed: inner gets it
	bodyCollected                 // it is collected and inflated
)

// Init makes f ready for the first byte after the OK that ends the login.
func (f *Inflater) Init(inner Sink, h FrameHandler) { f.inner, f.h = inner, h }

// Missing returns how many bytes of the current frame have not passed yet: 0
// between two frames. While a header is incomplete it counts the header only.
// The stream is between two packets if the inner Reader misses nothing either.
func (f *Inflater) Missing() int {
	if f.have > 0 {
		return frameHeaderLen - f.have
	}
	return int(f.left)
}

// Wants implements Sink.
func (f *Inflater) Wants() (skip, want int) {
	left := int(f.left)
	switch {
	case left == 0:
		return 0, frameHeaderLen - f.have
	case f.body == bodyStored:
		skip, want = f.inner.Wants()
		if skip < left {
			return skip, min(want, left-skip)
		}
	case f.body == bodyCollected:
		return 0, min(left, f.stage-len(f.buf))
	}
	return left, frameHeaderLen
}

// Skip implements Sink.
func (f *Inflater) Skip(n int) {
	if n <= 0 {
		return
	}
	f.left -= uint32(n)
	if f.body == bodyStored {
		f.inner.Skip(n)
	}
	if f.left == 0 {
		f.end()
	}
}

// Feed implements Sink. It takes all of b: nothing follows the compressed
// protocol on a connection.
func (f *Inflater) Feed(b []byte) int {
	total := len(b)
	for len(b) > 0 {
		if f.left == 0 {
			b = f.feedHeader(b)
			continue
		}
		n := min(int(f.left), len(b))
		f.left -= uint32(n)
		f.feedBody(b[:n])
		b = b[n:]
		if f.left == 0 {
			f.end()
		}
	}
	return total
}

func (f *Inflater) feedHeader(b []byte) []byte {
	if f.have == 0 && len(b) >= frameHeaderLen {
		f.begin(parseFrameHeader(b))
		return b[frameHeaderLen:]
	}
	n := copy(f.header[f.have:], b)
	if f.have += n; f.have == frameHeaderLen {
		f.have = 0
		f.begin(parseFrameHeader(f.header[:]))
	}
	return b[n:]
}

// begin decides what to do with the body that follows.
func (f *Inflater) begin(h FrameHeader) {
	f.frame, f.left, f.given, f.body = h, h.Length, 0, bodyPassed
	f.h.Frame(h)
	switch {
	case f.broken:
	case h.Inflated == 0:
		f.body = bodyStored
	default:
		if skip, _ := f.inner.Wants(); skip >= int(h.Inflated) {
			f.owed = h.Inflated
			break
		}
		f.body, f.stage = bodyCollected, min(int(h.Length), bodyLen)
	}
	if f.left == 0 { // a body without bytes: lawful if stored, cut off if not
		f.feedBody(nil)
		f.end()
	}
}

// end is reached when all of a frame has passed. What inner skips of a
// compressed frame it skips now and not earlier: until now its packet is not
// complete.
func (f *Inflater) end() {
	if f.owed > 0 {
		f.inner.Skip(int(f.owed))
		f.owed = 0
	}
}

func (f *Inflater) feedBody(p []byte) {
	switch f.body {
	case bodyStored:
		if len(p) > 0 && f.inner.Feed(p) < len(p) {
			f.corrupt(CorruptEnded)
		}
	case bodyCollected:
		if f.left == 0 && len(f.buf) == 0 { // all in one piece: no copy
			f.inflate(p, true)
			return
		}
		f.collect(p)
	}
}

// collect appends to the beginning of the body and inflates it when that is
// worth trying: when it is complete, and also when it is long, since usually
// the little that is wanted of a long frame (it holds a blob) is at its front.
// A try that turns out to be too early is repeated from the start, see
// nextStage.
func (f *Inflater) collect(p []byte) {
	if f.buf == nil {
		f.buf = getBody()
	}
	for len(p) > 0 {
		if f.stage > cap(f.buf) {
			grown := append(make([]byte, 0, f.stage), f.buf...)
			putBody(f.buf)
			f.buf = grown
		}
		n := min(len(p), f.stage-len(f.buf))
		f.buf = append(f.buf, p[:n]...)
		p = p[n:]
		if len(f.buf) < f.stage {
			return
		}
		if f.inflate(f.buf, f.stage == int(f.frame.Length)) {
			f.body = bodyPassed
			putBody(f.buf)
			f.buf = nil
			return
		}
		f.stage = nextStage(f.stage, int(f.frame.Length))
	}
}

// nextStage returns how much of a body to collect before the next try: four
// times as much, or all of it if that is less than sixteen times. So the tries
// that were too early come to a third of the last one, or, of a body of less
// than 256 KiB, to one try of 64 KiB. There are at most four.
func nextStage(stage, length int) int {
	if 16*stage > length {
		return length
	}
	return 4 * stage
}

// inflate gives inner what it wants of the current frame, whose body is b, or
// begins with b if whole is false. It reports whether nothing more of the body
// is needed, which is certain if it is whole.
func (f *Inflater) inflate(b []byte, whole bool) (done bool) {
	u, err := openUnzipper(b)
	defer u.close()

	var n int
	for again := f.given; err == nil && again > 0; again -= uint32(n) { // inner has it from an earlier try
		n, err = u.z.Read(u.out[:min(chunkLen, again)])
		f.inflated += uint64(n)
	}
	for err == nil {
		rest := f.frame.Inflated - f.given
		if rest == 0 {
			return f.verifyEnd(u, b, whole)
		}
		if skip, _ := f.inner.Wants(); skip >= int(rest) {
			f.owed = rest
			return true
		}
		n, err = u.z.Read(u.out[:min(chunkLen, rest)])
		f.inflated += uint64(n)
		f.given += uint32(n)
		if n > 0 && f.inner.Feed(u.out[:n]) < n {
			f.corrupt(CorruptEnded)
			return true
		}
	}
	switch {
	case err == io.EOF && f.given == f.frame.Inflated:
		return true
	case err == io.EOF:
		f.corrupt(CorruptShort)
		return true
	case err == io.ErrUnexpectedEOF && !whole:
		return false
	}
	f.corrupt(corruptionOf(err, b))
	return true
}

// verifyEnd looks at what follows the announced number of inflated bytes: it
// must be the end, with the right checksum. One more byte is all that a frame
// that lies about its length is inflated to. Bytes after the zlib data are let
// pass, as MySQL's uncompress and the driver let them pass.
func (f *Inflater) verifyEnd(u *unzipper, b []byte, whole bool) (done bool) {
	switch n, err := u.z.Read(u.out[:1]); {
	case n > 0:
		f.inflated++
		f.corrupt(CorruptLong)
	case err == io.EOF:
	case err == io.ErrUnexpectedEOF && !whole:
		return false
	default:
		f.corrupt(corruptionOf(err, b))
	}
	return true
}

// corrupt ends the view of what is inside; the frames are still followed.
func (f *Inflater) corrupt(c Corruption) {
	f.broken, f.body, f.owed = true, bodyPassed, 0
	f.h.Corrupt(c)
}
