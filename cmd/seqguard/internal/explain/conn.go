package explain

import (
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/proxyproto"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/reassemble"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// conn is one TCP connection: at first anybody's, then MySQL's or ignored.
type conn struct {
	x      *explainer
	flow   *reassemble.Flow
	number int
	swap   bool // the flow takes the server for the client
	talk   *conversation.Conversation
	start  int64
	source string // of a PROXY header

	head    [2][]byte // bytes before it is known what they are
	headAt  int64
	tries   int
	vantage cause.Vantage

	causes  []cause.Slug
	quiet   int
	gaps    int
	lost    uint64
	packets uint64
	last    [2]conversation.Packet // for the margin, by direction
	speaker session.Direction
	sql     *statements
	lines   *timeline
	ended   *ended // nil: no end of its events waits
}

func (x *explainer) open(f *reassemble.Flow, _ int64) reassemble.Handler {
	return &conn{x: x, flow: f}
}

// since is a moment as the conversation counts them.
func (c *conn) since(at int64) time.Duration { return time.Duration(max(at-c.start, 1)) }

func (c *conn) dir(from reassemble.Side) session.Direction {
	if (from == reassemble.Client) != c.swap {
		return session.FromClient
	}
	return session.FromServer
}

// Bytes implements reassemble.Handler.
func (c *conn) Bytes(from reassemble.Side, p []byte, at int64) {
	if c.talk == nil {
		c.undecided(from, p, at)
		return
	}
	c.bytes(c.dir(from), p, at)
}

func (c *conn) bytes(d session.Direction, p []byte, at int64) {
	if c.sql != nil {
		if _, compressed, _ := c.talk.Layers(); compressed {
			c.sql = nil
		} else {
			c.sql.bytes(d, p)
		}
	}
	c.talk.Bytes(d, p, c.since(at))
	if c.talk.Found() {
		c.take()
	}
}

const (
	maxHead  = 1024
	maxTries = 64 // segments of a connection whose beginning is missing
)

// undecided looks for MySQL in the first bytes.
func (c *conn) undecided(from reassemble.Side, p []byte, at int64) {
	if c.flow.Middle && len(c.head[0])+len(c.head[1]) == 0 {
		c.middle(from, p, at)
		return
	}
	if len(c.head[from])+len(p) > maxHead {
		p = p[:maxHead-len(c.head[from])]
	}
	if c.headAt == 0 {
		c.headAt = at
	}
	rest := p
	c.head[from] = append(c.head[from], p...)
	server := c.head[reassemble.Server]
	v := no
	if from == reassemble.Server {
		v = greets(server)
	} else if n, source, is := proxyproto.Parse(c.head[from]); is != proxyproto.No {
		if is == proxyproto.Yes {
			c.head[from] = c.head[from][n:]
			c.headAt = 0
			if source.IsValid() {
				c.source = source.String()
			}
		}
		return
	}
	known := c.x.isServer(c.flow.Ends[reassemble.Server].Port)
	switch {
	case v == unsure:
	case v == yes || known:
		c.begin(c.headAt, false)
		c.replay(from, rest, at)
	default:
		c.ignore()
	}
}

// replay tells the conversation the bytes that were kept, the last ones with their
// own time.
func (c *conn) replay(from reassemble.Side, last []byte, at int64) {
	head := c.head
	c.head = [2][]byte{}
	other := from.Other()
	if len(head[other]) > 0 {
		c.bytes(c.dir(other), head[other], c.headAt)
	}
	if n := len(head[from]) - len(last); n > 0 {
		c.bytes(c.dir(from), head[from][:n], c.headAt)
		head[from] = head[from][n:]
	}
	c.bytes(c.dir(from), head[from], at)
}

// middle looks at a segment of a connection whose beginning is missing.
func (c *conn) middle(from reassemble.Side, p []byte, at int64) {
	switch {
	case greets(p) == yes: // only the TCP handshake is missing
		c.swap = from == reassemble.Client
		c.begin(at, false)
	case c.x.isServer(c.flow.Ends[reassemble.Server].Port):
		c.begin(at, true)
	case commands(p):
		c.swap = from == reassemble.Server
		c.begin(at, true)
	default:
		if c.tries++; c.tries >= maxTries {
			c.ignore()
		}
		return
	}
	c.bytes(c.dir(from), p, at)
}

func (c *conn) ignore() {
	c.x.totals.Others++
	c.x.table.Ignore(c.flow)
}

// begin starts the conversation.
func (c *conn) begin(at int64, middle bool) {
	x := c.x
	c.start = at
	if c.flow.SYNACK != 0 && !c.swap {
		c.start = min(at, c.flow.SYNACK)
	}
	x.totals.Connections++
	c.number = x.totals.Connections
	c.vantage = x.vantage(c.flow)
	address := c.ends()[0]
	if c.source != "" {
		address = c.source
	}
	cfg := conversation.Config{
		Start: time.Unix(0, c.start), Network: "tcp", Client: cause.Client{Address: address}, Vantage: c.vantage,
		OnKill:  func(k conversation.Kill) { x.kills.Add(c.ends()[1], k) },
		EachRow: x.opts.Rows, KeyLog: func(r [32]byte) []byte { return x.keys.Lines(r) },
	}
	if x.format || x.opts.Live {
		cfg.Hold = x.hold()
	}
	if x.page != nil {
		c.lines = &timeline{}
	}
	if x.opts.Packets || x.opts.OnPacket != nil || x.page != nil {
		cfg.OnPacket = c.packet
	}
	if x.opts.SQL {
		c.sql = &statements{}
	}
	c.talk = conversation.New(cfg)
	if middle {
		c.talk.Middle(c.since(at))
		if c.sql != nil {
			c.sql.gap()
		}
	}
	x.live[c] = struct{}{}
}

// hold is how much TLS to keep for secrets that may still come, so that all
// connections together stay within bounds.
func (x *explainer) hold() int {
	return min(max(64<<20/(len(x.live)+1), 16<<10), 1<<20)
}

// ends are the addresses of client and server.
func (c *conn) ends() [2]string {
	a, b := c.flow.Ends[reassemble.Client].String(), c.flow.Ends[reassemble.Server].String()
	if c.swap {
		a, b = b, a
	}
	return [2]string{a, b}
}

// Gap implements reassemble.Handler.
func (c *conn) Gap(from reassemble.Side, n int64, at int64) {
	if c.talk == nil {
		if c.x.isServer(c.flow.Ends[reassemble.Server].Port) {
			c.begin(at, true)
			c.x.gap(c, c.dir(from), n, at)
			return
		}
		c.flow.Middle = true // the greeting may be what is missing
		c.head = [2][]byte{}
		return
	}
	c.x.gap(c, c.dir(from), n, at)
	if c.sql != nil {
		c.sql.gap()
	}
	c.talk.Gap(c.dir(from), n, c.since(at))
	c.take()
}

// End implements reassemble.Handler.
func (c *conn) End(from reassemble.Side, how reassemble.End, at int64) {
	if c.talk == nil || how == reassemble.EndLeft {
		return
	}
	stream := cause.StreamEOF
	if how == reassemble.EndReset {
		stream = cause.StreamReset
	}
	c.talk.End(c.dir(from), stream, nil, c.since(at))
	c.take()
}

// Gone implements reassemble.Handler.
func (c *conn) Gone(at int64) {
	if c.talk == nil {
		if len(c.head[0])+len(c.head[1]) > 0 || c.tries > 0 {
			c.x.totals.Others++
		}
		return
	}
	if c.talk.State().Held > 0 { // its secrets do not come any more
		c.talk.Opaque(noSecrets, c.since(at))
	}
	c.take()
	if c.ended != nil {
		c.ended.gone = at
		return
	}
	c.over(at)
}

const noSecrets = "its secrets are in neither the capture nor a key log"

// over tells of a connection of which all is told.
func (c *conn) over(at int64) {
	delete(c.x.live, c)
	c.x.gone(c, at)
	c.talk.Close()
}

// take tells the findings, but for the end of a stream of events, which waits.
func (c *conn) take() {
	for _, f := range c.talk.Take() {
		if c.ended == nil && report.EventsEnded(&f) {
			c.x.await(c, f)
			continue
		}
		c.tell(f)
	}
}

func (c *conn) tell(f conversation.Finding) {
	e := &f.Evidence
	server := c.ends()[1]
	if c.x.kills.Own(server, &f) {
		return
	}
	if e.Stream != cause.StreamOpen || e.ServerError != nil {
		e.RelatedFailures = c.x.failed.Add(server, c.number, f.Time)
	}
	v := &report.Violation{
		Cause: f.Diagnose(), Finding: f, Server: server, Started: time.Unix(0, c.start), Number: c.number,
	}
	if n := vantageNote(c.vantage, c.flow); n != "" {
		v.Notes = append(v.Notes, n)
	}
	if c.gaps > 0 {
		v.Notes = append(v.Notes, "the capture lacks "+report.Bytes(c.lost)+" of this connection, in "+plural(c.gaps, "place"))
	}
	if v.Quiet() {
		c.quiet++
		c.x.totals.Knocks++
		return
	}
	if c.lines != nil && e.Stream != cause.StreamOpen { // there is no packet to mark
		c.lines.mark(f.Time.UnixNano()-c.start, e.Direction, v.Cause.Title)
	}
	c.causes = append(c.causes, v.Cause.Slug)
	c.x.totals.Violations++
	c.x.violation(c, v)
}
