package session

// capabilities are the CLIENT_* flags that shape the conversation.
// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
type capabilities uint32

const (
	clientMySQL            capabilities = 1 << 0 // CLIENT_LONG_PASSWORD; MariaDB servers leave it out to announce extended flags
	clientCompress         capabilities = 1 << 5
	clientProtocol41       capabilities = 1 << 9
	clientSSL              capabilities = 1 << 11
	clientDeprecateEOF     capabilities = 1 << 24
	clientOptionalMetadata capabilities = 1 << 25
	clientZstdCompression  capabilities = 1 << 26
	clientMultiFactor      capabilities = 1 << 28 // MULTI_FACTOR_AUTHENTICATION
)

// extended are MariaDB's capability flags above 32 bits, without the offset.
// https://mariadb.com/kb/en/connection/#capabilities
type extended uint32

const (
	extendedProgress      extended = 1 << 0
	extendedCacheMetadata extended = 1 << 4
)

// Server status flags.
// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html#a1d854e841086925be1883e4d7b4e8cad
const (
	statusInTransaction     uint16 = 0x0001
	statusMoreResultsExists uint16 = 0x0008
	statusCursorExists      uint16 = 0x0040
	statusOutParameters     uint16 = 0x1000
)
