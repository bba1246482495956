package wrapconn

import (
	"crypto/tls"
	"io"
	"sync/atomic"

	"github.com/seqguard/mysql-seqguard/internal/wire"
)

// TLSLink carries the secrets of one TLS connection from crypto/tls to the Conn
// below it, so that the packets inside can be seen. The secrets stay in the
// connection's memory. They are in no log, span, report or error, and Close erases
// them.
type TLSLink struct {
	conn atomic.Pointer[Conn]
	user io.Writer // the config's own KeyLogWriter, which is still served
}

// ViewTLS changes cfg, which must belong to one connection alone (a Clone), so
// that its secrets reach the Conn that Attach names later.
func ViewTLS(cfg *tls.Config) *TLSLink {
	l := &TLSLink{user: cfg.KeyLogWriter}
	cfg.KeyLogWriter = l
	if cfg.ClientSessionCache != nil {
		// crypto/tls does not log the secret of a resumed TLS 1.2 session.
		cfg.ClientSessionCache = wire.WatchSessions(cfg.ClientSessionCache, func(master []byte) {
			if c := l.conn.Load(); c != nil {
				c.offerSession(master)
			}
		})
	}
	return l
}

// Attach names the connection under the TLS. It must come before the handshake.
func (l *TLSLink) Attach(c *Conn) { l.conn.Store(c) }

// Write implements io.Writer for tls.Config.KeyLogWriter.
func (l *TLSLink) Write(lines []byte) (int, error) {
	if c := l.conn.Load(); c != nil {
		c.writeKeyLog(lines)
	}
	if l.user != nil {
		return l.user.Write(lines)
	}
	return len(lines), nil
}
