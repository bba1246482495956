package conversation

import (
	"io"

	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// tlsLayer is the TLS layer of a conversation.
type tlsLayer struct {
	c     *Conversation
	plain bool // the server answered in plaintext
	view  wire.TLS
}

// startTLS puts the TLS layer under the packets: everything behind the
// SSLRequest is records.
func (c *Conversation) startTLS() {
	v := &tlsLayer{c: c}
	v.view.Init(c.clientSink(), &c.server.frames.r, v)
	c.tls = v
	c.x.startTLS(&v.view)
}

func (v *tlsLayer) feed(dir session.Direction, p []byte) {
	if dir == session.FromClient {
		v.view.FeedClient(p)
		return
	}
	v.view.FeedServer(p)
	v.refused()
	if v.c.opaqueTLS && !v.plain {
		// Not earlier: a server that answers the SSLRequest in plaintext is heard.
		v.view.GiveUp("switched off by option")
	}
}

// refused reports a server that ended the handshake with an alert: a client
// reads no further. A plaintext ERR that came with it has been told already, and
// tells more.
func (v *tlsLayer) refused() {
	c := v.c
	if c.alert == "" || c.ended || c.left { // to a client that has gone, it only says that it has seen it
		return
	}
	phase := c.tracker.Phase()
	if c.hidden {
		phase = session.PhaseTLS // an alert that is seen all the same was in the clear
	}
	if phase.Connecting() {
		c.find(finding{phase: phase, dir: session.FromServer, expected: c.tracker.Expected()})
	}
}

// Alert implements wire.TLSEvents.
func (v *tlsLayer) Alert(from wire.TLSSide, a wire.TLSAlert) {
	c := v.c
	switch {
	case from != wire.TLSServer && !a.CloseNotify():
		if c.x != nil {
			c.x.alert = a
		}
	case from != wire.TLSServer:
		// What the server says to a client that has said good-bye is its answer to
		// that. Of its own process, a connection knows what it does.
		if c.x != nil && c.x.vantage != cause.VantageClient {
			c.tracker.EndOfClient()
		}
	case !a.CloseNotify():
		c.alert = a.String()
	case c.tracker.Phase() == session.PhaseReady:
		c.goodbye = true // told when the next command is about to be written
	case !c.left:
		// A client makes an EOF of it and does not read on, so the EOF of the
		// connection below, if one follows, is never seen.
		c.serverEnd(c.tracker.Phase(), ending{how: cause.StreamEOF, err: io.EOF})
	}
}

// PostHandshake implements wire.TLSEvents.
func (v *tlsLayer) PostHandshake(wire.TLSSide, wire.TLSMessage) {}

// NotTLS implements wire.TLSEvents: a server that cannot go on says so in a
// plaintext ERR packet.
func (v *tlsLayer) NotTLS(from wire.TLSSide, _ []byte) wire.Sink {
	if from == wire.TLSServer {
		v.plain = true
		// Or the beginning of something else, taken for a long packet, would
		// never be looked at.
		v.c.server.frames.r.SetPrefix(wire.LongPrefix)
		return &v.c.server.frames.r
	}
	return nil
}

// Opaque implements wire.TLSEvents.
func (v *tlsLayer) Opaque(reason string) { v.c.hide(reason) }

// OfferSession tells the master secret of a TLS 1.2 session that the client is
// about to resume: crypto/tls does not write it to the key log again.
func (c *Conversation) OfferSession(master []byte) {
	if c.tls != nil {
		c.tls.view.OfferSession(master)
	}
}
