package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/proxyproto"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// terminate relays a connection of which TLS ends here. The greeting and the
// client's request for TLS pass as they are; behind it each side gets a handshake of
// its own. A client that does not ask for TLS is relayed like any other.
func (s *conn) terminate() {
	t := &turn{conn: s}
	relayPlain(&s.client, &s.server, t)
	if !t.asked {
		_ = s.client.Close()
		_ = s.server.Close()
		return
	}
	s.tapped = true
	server := tls.Client(s.server.Conn, s.p.cfg.ServerTLS)
	_ = server.SetDeadline(time.Now().Add(handshakeTime))
	if err := server.Handshake(); err != nil {
		s.p.logOf(failedTLS, "%s: TLS with the server failed: %v", s.address, err)
		s.client.abort()
		s.server.abort()
		return
	}
	_ = server.SetDeadline(time.Time{})
	client := tls.Server(&tap{Conn: s.client.Conn, before: t.more, s: s}, &tls.Config{
		Certificates: []tls.Certificate{*s.p.cfg.Terminate},
		KeyLogWriter: keyLogWriter{s},
		// A session that is resumed has secrets that nobody logs.
		SessionTicketsDisabled: true,
	})
	_ = client.SetDeadline(time.Now().Add(handshakeTime))
	if err := client.Handshake(); err != nil {
		s.p.logOf(failedTLS, "%s: TLS with the client failed: %v (does it know the certificate?)", s.address, err)
		s.clientGaveUp(err)
		s.client.abort()
		s.server.abort()
		return
	}
	_ = client.SetDeadline(time.Time{})
	relay(&end{Conn: halfCloser{client}}, &end{Conn: halfCloser{server}}, s)
}

// clientGaveUp tells the conversation of an end of the handshake with the client that was
// not this proxy's doing: of an alert of its own the tap has told, and to wait for too long
// is the proxy's patience.
func (s *conn) clientGaveUp(err error) {
	var alert *net.OpError
	switch {
	case errors.As(err, &alert) && alert.Op == "remote error": // crypto/tls's name for the peer's alert
		s.ended(session.FromClient, nil)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		s.ended(session.FromClient, nil)
	case isReset(err):
		s.ended(session.FromClient, err)
	}
}

// handshakeTime is the most that either handshake may take.
const handshakeTime = 30 * time.Second

// halfCloser passes a half-close on through TLS: close_notify, and a FIN.
type halfCloser struct{ *tls.Conn }

func (c halfCloser) CloseWrite() error {
	err := c.Conn.CloseWrite()
	if h, ok := c.Conn.NetConn().(interface{ CloseWrite() error }); ok {
		if e := h.CloseWrite(); err == nil {
			err = e
		}
	}
	return err
}

// tap is the client's socket below TLS, where the conversation looks.
type tap struct {
	net.Conn
	before []byte // came with the request for TLS
	s      *conn
}

func (t *tap) Read(p []byte) (int, error) {
	if len(t.before) > 0 {
		n := copy(p, t.before)
		t.before = t.before[n:]
		t.s.look(session.FromClient, p[:n])
		return n, nil
	}
	n, err := t.Conn.Read(p)
	if n > 0 {
		t.s.look(session.FromClient, p[:n])
	}
	return n, err
}

func (t *tap) Write(p []byte) (int, error) {
	t.s.look(session.FromServer, p)
	return t.Conn.Write(p)
}

func (t *tap) CloseWrite() error {
	if c, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// NetConn lets the socket below be found.
func (t *tap) NetConn() net.Conn { return t.Conn }

// keyLogWriter gives the secrets to the conversation.
type keyLogWriter struct{ s *conn }

func (w keyLogWriter) Write(line []byte) (int, error) {
	w.s.mu.Lock()
	w.s.talk.Secrets(line, w.s.now())
	w.s.unlock()
	return len(line), nil
}

// turn looks for the client's request for TLS in its first bytes.
type turn struct {
	*conn
	head  []byte
	done  bool
	asked bool
	more  []byte // behind the request
}

const (
	sslRequestLen = 4 + 32
	clientSSL     = 0x0800
)

// first takes bytes of the client and returns how many of them may be passed on
// before the turn to TLS, if there is one. A PROXY protocol header may be in front.
func (t *turn) first(p []byte) (n int, turns bool) {
	if t.done {
		return len(p), false
	}
	had := len(t.head)
	t.head = append(t.head, p...)
	header, _, v := proxyproto.Parse(t.head)
	h := t.head[header:]
	if v == proxyproto.Unsure || len(h) < sslRequestLen {
		return len(p), false
	}
	t.done, t.head = true, nil
	t.asked = h[0] == 32 && h[1] == 0 && h[2] == 0 && h[3] == 1 && (uint16(h[4])|uint16(h[5])<<8)&clientSSL != 0
	if !t.asked {
		return len(p), false
	}
	n = header + sslRequestLen - had
	t.more = bytes.Clone(p[n:])
	return n, true
}

// relayPlain is relay up to the client's request for TLS, if there is one: then both
// sockets are left open, with nothing read of what follows.
func relayPlain(client, server *end, t *turn) {
	var both sync.WaitGroup
	both.Add(1)
	go func() {
		defer both.Done()
		pump(session.FromServer, server, client, t)
	}()
	failed, stopped := false, false
	err := each(client.Conn, func(p []byte) bool {
		n, turns := t.first(p)
		if stopped = !t.bytes(session.FromClient, p[:n]); stopped {
			return false
		}
		if m, err := server.Write(p[:n]); err != nil {
			t.failed(session.FromClient, n-m, err)
			failed = true
			return false
		}
		if turns {
			// The server has said its greeting and waits; the other pump is stopped
			// without a byte read.
			_ = server.SetReadDeadline(time.Unix(1, 0))
		}
		return !turns
	})
	switch {
	case stopped:
		_, _ = client.Close(), server.Close()
	case t.asked && !failed:
		both.Wait()
		_ = server.SetReadDeadline(time.Time{})
		return
	case failed:
		if server.over.Load() {
			client.abort()
		}
	case err == io.EOF:
		t.ended(session.FromClient, nil)
		server.closeWrite()
	default:
		t.ended(session.FromClient, err)
		server.abort()
		_ = client.Close()
	}
	client.over.Store(true)
	both.Wait()
}
