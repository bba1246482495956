package session

// Phase is where a conversation stands.
type Phase uint8

const (
	// PhaseGreeting waits for the server's first packet.
	PhaseGreeting Phase = iota
	// PhaseLogin waits for the client's SSLRequest or login.
	PhaseLogin
	// PhaseTLS lies between SSLRequest and the first packet inside TLS.
	PhaseTLS
	// PhaseAuth lies between the login (or COM_CHANGE_USER) and the OK or ERR
	// that ends it.
	PhaseAuth
	// PhaseReady waits for a command; nothing is outstanding.
	PhaseReady
	// PhaseCommand has a command out and no packet of its answer in.
	PhaseCommand
	// PhaseColumns reads the column definitions of a result set.
	PhaseColumns
	// PhaseRows reads rows.
	PhaseRows
	// PhasePrepare reads the parameter and column definitions of COM_STMT_PREPARE.
	PhasePrepare
	// PhaseLocalInfile sends the file of LOAD DATA LOCAL INFILE.
	PhaseLocalInfile
	// PhaseMoreResults waits for the next result of a multi-result answer.
	PhaseMoreResults
	// PhaseEvents reads the events of COM_BINLOG_DUMP or COM_BINLOG_DUMP_GTID.
	PhaseEvents
	// PhaseClone is inside the protocol of MySQL's clone plugin.
	PhaseClone
	// PhaseQuit has sent COM_QUIT.
	PhaseQuit
	// PhaseClosed has seen the end: a farewell, a refusal, or the end of the stream.
	PhaseClosed
	// PhaseUntracked has met something outside the grammar.
	PhaseUntracked
	// PhaseOpaque cannot see packets: encryption or compression that is not
	// looked into.
	PhaseOpaque

	numPhases
)

var phaseNames = [numPhases]string{
	"greeting", "login", "tls handshake", "authentication", "ready", "command",
	"columns", "rows", "prepare", "local infile", "more results", "binlog events", "clone", "quit",
	"closed", "untracked", "opaque",
}

func (p Phase) String() string { return name(phaseNames[:], int(p), "phase") }

// Connecting reports whether the login is not over.
func (p Phase) Connecting() bool { return p <= PhaseAuth }

// Answering reports whether a command's answer is outstanding.
func (p Phase) Answering() bool { return p >= PhaseCommand && p <= PhaseClone }
