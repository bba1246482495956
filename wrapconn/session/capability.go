package session

// Capabilities are the CLIENT_* flags that shape the conversation.
// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
type Capabilities uint32

const (
	ClientMySQL            Capabilities = 1 << 0 // CLIENT_LONG_PASSWORD; MariaDB servers leave it out to announce extended flags
	ClientCompress         Capabilities = 1 << 5
	ClientProtocol41       Capabilities = 1 << 9
	ClientSSL              Capabilities = 1 << 11
	ClientDeprecateEOF     Capabilities = 1 << 24
	ClientOptionalMetadata Capabilities = 1 << 25
	ClientZstdCompression  Capabilities = 1 << 26
	ClientQueryAttributes  Capabilities = 1 << 27
)

// Extended are MariaDB's capability flags above 32 bits, without the offset.
// https://mariadb.com/kb/en/connection/#capabilities
type Extended uint32

const (
	ExtendedProgress      Extended = 1 << 0
	ExtendedCacheMetadata Extended = 1 << 4
)

// Server status flags.
// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html#a1d854e841086925be1883e4d7b4e8cad
const (
	StatusInTransaction     uint16 = 0x0001
	StatusMoreResultsExists uint16 = 0x0008
	StatusCursorExists      uint16 = 0x0040
)
