package cause

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Evidence is what a connection knows about itself at the moment of a failure.
// A duration of zero means: not measured, the mark it counts from was never
// reached.
type Evidence struct {
	Violation session.Violation
	Phase     session.Phase // where the conversation stood before the packet
	Direction session.Direction
	Kind      session.Kind
	Command   session.Command
	Expected  uint8  // sequence id that was due
	Actual    uint8  // sequence id that came
	Length    uint32 // payload bytes of the packet

	// ServerError is the content of the server's ERR, nil if it sent none.
	ServerError *session.ServerError
	// Stream says how the stream of bytes ended, if it did.
	Stream StreamEnd
	// InsidePacket: the stream ended within a packet.
	InsidePacket bool
	// FirstBytes are the peer's first bytes when they are not a greeting.
	FirstBytes []byte

	// Corruption is what is wrong with a compressed frame, "" if nothing is.
	Corruption string

	ServerVersion string
	MariaDB       bool
	Network       string // "tcp", "unix", or a custom network's name
	TLS           TLS
	Compressed    bool

	Commands      uint64 // commands sent on this connection
	Pending       int    // commands whose answer was not complete
	AnswerStarted bool   // a packet of the present answer had come
	Unsent        int    // bytes of the last write that the socket did not take
	InTransaction bool   // by the server's last status
	BeforeCommand bool   // found waiting before a command was written
	Misnumbered   bool   // an earlier packet of the client had a wrong id

	// Ownership is the conflict between two users of the connection, if that is
	// what was met; Violation is None then.
	Ownership Ownership

	// The clock, all at the moment of detection.
	Age             time.Duration // since the connection was made
	GreetingAfter   time.Duration // connection made → greeting read
	LoginAfter      time.Duration // greeting read → login written
	SinceLogin      time.Duration // login written → now
	Idle            time.Duration // last byte in either direction → now (→ the command, if one is out)
	SinceCommand    time.Duration // command written → now
	LongestReadGap  time.Duration // longest pause between two Reads within this answer
	RelatedFailures int           // other connections to this server that failed within a second
}

// Distance is how far the packet's id lies behind the one that was due.
func (e *Evidence) Distance() int { return session.Distance(e.Expected, e.Actual) }

// code returns the server's error number, 0 if it sent none.
func (e *Evidence) code() uint16 {
	if e.ServerError == nil {
		return 0
	}
	return e.ServerError.Code
}

// StreamEnd is how a stream of bytes ended.
type StreamEnd uint8

const (
	StreamOpen StreamEnd = iota
	StreamEOF
	StreamReset
	StreamTimeout
	StreamBroken // any other error of the socket
)

var streamEndNames = [...]string{"open", "closed by the peer", "reset by the peer", "timed out", "broken"}

func (s StreamEnd) String() string {
	if int(s) < len(streamEndNames) {
		return streamEndNames[s]
	}
	return "invalid stream end"
}

// TLS is how much of a connection can be seen.
type TLS uint8

const (
	TLSNone TLS = iota
	TLSVisible
	TLSOpaque
)

var tlsNames = [...]string{"none", "visible", "opaque"}

func (t TLS) String() string {
	if int(t) < len(tlsNames) {
		return tlsNames[t]
	}
	return "invalid tls"
}
