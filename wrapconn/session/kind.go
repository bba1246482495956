package session

// Kind is what a packet is, as far as the phase and its first bytes tell.
type Kind uint8

const (
	KindUnknown Kind = iota
	KindGreeting
	KindSSLRequest
	KindLogin
	KindAuthSwitch
	KindAuthMoreData
	KindAuthResponse
	KindOK
	KindERR
	KindEOF
	KindCommand
	KindColumnCount
	KindColumn
	KindRow
	KindPrepareOK
	KindParameter
	KindLocalInfile
	KindInfileData
	KindInfileEnd
	KindText
	KindProgress
	KindContinuation
	KindEvent // of the binary log
	KindAck   // of a replica: semi-synchronous replication
	KindClone // of the clone plugin's own protocol
	KindAuthNextFactor

	numKinds
)

var kindNames = [numKinds]string{
	"unknown", "greeting", "SSLRequest", "login", "AuthSwitchRequest", "AuthMoreData", "auth response",
	"OK", "ERR", "EOF", "command", "column count", "column definition", "row", "COM_STMT_PREPARE_OK",
	"parameter definition", "LOCAL INFILE request", "file data", "end of file data", "text",
	"progress report", "continuation", "binlog event", "acknowledgement", "clone data",
	"AuthNextFactor",
}

func (k Kind) String() string { return name(kindNames[:], int(k), "kind") }
