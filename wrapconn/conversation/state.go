package conversation

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// State is where a conversation stands. It holds no payload and no secret.
type State struct {
	Phase         session.Phase
	Expected      uint8           // sequence id that is due
	Command       session.Command // whose answer is on the wire, or was the last
	Commands      uint64          // sent so far
	Pending       int             // commands whose answer is not complete
	Early         uint64          // commands that were sent before their turn: an answer may be that of a question so many earlier
	InTransaction bool            // by the server's last status

	Connection    uint32 // the server's id of the connection; 0 before its greeting
	ServerVersion string
	MariaDB       bool
	Client        cause.Client // as far as it is known; zero for this process

	TLS          cause.TLS
	OpaqueReason string // why the packets cannot be seen: TLS, or zstd compression
	TLSVersion   uint16 // as in crypto/tls; 0 if there is none, or not yet
	TLSSuite     uint16
	Compressed   bool

	Received, Sent uint64        // bytes of the server and of the client, lost ones not among them
	LastByte       time.Duration // when a byte passed last
	LastCommand    time.Duration // when the last command was written; 0 before the first

	Findings int // made so far, those among them that were too many to be told
	Counts   Counts
	Gaps     uint64 // places at which bytes are lost
	Lost     uint64 // bytes
	Held     int    // bytes that wait for secrets
	// ServerEnd and ClientEnd are how the bytes of the two sides ended, and
	// when; for a conversation of another process only.
	ServerEnd, ClientEnd     cause.StreamEnd
	ServerEndAt, ClientEndAt time.Duration
}

// LastByte is when a byte passed last, as State has it.
func (c *Conversation) LastByte() time.Duration {
	at := c.marks.last()
	if c.x != nil {
		at = max(at, c.x.heldAt)
	}
	return at
}

// State may be called at any time.
func (c *Conversation) State() State {
	t := &c.tracker
	g := t.Greeting()
	s := State{
		Phase: t.Phase(), Expected: t.Expected(), Command: t.Command(), Commands: t.Sent(), Pending: t.Pending(), Early: t.Early(),
		InTransaction: t.InTransaction(), Connection: g.ConnectionID, ServerVersion: g.Version, MariaDB: g.MariaDB(),
		TLS: c.visibility(), OpaqueReason: c.reason, Compressed: c.comp != nil || t.Zstd(),
		Received: uint64(c.server.taken), Sent: uint64(c.client.taken),
		LastByte: c.marks.last(), LastCommand: c.marks.command, Findings: c.made, Counts: c.counts,
	}
	if c.tls != nil {
		i := c.tls.view.Info()
		s.TLSVersion, s.TLSSuite = i.Version, i.Suite
	}
	if x := c.x; x != nil {
		s.Client = x.client
		s.Gaps, s.Lost, s.Held = x.gaps, x.lost, x.held
		s.LastByte = max(s.LastByte, x.heldAt)
		s.Findings += x.untold
		s.ServerEnd, s.ServerEndAt = x.ends[session.FromServer].how, x.ends[session.FromServer].at
		s.ClientEnd, s.ClientEndAt = x.ends[session.FromClient].how, x.ends[session.FromClient].at
	}
	return s
}
