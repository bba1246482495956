package wrapconn

import (
	"io"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
	"github.com/seqguard/mysql-seqguard/wrapconn/wire"
)

// tlsView is the TLS layer of a connection.
type tlsView struct {
	conn  *Conn
	view  *wire.TLS
	plain bool // the server answered in plaintext
}

// startTLS puts the TLS layer under the packets: everything behind the
// SSLRequest is records.
func (c *Conn) startTLS() {
	v := &tlsView{conn: c}
	v.view = wire.NewTLS(&c.client.frames.r, &c.server.frames.r, v)
	c.tls = v
}

func (v *tlsView) feed(dir session.Direction, p []byte) {
	if dir == session.FromClient {
		v.view.FeedClient(p)
		return
	}
	v.view.FeedServer(p)
	v.refused()
	if v.conn.opts.OpaqueTLS && !v.plain {
		// Not earlier: a server that answers the SSLRequest in plaintext is heard.
		v.view.GiveUp("switched off by option")
	}
}

// refused reports a server that ended the handshake with an alert: crypto/tls
// reads no further. A plaintext ERR that came with it has been told already, and
// tells more.
func (v *tlsView) refused() {
	c := v.conn
	if c.alert == "" || c.fatal != nil {
		return
	}
	phase := c.tracker.Phase()
	if c.hidden && c.owner.snapshot().kind == OpConnect {
		phase = session.PhaseTLS
	}
	if phase.Connecting() {
		c.find(finding{phase: phase, dir: session.FromServer, expected: c.tracker.Expected()})
	}
}

// Alert implements wire.TLSEvents.
func (v *tlsView) Alert(from wire.TLSSide, a wire.TLSAlert) {
	c := v.conn
	switch {
	case from != wire.TLSServer:
	case !a.CloseNotify():
		c.alert = a.String()
	case c.tracker.Phase() == session.PhaseReady:
		c.goodbye = true // told when the next command is about to be written
	default:
		// crypto/tls makes an EOF of it and does not read on, so the EOF of the
		// connection below, if one follows, is never seen.
		c.streamError(io.EOF)
	}
}

// PostHandshake implements wire.TLSEvents.
func (v *tlsView) PostHandshake(wire.TLSSide, wire.TLSMessage) {}

// NotTLS implements wire.TLSEvents: a server that cannot go on says so in a
// plaintext ERR packet.
func (v *tlsView) NotTLS(from wire.TLSSide, _ []byte) wire.Sink {
	if from == wire.TLSServer {
		v.plain = true
		// Or the beginning of something else, taken for a long packet, would
		// never be looked at.
		v.conn.server.frames.r.SetPrefix(wire.LongPrefix)
		return &v.conn.server.frames.r
	}
	return nil
}

// Opaque implements wire.TLSEvents.
func (v *tlsView) Opaque(reason string) { v.conn.hide(reason) }

// writeKeyLog takes lines of the key log of this connection.
func (c *Conn) writeKeyLog(lines []byte) {
	c.mu.Lock()
	if c.tls != nil && !c.hidden {
		c.tls.view.WriteKeyLog(lines)
	}
	found := c.takeFound()
	c.mu.Unlock()
	c.deliver(found)
}
