package conversation

import (
	"time"

	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// extras are what only a conversation needs that is not this process's own: a
// guarded connection does not pay for them.
type extras struct {
	client  cause.Client
	vantage cause.Vantage
	tap     loginTap
	becomes string // the user that COM_CHANGE_USER asks for

	opening opening
	alert   wire.TLSAlert // by which the client ended TLS; 0: none

	onPacket func(Packet)
	eachRow  bool
	onKill   func(Kill)

	// Secrets that come late.
	limit  int // bytes to hold back at most
	keyLog func(clientRandom [32]byte) []byte
	asked  bool   // the ClientHello has been seen
	early  []byte // lines that came before it
	queue  []heldBytes
	held   int           // bytes held back, here and in the TLS layer
	heldAt time.Duration // when the last of them came
	waitAt time.Duration // of the bytes that wait in the TLS layer

	// Captures.
	searching bool   // for a command: what packets the bytes are is not known
	blind     bool   // for good: a part of a clone is lost, in which nothing can be told from a command
	head      []byte // of a frame, if the client's last bytes that were searched are no more
	unaligned bool   // where the server's packets begin is not known: see align
	gaps      uint64
	lost      uint64

	ends [2]struct {
		how cause.StreamEnd
		at  time.Duration
	}
	told   map[findingKey]int
	untold int
}

// newExtras returns nil if nothing of it is asked for.
func newExtras(c *Conversation, cfg *Config) *extras {
	ours := cfg.Client.Local || cfg.Client == cause.Client{} && cfg.Vantage == cause.VantageClient
	if ours && cfg.OnPacket == nil && cfg.OnKill == nil && !cfg.EachRow && cfg.Hold == 0 && cfg.KeyLog == nil {
		return nil
	}
	x := &extras{
		client: cfg.Client, vantage: cfg.Vantage, onPacket: cfg.OnPacket, eachRow: cfg.EachRow, onKill: cfg.OnKill,
		limit: cfg.Hold, keyLog: cfg.KeyLog,
	}
	x.tap.init(c, !ours)
	return x
}

// ClientAddress tells where the client is, once something in front of it has said so.
// It is for a client that is not this process.
func (c *Conversation) ClientAddress(address string) {
	if c.x != nil {
		c.x.client.Address = address
	}
}

// passed tells about a packet.
func (x *extras) passed(start time.Time, e *entry) {
	if x.onPacket != nil {
		x.onPacket(e.packet(start))
	}
}

func (x *extras) ended(dir session.Direction, how cause.StreamEnd, at time.Duration) {
	if e := &x.ends[dir]; e.how == cause.StreamOpen {
		e.how, e.at = how, at
	}
}

// findingKey is what makes two findings of a conversation alike.
type findingKey struct {
	violation session.Violation
	phase     session.Phase
	dir       session.Direction
	kind      session.Kind
	stream    cause.StreamEnd
}

const (
	toldAlike = 3  // findings that are alike
	toldKinds = 64 // that are not
)

// worth reports whether a finding is to be made: a peer that numbers everything
// its own way would otherwise make one of every packet.
func (x *extras) worth(f *finding) bool {
	if x == nil {
		return true
	}
	if x.told == nil {
		x.told = map[findingKey]int{}
	}
	k := findingKey{f.violation, f.phase, f.dir, f.kind, f.stream}
	n, known := x.told[k]
	if n >= toldAlike || !known && len(x.told) >= toldKinds {
		x.untold++
		return false
	}
	x.told[k] = n + 1
	return true
}

func (x *extras) startTLS(v *wire.TLS) {
	if x != nil && x.limit > 0 {
		v.Late()
	}
}

// drop lets go of what may be secret.
func (x *extras) drop() {
	if x == nil {
		return
	}
	clear(x.early)
	x.early, x.queue, x.held = nil, nil, 0
	x.tap.drop()
}
