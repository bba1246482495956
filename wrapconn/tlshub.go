package wrapconn

import (
	"crypto/tls"
	"io"
	"sync"
	"weak"
)

// TLSHub carries the secrets of all connections that share one tls.Config to
// the Conns below them. Where each connection can have a Config of its own,
// TLSLink does it with less. A resumed session of TLS 1.2, whose secret
// crypto/tls does not log, stays unseen here.
type TLSHub struct {
	user io.Writer // the config's own KeyLogWriter, which is still served

	mu      sync.Mutex
	waiting []weak.Pointer[Conn] // whose login may still be under way
}

// ViewSharedTLS changes cfg so that the secrets of each of its connections reach
// the Conn of it that Attach names.
func ViewSharedTLS(cfg *tls.Config) *TLSHub {
	h := &TLSHub{user: cfg.KeyLogWriter}
	cfg.KeyLogWriter = h
	return h
}

// Attach names a connection under the TLS. It must come before the handshake.
func (h *TLSHub) Attach(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logins()
	h.waiting = append(h.waiting, weak.Make(c))
}

// Write implements io.Writer for tls.Config.KeyLogWriter. Whose the lines are
// stands in them: a connection leaves those of others out.
func (h *TLSHub) Write(lines []byte) (int, error) {
	h.mu.Lock()
	logins := h.logins()
	h.mu.Unlock()
	for _, c := range logins {
		c.writeKeyLog(lines)
	}
	if h.user != nil {
		return h.user.Write(lines)
	}
	return len(lines), nil
}

// logins returns the connections whose login is under way, and forgets the
// others.
func (h *TLSHub) logins() (out []*Conn) {
	kept := h.waiting[:0]
	for _, w := range h.waiting {
		if c := w.Value(); c != nil && c.loggingIn() {
			kept, out = append(kept, w), append(out, c)
		}
	}
	clear(h.waiting[len(kept):])
	h.waiting = kept
	return out
}

// loggingIn reports whether secrets may still come.
func (c *Conn) loggingIn() bool {
	c.mu.Lock()
	defer c.unlock()
	return !c.closed.Load() && c.talk.Phase().Connecting()
}
