package conversation

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// DefaultHistory is how many entries of history a conversation keeps. An entry
// is a packet or a run of rows and takes 16 bytes.
const DefaultHistory = 64

// MaxHistory bounds Config.History.
const MaxHistory = 4096

// Config says what is known of a connection before a byte has passed. The zero
// value is usable.
type Config struct {
	// Start is when the connection was made: all times count from it.
	Start time.Time
	// Network is the kind of network ("tcp", "unix", a custom name), for the
	// evidence.
	Network string
	// History is how many entries to keep; 0 means DefaultHistory.
	History int
	// OpaqueTLS does not look into TLS, even if the secrets are at hand.
	OpaqueTLS bool
	// FirstOnly makes no finding behind the first one that the connection does
	// not survive: for a client that gives the connection up over it.
	FirstOnly bool

	// Client is who the client is, and Vantage from where it is seen; both zero
	// for this process. What is not known of another client (its user, its
	// library) is read from its login. The login of this process is not looked
	// at, and credentials are never kept.
	Client  cause.Client
	Vantage cause.Vantage
	// Pipelining says that the client may send commands while answers to earlier
	// ones are outstanding. Without it, libraries that do so by themselves are
	// known by their name in the login.
	Pipelining bool
	// OnPacket, if there is one, is told about each packet as it is found, in
	// order. Rows that follow each other come as one, unless EachRow is set. It
	// must not use the Conversation.
	OnPacket func(Packet)
	EachRow  bool
	// OnKill, if there is one, is told of each connection that the client asks
	// the server to end. It must not use the Conversation.
	OnKill func(Kill)
	// Hold is how many bytes of TLS to hold back while their secrets are not
	// known, in both directions together. They are looked at when the secrets
	// come, each packet with its own time. With 0 the secrets of what the client
	// sends must be there first, as they are from crypto/tls.
	Hold int
	// KeyLog, if there is one, is asked once for the secrets of the connection,
	// when its ClientHello has been seen: lines of a key log, nil if there are
	// none yet.
	KeyLog func(clientRandom [32]byte) []byte
}

// Conversation is what was said on one connection. Call Init before anything
// else; it must not be copied after.
type Conversation struct {
	start   time.Time
	network string
	words   *session.ServerError
	alert   string // the server's TLS alert
	reason  string // why the packets are not seen
	made    int    // findings

	// From the end of marks to the beginning of tracker lies what each call needs,
	// in as few cache lines as it takes; see also Tracker.
	marks marks
	now   time.Duration // of the call, or when held back: of the bytes
	x     *extras       // nil unless Config asks for what a guarded connection does not need
	tls   *tlsLayer
	comp  *compLayer

	// The small ones lie together: every connection has them.
	opaqueTLS bool
	firstOnly bool
	// listening for the last words of a server that hung up on a write, which
	// was written in the phase cut; words are they.
	listening bool
	cut       session.Phase
	late      bool // bytes of the server lie unread
	goodbye   bool // the server ended TLS politely, while nothing was outstanding
	left      bool // this side hung up: what ends now is its doing
	hidden    bool // the packets are not seen, for a reason
	fine      bool // the call has come to its end: see rescue
	ended     bool // a finding was made that the connection does not survive
	counts    Counts
	said      lastWords
	found     []Finding
	history   history
	tracker   session.Tracker
	client    half
	server    half
}

// Counts are the counters of one conversation.
type Counts struct {
	Untracked uint32 // times that it could not be followed for a while
	Opaque    uint32 // 1 if packets could not be seen
	Panics    uint32 // of this package, recovered
}

// half is one direction: the layers and the reader of its packets.
type half struct {
	taken  int64 // bytes
	frames frames
}

// Init makes c ready for the first byte.
func (c *Conversation) Init(cfg Config) {
	c.start, c.network = cfg.Start, cfg.Network
	c.opaqueTLS, c.firstOnly = cfg.OpaqueTLS, cfg.FirstOnly
	if cfg.History <= 0 {
		cfg.History = DefaultHistory
	}
	c.history.init(min(cfg.History, MaxHistory))
	c.server.frames.init(c, session.FromServer)
	c.client.frames.init(c, session.FromClient)
	c.x = newExtras(c, &cfg)
	c.tracker.Pipelining(cfg.Pipelining)
}

// New returns a conversation that waits for its first byte.
func New(cfg Config) *Conversation {
	c := new(Conversation)
	c.Init(cfg)
	return c
}

// Counts returns the counters.
func (c *Conversation) Counts() Counts { return c.counts }

// Phase returns where the conversation stands.
func (c *Conversation) Phase() session.Phase { return c.tracker.Phase() }

// InTransaction reports whether a transaction is open, by the server's last status.
func (c *Conversation) InTransaction() bool { return c.tracker.InTransaction() }

// ConnectionID returns the server's id of the connection, 0 before its greeting.
func (c *Conversation) ConnectionID() uint32 { return c.tracker.Greeting().ConnectionID }

// Ended reports whether there was a finding that the connection does not
// survive.
func (c *Conversation) Ended() bool { return c.ended }

// Idle reports whether nothing is outstanding: the login is over, every answer
// is complete, and no byte of another one has come. It is true of a connection
// whose packets are not seen.
func (c *Conversation) Idle() bool {
	switch c.tracker.Phase() {
	case session.PhaseOpaque, session.PhaseUntracked:
		return true
	}
	return c.tracker.Phase() == session.PhaseReady && c.server.frames.missing() == 0 && (c.comp == nil || c.comp.server.Missing() == 0)
}

// BetweenCommands reports whether the next byte of the client begins a command,
// with nothing outstanding.
func (c *Conversation) BetweenCommands() bool {
	return c.tracker.Phase() == session.PhaseReady && c.client.frames.missing() == 0
}

// FileAsked reports whether the server's last word to the command on the wire, or to
// the last one, was a request for a file, whatever came of it.
func (c *Conversation) FileAsked() bool { return c.tracker.FileAsked() }

// Unsent reports whether the server has refused a file, or a command of several packets,
// of which the client has still to send the rest: what it writes next begins no command.
func (c *Conversation) Unsent() bool {
	_, unsent := c.tracker.Crossed()
	return unsent
}

// Layers says what lies under the packets. known is false while the login is
// not over.
func (c *Conversation) Layers() (tls cause.TLS, compressed, known bool) {
	return c.visibility(), c.comp != nil, !c.tracker.Phase().Connecting()
}

// visibility is how much of the TLS, if there is any, can be seen.
func (c *Conversation) visibility() cause.TLS {
	switch {
	case c.tls != nil && !c.hidden:
		return cause.TLSVisible
	case c.tracker.TLS():
		return cause.TLSOpaque
	}
	return cause.TLSNone
}

// Close says that this side hangs up: it has caused any end from now on. The
// secrets are erased.
func (c *Conversation) Close() {
	c.left = true
	if c.tls != nil {
		c.tls.view.Zero()
	}
	c.x.drop()
}

// Leave is like Close, shortly before it: the secrets stay.
func (c *Conversation) Leave() { c.left = true }
