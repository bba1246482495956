package cause

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Evidence is what a connection knows about itself at the moment of a failure.
// A duration of zero means: not measured, the mark it counts from was never
// reached.
//
// Phase, Pending and AnswerStarted are taken before the packet that shows the
// failure is counted. Where it is the end of the stream that shows it, there is
// no packet: Kind, Length, Expected and Actual are zero. Where packets cannot be
// seen (the phase is opaque or untracked), SinceCommand counts from the last
// Write, and AnswerStarted is whether bytes came since, or, if a part of that Write
// was not taken (Unsent), since the operation began.
type Evidence struct {
	// Client is who talks to the server, and Vantage from where it is seen.
	Client  Client
	Vantage Vantage

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
	// ClientSpeaks names the protocol that a client which is not this process began
	// with, if that is a known one that is not MySQL's.
	ClientSpeaks string

	Server        string // address as the user wrote it
	ServerVersion string
	MariaDB       bool
	Network       string // "tcp", "unix", or a custom network's name
	TLS           TLS
	Compressed    bool

	Commands      uint64 // commands sent on this connection
	Pending       int    // commands whose answer was not complete
	AnswerStarted bool   // a packet of the present answer had come
	CommandBytes  int64  // that were written since the present command began, as they went over the wire
	Unsent        int    // bytes of the last write that the socket did not take
	InTransaction bool   // by the server's last status
	// TxBegun: a transaction was begun through this process's own hands
	// (OpBegin) and neither committed nor rolled back. Some proxies never set the
	// server's flag.
	TxBegun       bool
	BeforeCommand bool // found waiting before a command was written
	Pinned        bool // before a command of somebody who holds the connection: he gets the error, not another connection
	Misnumbered   bool // an earlier packet of the client had a wrong id

	// Ownership says how the operation met another one on this connection. It
	// stays set after an overlap that was only observed: what the connection
	// does later is its consequence.
	Ownership Ownership
	// Watched: the operation that met the failure had the connection to itself,
	// so every earlier one was over.
	Watched bool
	// Owner has the connection, Intruder wanted it; both empty if unknown.
	Owner, Intruder Party
	// Goroutines is whether the two are the same one.
	Goroutines Goroutines
	// MoreResults: the last result said that another follows, and nobody read it.
	MoreResults bool
	// EarlierUnfinished: a command before the present one never got the end of
	// its answer.
	EarlierUnfinished bool
	// EarlyCommands is how many commands this client sent before the answers to
	// earlier ones were complete, without being one that may.
	EarlyCommands uint64
	// NothingWritten: not one byte of this operation's command left this
	// process, because the guard refused it or the socket took nothing.
	NothingWritten bool
	// Abandoned: the context of the operation ended while its command was
	// unanswered, and this side closed the connection over it.
	Abandoned Abandon

	// Held is for how long the connection has been out of its pool, or the one
	// that is longest, where a report is about that; HeldAs says who has it, or
	// them.
	Held   time.Duration
	HeldAs string
	// RowsLost: the rows that hold it are garbage, without having been closed.
	RowsLost bool
	// PoolWaits callers waited for a connection of a pool, for PoolWaited
	// together, while PoolInUse of PoolLimit connections were held.
	PoolWaits            int64
	PoolWaited           time.Duration
	PoolInUse, PoolLimit int

	// Forked: this process is not the one that made the connection.
	Forked bool
	// AuthPlugin is what the server asked for in its last AuthSwitchRequest, or
	// in its greeting if it sent none.
	AuthPlugin string
	// AuthDue: in the authentication, the next step was the client's: it had read
	// what the server wants and had not answered. PasswordDue: what is wanted is
	// the password itself (caching_sha2_password, "perform full authentication").
	AuthDue, PasswordDue bool
	// KeyRefused: the login ended with an ERR in place of the public key that the
	// client had asked for.
	KeyRefused bool
	// NoTLSOffered: the server greeted, and would not begin TLS.
	NoTLSOffered bool
	// TLSAlert names the alert that the peer sent where it could be read, that
	// is, before the handshake turned encrypted.
	TLSAlert string
	// ClientAlert names the alert by which the client ended TLS, where it could be
	// read; empty if it only said good-bye.
	ClientAlert string
	// OwnCertificate: TLS with the client ends at who tells this, a proxy, and the
	// client was shown the proxy's certificate in place of the server's.
	OwnCertificate bool
	// Compression says what is wrong with a compressed frame; empty if nothing is.
	Compression string
	// RowsSent and RowsRead are the rows that came and those that the client made
	// of them; both 0 unless it gave up on one without a word.
	RowsSent, RowsRead uint64
	// ClassicEOF: rows ended with an EOF packet although OK had been agreed on.
	ClassicEOF bool
	// NothingDue is for how long the client has been reading although the server
	// owed it nothing, zero if it does not. AnswerAge is how long ago the answer
	// to the last command was complete, AnswerFailed whether it was an ERR.
	NothingDue   time.Duration
	AnswerAge    time.Duration
	AnswerFailed bool
	// FileSent are the bytes of the file of a LOAD DATA LOCAL that were sent under
	// the present command; 0 if it asked for none.
	FileSent int64
	// InfileFailed: the reader of a LOCAL INFILE failed, and the driver ended
	// the upload as if the file were complete.
	InfileFailed bool
	// InfileError is what the reader said.
	InfileError string
	// LastError is the ERR that ended the last answer which is complete, nil if
	// none did: the reason of an end is often the server's last word before it.
	LastError *session.ServerError
	// LastNumber is the number of the last packet, of either side, before this
	// exchange began: a peer that never begins anew counts on from it.
	LastNumber uint8
	// AuthSwitches counts the server's AuthSwitchRequests.
	AuthSwitches int
	// Unread: the client could not read an answer whose packets are in order, as
	// far as they can be seen.
	Unread bool
	// Late: when the time limit of this side ran out, bytes of the peer lay in the
	// socket that this process had not read.
	Late bool
	// Overdue is for how long that limit had been over when it was noticed.
	Overdue time.Duration

	// The clock, all at the moment of detection.
	Age           time.Duration // since the connection was made
	GreetingAfter time.Duration // connection made → greeting read
	LoginAfter    time.Duration // greeting read → login written
	SinceLogin    time.Duration // login written → now
	// DialTook is for how long the connection was dialed, if its login was under way;
	// 0 if that took less than 100 ms.
	DialTook time.Duration
	// GreetingLay is for how long the greeting had been in the socket when it was
	// read, by the kernel's clock, while the login is under way; 0 if that was less than
	// 100 ms. A dial or a read returns late in a process that does not run. OwnPause
	// includes it. GreetingTimed: the kernel has told.
	GreetingLay   time.Duration
	GreetingTimed bool
	// WriteTook is the longest time that a Write of the connection below took within
	// the login, while that is under way; 0 if it was less than 100 ms. OwnPause includes
	// it.
	WriteTook time.Duration
	// WroteAfter is the time from the greeting to the client's last write, while the login is
	// under way. Awaited: the server has sent something behind that write, apart from the
	// packet that shows the failure, so that the next step was the client's.
	WroteAfter time.Duration
	Awaited    bool
	// ProxyLate is for how long at most, in a login that is seen from a proxy, the proxy did not
	// look at its own clock when that was due, as it is once a second: what came meanwhile
	// it read late. 0 if it did in time, or if nobody says.
	ProxyLate time.Duration
	// OwnPause is the longest time within the login in which the server waited
	// for this process: connected → first Read begun, or a Read returned →
	// next Write begun. Unlike LoginAfter it leaves out the time of a TLS
	// handshake on the network and covers a login that was never written.
	OwnPause       time.Duration
	Idle           time.Duration // last byte in either direction → now (→ the command, if one is out)
	SinceCommand   time.Duration // command written → now
	LongestReadGap time.Duration // longest time within this answer in which this process did not read although bytes were there
	GapBytes       int64         // read since that pause: what had filled the buffers meanwhile
	SinceGap       time.Duration // end of that pause → now
	SinceRead      time.Duration // last byte of the server read → now
	// EndWindow is how far back the end of the stream may lie: since the last sign
	// that it was open; 0 if somebody was reading when it came.
	EndWindow time.Duration
	// AnswerAfter is the time from the last command to the first packet behind
	// it, whosever answer that was.
	AnswerAfter     time.Duration
	RelatedFailures int // other connections to this server that failed within a second; the same as Siblings.Ended

	// Transport is what the kernel says of the connection, Stall what it and the
	// runtime say of this process, if it kept the server waiting.
	Transport Transport
	Stall     Stall

	// PostMortem is what the server said of itself when it was asked afterwards.
	PostMortem PostMortem

	// Siblings is what the process knows of its other connections to the server.
	Siblings Siblings
}

// Party is one of two operations that met on a connection. Its zero value is
// an operation of which nothing is known.
type Party struct {
	Operation string        // "query", "exec", "rows next"…
	Site      string        // file:line of its caller
	Age       time.Duration // since it began
}

// Goroutines says whether owner and intruder ran on the same goroutine.
type Goroutines uint8

const (
	// GoroutinesUnknown: their call stacks do not tell.
	GoroutinesUnknown Goroutines = iota
	SameGoroutine
	OtherGoroutine
)

var goroutinesNames = [...]string{"unknown", "same", "other"}

func (g Goroutines) String() string {
	if int(g) < len(goroutinesNames) {
		return goroutinesNames[g]
	}
	return "invalid goroutines"
}

// Ownership is how an operation met another one.
type Ownership uint8

const (
	// OwnershipNone: it met none, or nobody watches.
	OwnershipNone Ownership = iota
	// OwnershipOverlap: two operations were inside at once.
	OwnershipOverlap
	// OwnershipInterleaving: it began while the result of another was not finished.
	OwnershipInterleaving
	// OwnershipOutside: the connection was read or written while no operation was under way.
	OwnershipOutside
)

var ownershipNames = [...]string{"none", "overlap", "interleaving", "outside any operation"}

func (o Ownership) String() string {
	if int(o) < len(ownershipNames) {
		return ownershipNames[o]
	}
	return "invalid ownership"
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
