package mysqltest

import (
	"encoding/binary"
	"fmt"
)

// Capability flags. MySQL manual, "Capabilities Flags"; MariaDB's extended ones are bits 32 and up of its knowledge base page
// "Connecting to server: Capabilities", here as they stand in the last four of the greeting's ten filler bytes.
const (
	CapLongPassword     = 1 << 0 // MariaDB leaves it out and has extended capabilities instead
	CapFoundRows        = 1 << 1
	CapLongFlag         = 1 << 2
	CapConnectWithDB    = 1 << 3
	CapCompress         = 1 << 5
	CapLocalFiles       = 1 << 7
	CapProtocol41       = 1 << 9
	CapSSL              = 1 << 11
	CapTransactions     = 1 << 13
	CapSecureConnection = 1 << 15
	CapMultiStatements  = 1 << 16
	CapMultiResults     = 1 << 17
	CapPSMultiResults   = 1 << 18
	CapPluginAuth       = 1 << 19
	CapConnectAttrs     = 1 << 20
	CapPluginAuthLenEnc = 1 << 21
	CapSessionTrack     = 1 << 23
	CapDeprecateEOF     = 1 << 24

	MariaDBCapCacheMetadata = 1 << 4
)

// DefaultCapabilities is what a scripted server offers when a script does not say otherwise: no TLS, no compression.
const DefaultCapabilities = CapLongPassword | CapFoundRows | CapLongFlag | CapConnectWithDB | CapLocalFiles | CapProtocol41 |
	CapTransactions | CapSecureConnection | CapMultiStatements | CapMultiResults | CapPSMultiResults | CapPluginAuth |
	CapConnectAttrs | CapPluginAuthLenEnc | CapDeprecateEOF

// Server status flags. MySQL manual, "SERVER_STATUS_flags_enum".
const (
	StatusInTrans     = 0x0001
	StatusAutocommit  = 0x0002
	StatusMoreResults = 0x0008
)

// MaxPacket is the largest payload of one packet; a longer one continues in the next. MySQL manual, "MySQL Packets".
const MaxPacket = 1<<24 - 1

// Packet puts headers before a payload: 3 bytes of length, little-endian, and the sequence id. A payload of [MaxPacket] bytes or
// more takes several packets, the last of them possibly empty.
func Packet(seq byte, payload []byte) []byte {
	var b []byte
	for {
		n := min(len(payload), MaxPacket)
		b = append(b, byte(n), byte(n>>8), byte(n>>16), seq)
		b = append(b, payload[:n]...)
		if n < MaxPacket {
			return b
		}
		payload = payload[n:]
		seq++
	}
}

// AppendLenEncInt appends a length-encoded integer. MySQL manual, "Protocol::LengthEncodedInteger".
func AppendLenEncInt(b []byte, n uint64) []byte {
	switch {
	case n < 0xfb:
		return append(b, byte(n))
	case n < 1<<16:
		return append(b, 0xfc, byte(n), byte(n>>8))
	case n < 1<<24:
		return append(b, 0xfd, byte(n), byte(n>>8), byte(n>>16))
	default:
		return binary.LittleEndian.AppendUint64(append(b, 0xfe), n)
	}
}

// AppendLenEncString appends a length-encoded string.
func AppendLenEncString(b []byte, s string) []byte {
	return append(AppendLenEncInt(b, uint64(len(s))), s...)
}

// OKPayload builds an OK packet. MySQL manual, "OK_Packet".
func OKPayload(affected, insertID uint64, status, warnings uint16) []byte {
	return okLike(0x00, affected, insertID, status, warnings)
}

// ResultEndPayload builds the OK packet that ends a result set once CLIENT_DEPRECATE_EOF is agreed on: an OK with the header 0xFE.
func ResultEndPayload(status, warnings uint16) []byte { return okLike(0xfe, 0, 0, status, warnings) }

func okLike(header byte, affected, insertID uint64, status, warnings uint16) []byte {
	b := AppendLenEncInt([]byte{header}, affected)
	b = AppendLenEncInt(b, insertID)
	b = binary.LittleEndian.AppendUint16(b, status)
	return binary.LittleEndian.AppendUint16(b, warnings)
}

// ERRPayload builds an ERR packet. MySQL manual, "ERR_Packet". An empty state leaves the marker and the SQLSTATE out, as servers
// do before they know the client's capabilities ("Too many connections" instead of a greeting).
func ERRPayload(code uint16, state, message string) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{0xff}, code)
	if state != "" {
		b = append(append(b, '#'), fmt.Sprintf("%-5.5s", state)...)
	}
	return append(b, message...)
}

// EOFPayload builds an EOF packet. MySQL manual, "EOF_Packet".
func EOFPayload(warnings, status uint16) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{0xfe}, warnings)
	return binary.LittleEndian.AppendUint16(b, status)
}

// GreetingOptions are the fields of a greeting; the zero value is a MySQL 8-like server that offers [DefaultCapabilities] and
// mysql_native_password.
type GreetingOptions struct {
	Version      string // "8.4.0-scripted"; MariaDB 10 announces "5.5.5-10.11.19-MariaDB"
	ThreadID     uint32 // 1
	Capabilities uint32
	MariaDB      uint32 // extended capabilities; MySQL servers leave those bytes 0
	Charset      byte   // 255, utf8mb4_0900_ai_ci
	Status       uint16 // autocommit
	Plugin       string // mysql_native_password
	Scramble     string // 20 bytes
}

// GreetingPayload builds the first packet of a server. MySQL manual, "Protocol::HandshakeV10".
func GreetingPayload(o GreetingOptions) []byte {
	if o.Version == "" {
		o.Version = "8.4.0-scripted"
	}
	if o.ThreadID == 0 {
		o.ThreadID = 1
	}
	if o.Capabilities == 0 {
		o.Capabilities = DefaultCapabilities
	}
	if o.Charset == 0 {
		o.Charset = 255
	}
	if o.Status == 0 {
		o.Status = StatusAutocommit
	}
	if o.Plugin == "" {
		o.Plugin = "mysql_native_password"
	}
	scramble := fmt.Sprintf("%-20.20s", o.Scramble+"abcdefghijklmnopqrst")
	b := append([]byte{10}, o.Version...)
	b = binary.LittleEndian.AppendUint32(append(b, 0), o.ThreadID)
	b = append(append(b, scramble[:8]...), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(o.Capabilities))
	b = binary.LittleEndian.AppendUint16(append(b, o.Charset), o.Status)
	b = binary.LittleEndian.AppendUint16(b, uint16(o.Capabilities>>16))
	b = append(b, byte(len(scramble)+1))
	b = binary.LittleEndian.AppendUint32(append(b, make([]byte, 6)...), o.MariaDB)
	b = append(append(b, scramble[8:]...), 0)
	return append(append(b, o.Plugin...), 0)
}

// Column types of the text protocol that scripts need. MySQL manual, "enum_field_types".
const (
	TypeLongLong  = 0x08
	TypeVarString = 0xfd
)

// Column is a column of a scripted result set. The zero Type is TypeVarString.
type Column struct {
	Name string
	Type byte
}

// ColumnPayload builds a column definition. MySQL manual, "Protocol::ColumnDefinition41".
func ColumnPayload(c Column) []byte {
	if c.Type == 0 {
		c.Type = TypeVarString
	}
	charset := uint16(255)
	if c.Type == TypeLongLong {
		charset = 63 // binary
	}
	var b []byte
	for _, s := range []string{"def", "", "", "", c.Name, ""} { // catalog, schema, table, original table, name, original name
		b = AppendLenEncString(b, s)
	}
	b = binary.LittleEndian.AppendUint16(AppendLenEncInt(b, 0x0c), charset)
	b = binary.LittleEndian.AppendUint32(b, 1024) // display length
	return append(b, c.Type, 0, 0, 0, 0, 0)       // flags, decimals, filler
}

// TextRowPayload builds a row of the text protocol; nil is NULL. MySQL manual, "Text Resultset Row".
func TextRowPayload(values ...any) []byte {
	var b []byte
	for _, v := range values {
		if v == nil {
			b = append(b, 0xfb)
			continue
		}
		b = AppendLenEncString(b, fmt.Sprint(v))
	}
	return b
}
