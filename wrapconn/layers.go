package wrapconn

import (
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
	"github.com/seqguard/mysql-seqguard/wrapconn/wire"
)

// tlsView is the TLS layer of a connection.
type tlsView struct {
	conn *Conn
	view *wire.TLS
}

// startTLS puts the TLS layer under the packets: everything behind the
// SSLRequest is records.
func (c *Conn) startTLS() {
	v := &tlsView{conn: c}
	v.view = wire.NewTLS(&c.client.frames.r, &c.server.frames.r, v)
	c.tls = v
	if c.opts.OpaqueTLS {
		v.view.GiveUp("switched off by option")
	}
}

func (v *tlsView) feed(dir session.Direction, p []byte) {
	if dir == session.FromClient {
		v.view.FeedClient(p)
	} else {
		v.view.FeedServer(p)
	}
}

// Alert implements wire.TLSEvents.
func (v *tlsView) Alert(from wire.TLSSide, a wire.TLSAlert) {
	if from == wire.TLSServer && !a.CloseNotify() {
		v.conn.alert = a.String()
	}
}

// PostHandshake implements wire.TLSEvents.
func (v *tlsView) PostHandshake(wire.TLSSide, wire.TLSMessage) {}

// NotTLS implements wire.TLSEvents: a server that cannot go on says so in a
// plaintext ERR packet.
func (v *tlsView) NotTLS(from wire.TLSSide, _ []byte) wire.Sink {
	if from == wire.TLSServer {
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

// compView is the compression layer of a connection.
type compView struct {
	server, client       wire.Inflater
	clientDir, serverDir compDirection
}

type compDirection struct {
	conn *Conn
	dir  session.Direction
}

// startCompression puts the compression layer under the packets if the sides
// agreed on it: it begins behind the OK that ends the login.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html
func (c *Conn) startCompression() {
	switch {
	case c.tracker.Zstd():
		c.hide("zstd compression")
		return
	case !c.tracker.Compressed():
		return
	}
	v := &compView{}
	v.serverDir = compDirection{conn: c, dir: session.FromServer}
	v.clientDir = compDirection{conn: c, dir: session.FromClient}
	v.server.Init(&c.server.frames.r, &v.serverDir)
	v.client.Init(&c.client.frames.r, &v.clientDir)
	c.comp = v
	c.tracker.Lenient()
	c.server.frames.r.Stop()
	if c.tls != nil {
		c.tls.view.SetSink(wire.TLSServer, &v.server)
		c.tls.view.SetSink(wire.TLSClient, &v.client)
	}
}

func (v *compView) of(dir session.Direction) *wire.Inflater {
	if dir == session.FromClient {
		return &v.client
	}
	return &v.server
}

// Frame implements wire.FrameHandler.
func (d *compDirection) Frame(h wire.FrameHeader) {}

// Corrupt implements wire.FrameHandler.
func (d *compDirection) Corrupt(k wire.Corruption) {
	c := d.conn
	c.find(finding{
		violation: session.Malformed, phase: c.tracker.Phase(), dir: d.dir, command: c.tracker.Command(),
		corruption: k.String(),
	})
	c.hide("corrupt compressed frame: " + k.String())
}
