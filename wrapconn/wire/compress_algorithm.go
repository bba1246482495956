package wire

// Compression says how the packets of a connection travel after the login.
type Compression uint8

const (
	CompressionNone Compression = iota
	CompressionZlib             // Inflater reads it
	// CompressionZstd cannot be read here: the standard library has no zstd
	// and go-sql-driver does not offer it. Such a connection is opaque.
	CompressionZstd
)

const (
	clientCompress = 1 << 5  // CLIENT_COMPRESS
	clientZstd     = 1 << 26 // CLIENT_ZSTD_COMPRESSION_ALGORITHM
)

// NegotiatedCompression tells what two sets of capability flags, the greeting's
// and the login's, come to. "If both CLIENT_COMPRESS and
// CLIENT_ZSTD_COMPRESSION_ALGORITHM are set then zlib is used."
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html
func NegotiatedCompression(server, client uint32) Compression {
	switch both := server & client; {
	case both&clientCompress != 0:
		return CompressionZlib
	case both&clientZstd != 0:
		return CompressionZstd
	}
	return CompressionNone
}

func (c Compression) String() string {
	switch c {
	case CompressionNone:
		return "none"
	case CompressionZlib:
		return "zlib"
	case CompressionZstd:
		return "zstd"
	}
	return "unknown"
}
