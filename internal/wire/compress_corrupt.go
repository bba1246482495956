package wire

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
)

// Corruption says what is wrong with the body of a compressed frame.
type Corruption uint8

const (
	CorruptNone     Corruption = iota
	CorruptHeader              // it does not begin like zlib data
	CorruptZstd                // it is zstd data: the wrong algorithm was taken for agreed
	CorruptData                // it is not valid deflate data
	CorruptChecksum            // its checksum is wrong
	CorruptCut                 // the zlib data is cut off at the end of the frame
	CorruptShort               // it inflates to less than the frame announces
	CorruptLong                // it inflates to more than the frame announces
	CorruptEnded               // the inner Sink says that its stream ended inside
)

func (c Corruption) String() string {
	switch c {
	case CorruptNone:
		return "none"
	case CorruptHeader:
		return "no zlib header"
	case CorruptZstd:
		return "zstd instead of zlib"
	case CorruptData:
		return "invalid deflate data"
	case CorruptChecksum:
		return "wrong checksum"
	case CorruptCut:
		return "zlib data cut off"
	case CorruptShort:
		return "inflates to less than announced"
	case CorruptLong:
		return "inflates to more than announced"
	case CorruptEnded:
		return "stream ended inside a frame"
	}
	return "unknown"
}

// zstdMagic begins every zstd frame (RFC 8878, section 3.1.1).
var zstdMagic = []byte{0x28, 0xB5, 0x2F, 0xFD}

// corruptionOf translates what zlib says about body.
func corruptionOf(err error, body []byte) Corruption {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return CorruptCut
	case errors.Is(err, zlib.ErrChecksum):
		return CorruptChecksum
	case bytes.HasPrefix(body, zstdMagic):
		return CorruptZstd
	case errors.Is(err, zlib.ErrHeader), errors.Is(err, zlib.ErrDictionary):
		return CorruptHeader
	}
	return CorruptData
}
