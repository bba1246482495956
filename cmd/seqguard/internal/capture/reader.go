package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

const (
	// maxBlock is the longest frame or block that is believed. tcpdump cuts frames
	// at 256 KiB; a block of secrets may be as long as the key log in it.
	maxBlock = 16 << 20

	// firstBuffer is how much is read at a time.
	firstBuffer = 1 << 20
)

// Frame is one captured frame. Data is valid until the next call of Next.
type Frame struct {
	Time int64 // nanoseconds since 1970
	Link LinkType
	Data []byte
	Cut  int // bytes at the end of the frame that the capture left out
}

// Reader reads a pcap or pcapng file, or the beginning of one: it hands out a
// frame as soon as its last byte is there.
type Reader struct {
	// Secrets is called for each block of TLS secrets, in the format of a key log.
	// The bytes are valid during the call.
	Secrets func(lines []byte)

	src  io.Reader
	buf  []byte // buf[at:end] has been read and not been used
	at   int
	end  int
	read int64 // bytes, of the file
	err  error // of src

	next  func(*Frame) error
	order byteOrder
	link  LinkType // of a pcap file
	nanos int64    // nanoseconds a tick of a pcap file has
	ports []iface  // of a pcapng section
	ng    bool
}

// ErrCut is returned in the place of io.EOF by a file that ends within a frame:
// what was captured last is not in it.
var ErrCut = errors.New("the capture ends within a frame")

// NewReader recognises the format by its first bytes. A gzip file is unpacked on the way.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{src: src, buf: make([]byte, firstBuffer)}
	b, err := r.peek(4)
	if err != nil && len(b) < 4 {
		return nil, tooShort(b, err)
	}
	if isGzip(b) {
		z, err := gzip.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(r.buf[r.at:r.end])), src)))
		if err != nil {
			return nil, fmt.Errorf("a gzip file, but: %w", err)
		}
		return newReader(z)
	}
	return r, r.open(b)
}

func newReader(src io.Reader) (*Reader, error) {
	r := &Reader{src: src, buf: make([]byte, firstBuffer)}
	b, err := r.peek(4)
	if err != nil {
		return nil, fmt.Errorf("in the gzip file: %w", tooShort(b, err))
	}
	return r, r.open(b)
}

// tooShort is what is wrong with a file that has no more than b.
func tooShort(b []byte, err error) error {
	switch {
	case err == io.EOF:
		return errors.New("no capture: it is empty. What captures may not have written yet (tcpdump -U writes each frame at once)")
	case err == ErrCut:
		return fmt.Errorf("no capture: it has %d bytes", len(b))
	}
	return err
}

// Is reports whether a file begins as a capture does, packed ones included.
func Is(file io.Reader) bool {
	var b [4]byte
	if _, err := io.ReadFull(file, b[:]); err != nil {
		return false
	}
	return isGzip(b[:]) || formats[b] != nil
}

func isGzip(b []byte) bool { return b[0] == 0x1f && b[1] == 0x8b }

// formats are those that are read, by the first bytes of a file.
var formats = map[[4]byte]func(*Reader) error{
	{0x0a, 0x0d, 0x0d, 0x0a}: func(r *Reader) error { r.next, r.ng = r.block, true; return nil },
	{0xd4, 0xc3, 0xb2, 0xa1}: func(r *Reader) error { return r.openPcap(little, 1000) },
	{0xa1, 0xb2, 0xc3, 0xd4}: func(r *Reader) error { return r.openPcap(big, 1000) },
	{0x4d, 0x3c, 0xb2, 0xa1}: func(r *Reader) error { return r.openPcap(little, 1) },
	{0xa1, 0xb2, 0x3c, 0x4d}: func(r *Reader) error { return r.openPcap(big, 1) },
}

func (r *Reader) open(magic []byte) error {
	if open := formats[[4]byte(magic)]; open != nil {
		return open(r)
	}
	for _, p := range packed {
		if bytes.HasPrefix([]byte(p.magic), magic) {
			return fmt.Errorf("it is packed with %s: unpack it first (%s FILE | seqguard explain -)", p.by, p.unpack)
		}
	}
	for _, c := range magic {
		if c != '\n' && c != '\t' && (c < ' ' || c > '~') {
			return fmt.Errorf("neither pcap nor pcapng: it begins with % x", magic)
		}
	}
	return fmt.Errorf("neither pcap nor pcapng: it begins with %q. What tcpdump prints is no capture; tcpdump -w FILE writes one", magic)
}

// packed are the other ways in which people pack captures, by the first bytes.
var packed = []struct{ magic, by, unpack string }{
	{"\xfd7zX", "xz", "xz -dc"},
	{"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"},
	{"\x04\x22\x4d\x18", "lz4", "lz4 -dc"},
	{"BZh1", "bzip2", "bzip2 -dc"}, {"BZh9", "bzip2", "bzip2 -dc"},
	{"PK\x03\x04", "zip", "unzip -p"},
}

// Next reads the next frame. It returns io.EOF at the end, ErrCut at an end
// within a frame; any other error says what is wrong with the file.
func (r *Reader) Next(f *Frame) error { return r.next(f) }

// Read returns how many bytes of the file were used.
func (r *Reader) Read() int64 { return r.read }

// Buffered reports whether the next frame can probably be had without waiting.
func (r *Reader) Buffered() bool { return r.end-r.at >= 64 }

// peek returns the next n bytes without using them. At the end of the file it
// returns what is left, with io.EOF if that is nothing and ErrCut otherwise.
func (r *Reader) peek(n int) ([]byte, error) {
	if r.end-r.at >= n {
		return r.buf[r.at : r.at+n : r.at+n], nil
	}
	return r.fill(n)
}

func (r *Reader) fill(n int) ([]byte, error) {
	if r.at > 0 {
		copy(r.buf, r.buf[r.at:r.end])
		r.end -= r.at
		r.at = 0
	}
	for empty := 0; r.end < n && r.err == nil; {
		if r.end == len(r.buf) { // it grows with what is there, not with what a length promises
			grown := make([]byte, min(2*len(r.buf), max(n, len(r.buf)+1)))
			copy(grown, r.buf[:r.end])
			r.buf = grown
		}
		var m int
		m, r.err = r.src.Read(r.buf[r.end:])
		r.end += m
		if m > 0 {
			empty = 0
		} else if empty++; empty > 100 && r.err == nil {
			r.err = io.ErrNoProgress
		}
	}
	if r.end >= n {
		return r.buf[:n:n], nil
	}
	switch {
	case r.err != io.EOF && r.err != io.ErrUnexpectedEOF:
		return r.buf[:r.end], r.err
	case r.end == 0:
		return nil, io.EOF
	}
	return r.buf[:r.end], ErrCut
}

// use goes n bytes on; they have been peeked at.
func (r *Reader) use(n int) {
	r.at += n
	r.read += int64(n)
}

// byteOrder is that of a file, or of a section of one: a branch is cheaper than
// a call through an interface.
type byteOrder bool

const (
	little byteOrder = false
	big    byteOrder = true
)

func (o byteOrder) u16(b []byte) uint16 {
	_ = b[1]
	if o == big {
		return uint16(b[0])<<8 | uint16(b[1])
	}
	return uint16(b[1])<<8 | uint16(b[0])
}

func (o byteOrder) u32(b []byte) uint32 {
	_ = b[3]
	if o == big {
		return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	}
	return uint32(b[3])<<24 | uint32(b[2])<<16 | uint32(b[1])<<8 | uint32(b[0])
}

// Sections reports whether the file is a pcapng file, in which secrets may come
// between the frames.
func (r *Reader) Sections() bool { return r.ng }
