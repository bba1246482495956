package wire

import (
	"bytes"
	"compress/zlib"
	"io"
	"strings"
	"sync"
)

const (
	// chunkLen is how much is inflated before the inner Sink is asked what it
	// wants next: net_buffer_length, so that the usual frame of a server is
	// one chunk, and small enough to stay in a core's cache.
	chunkLen = 16 << 10

	// bodyLen is the size of pooled buffers for bodies that come in pieces. A
	// server flushes frames of net_buffer_length (16 KiB) unless a packet is
	// larger; and the head of a larger frame tells whether the rest is needed,
	// see Inflater.collect. What does not fit is left to the garbage
	// collector, so that one huge result does not stay in the pool.
	bodyLen = 64 << 10
)

// unzipper inflates one body. It is about 80 KiB with its window, so it is
// taken from the pool for one call of Feed and never held by a connection.
type unzipper struct {
	src bytes.Reader
	z   io.Reader // and zlib.Resetter
	out [chunkLen]byte
}

// nothing is an empty zlib stream: zlib has no constructor without one.
const nothing = "\x78\x9c\x03\x00\x00\x00\x00\x01"

var unzippers = sync.Pool{New: func() any {
	z, err := zlib.NewReader(strings.NewReader(nothing))
	if err != nil {
		panic(err) // the constant is wrong
	}
	return &unzipper{z: z}
}}

// openUnzipper begins to inflate body. The caller gives the unzipper back with
// close whether or not there is an error.
func openUnzipper(body []byte) (*unzipper, error) {
	u := unzippers.Get().(*unzipper)
	u.src.Reset(body)
	return u, u.z.(zlib.Resetter).Reset(&u.src, nil)
}

func (u *unzipper) close() {
	u.src.Reset(nil) // the body belongs to the caller of Feed
	unzippers.Put(u)
}

var bodies = sync.Pool{New: func() any { return new([bodyLen]byte) }}

func getBody() []byte { return bodies.Get().(*[bodyLen]byte)[:0] }

func putBody(b []byte) {
	if cap(b) == bodyLen {
		bodies.Put((*[bodyLen]byte)(b[:bodyLen]))
	}
}
