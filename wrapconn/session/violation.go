package session

// Violation is how a packet, or the end of the stream, breaks the protocol.
type Violation uint8

const (
	None Violation = iota
	// SequenceMismatch: the packet's id is not the one that is due.
	SequenceMismatch
	// MisnumberedError: an ERR packet whose id is not the one that is due. It
	// is kept apart because its content, not its number, tells what happened.
	MisnumberedError
	// Unsolicited: a packet of the server while no command is outstanding.
	Unsolicited
	// CommandDuringAnswer: a packet of the client while the answer to an
	// earlier command is outstanding.
	CommandDuringAnswer
	// Refused: ERR in place of the greeting.
	Refused
	// NotMySQL: the peer's first bytes cannot be a greeting.
	NotMySQL
	// Malformed: the packet's content is not what its first byte promises.
	Malformed
	// UnexpectedKind: the packet cannot be part of an answer to this command.
	UnexpectedKind
	// Truncated: the stream ended inside a packet, a login or an answer.
	Truncated

	numViolations
)

var violationNames = [numViolations]string{
	"none", "sequence mismatch", "misnumbered ERR", "unsolicited packet", "command during answer",
	"refused before greeting", "not MySQL", "malformed packet", "unexpected packet", "cut off",
}

func (v Violation) String() string { return name(violationNames[:], int(v), "violation") }
