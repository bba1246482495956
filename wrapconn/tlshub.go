package wrapconn

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"io"
	"sync"
	"weak"
)

// TLSHub carries the secrets of all connections that share one tls.Config to
// the Conns below them. It finds the Conn of a secret by the random number of the
// ClientHello. It cannot see a resumed session of TLS 1.2, whose secret crypto/tls
// does not log. TLSLink can, but needs a Config of its own for each connection.
type TLSHub struct {
	user io.Writer // the config's own KeyLogWriter, which is still served

	mu     sync.Mutex
	logins map[clientRandom]weak.Pointer[Conn] // under way, behind their ClientHello
	sweep  int                                 // how many there may be before those that were dropped are looked for
}

type clientRandom = [32]byte

// ViewSharedTLS changes cfg so that the secrets of each of its connections reach
// the Conn of it that Attach names.
func ViewSharedTLS(cfg *tls.Config) *TLSHub {
	h := &TLSHub{user: cfg.KeyLogWriter, logins: map[clientRandom]weak.Pointer[Conn]{}, sweep: minSweep}
	cfg.KeyLogWriter = h
	return h
}

const minSweep = 64

// Attach names a connection under the TLS. It must come before the handshake.
func (h *TLSHub) Attach(c *Conn) {
	c.mu.Lock()
	defer c.unlock()
	c.hub = h
}

// Write implements io.Writer for tls.Config.KeyLogWriter.
func (h *TLSHub) Write(lines []byte) (int, error) {
	for line := range bytes.Lines(lines) {
		if random, ok := randomOf(line); ok {
			if c := h.of(random); c != nil {
				c.writeKeyLog(line)
			}
		}
	}
	if h.user != nil {
		return h.user.Write(lines)
	}
	return len(lines), nil
}

// randomOf returns the second word of a line of a key log.
func randomOf(line []byte) (random clientRandom, ok bool) {
	_, rest, _ := bytes.Cut(line, []byte(" "))
	word, _, _ := bytes.Cut(rest, []byte(" "))
	if len(word) != 2*len(random) {
		return random, false
	}
	_, err := hex.Decode(random[:], word)
	return random, err == nil
}

func (h *TLSHub) of(random clientRandom) *Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.logins[random].Value()
}

func (h *TLSHub) enter(random clientRandom, c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.logins) >= h.sweep {
		for r, w := range h.logins {
			if w.Value() == nil {
				delete(h.logins, r)
			}
		}
		h.sweep = max(minSweep, 2*len(h.logins))
	}
	h.logins[random] = weak.Make(c)
}

func (h *TLSHub) leave(random clientRandom) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.logins, random)
}

// meetHub is called as long as the connection has a hub, behind bytes of either
// side, with mu held. The hub learns of the connection when the ClientHello has
// been seen, before it is written, and forgets it at the end of the login.
func (c *Conn) meetHub() {
	random, known := c.talk.ClientRandom()
	switch {
	case known && c.random == nil:
		c.random = &random
		c.hub.enter(random, c)
	case !known && c.random != nil, !c.talk.Phase().Connecting():
		c.leaveHub()
	}
}

func (c *Conn) leaveHub() {
	if c.random != nil {
		c.hub.leave(*c.random)
	}
	c.hub, c.random = nil, nil
}
