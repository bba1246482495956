package wire

import "fmt"

// TLSPeekKind says what PeekServer found.
type TLSPeekKind uint8

const (
	TLSPeekIncomplete    TLSPeekKind = iota // no complete record
	TLSPeekPostHandshake                    // nothing but tickets and key updates
	TLSPeekData                             // application data, perhaps with other records
	TLSPeekCloseNotify                      // the polite end
	TLSPeekAlert                            // another alert
	TLSPeekNotTLS                           // plaintext where a record should be
	TLSPeekOpaque                           // records that cannot be seen through
)

func (k TLSPeekKind) String() string {
	switch k {
	case TLSPeekIncomplete:
		return "incomplete"
	case TLSPeekPostHandshake:
		return "post-handshake"
	case TLSPeekData:
		return "data"
	case TLSPeekCloseNotify:
		return "close_notify"
	case TLSPeekAlert:
		return "alert"
	case TLSPeekNotTLS:
		return "not TLS"
	case TLSPeekOpaque:
		return "opaque"
	}
	return fmt.Sprintf("TLSPeekKind(%d)", uint8(k))
}

// TLSPeek is what lies in the receive buffer.
type TLSPeek struct {
	Kind TLSPeekKind
	// Plain is the application data of the complete records, or the bytes that
	// are not TLS: what the server's Sink would get, from where it stands now.
	Plain []byte
	Alert TLSAlert // the last one, if there was one behind data too
	// Closed tells that a close_notify is among the records.
	Closed bool
	// Missing is how many bytes of the last record are not in what was given,
	// if its header is. A caller whose buffer was too small peeks again with so
	// much more room: at most a record, 18 KiB.
	Missing int
}

// PeekServer tells what the bytes are which the server sent after the ones that
// FeedServer was given, without taking them: they have to be fed later all the
// same. It is for a rare event and allocates.
func (t *TLS) PeekServer(b []byte) TLSPeek {
	var p tlsPeeker
	c := *t
	c.ev = &p
	if t.secrets != nil {
		secrets := *t.secrets
		c.secrets = &secrets
	}
	c.client.t, c.server.t = &c, &c
	s := &c.server
	c.scratch = new(tlsScratch)
	p.skip, _ = s.sink.Wants()
	s.sink = &p
	held := s.held()
	s.later, c.client.later = nil, nil // they are the original's
	s.setLater(nil, append([]byte(nil), held...))
	c.client.buf, c.client.waiting = nil, false
	if s.buf != nil {
		buf := *s.buf
		s.buf = &buf
	}
	if s.tail != nil {
		tail := *s.tail
		s.tail = &tail
	}
	if s.msg != nil {
		msg := *s.msg
		msg.keep = append([]byte(nil), msg.keep...)
		s.msg = &msg
	}
	before := s.records
	s.feed(b)

	r := TLSPeek{Plain: p.plain, Alert: p.alert, Closed: p.closed}
	if s.framing == tlsFramed && s.have == tlsHeaderLen {
		r.Missing = int(s.length - s.got)
	}
	switch records := s.records - before; {
	case s.framing == tlsRaw:
		r.Kind = TLSPeekNotTLS
	case len(p.plain) > 0 || p.skipped:
		r.Kind = TLSPeekData
	case p.alerted && !p.alert.CloseNotify():
		r.Kind = TLSPeekAlert
	case p.closed:
		r.Kind = TLSPeekCloseNotify
	case s.framing == tlsLost, c.opaque() && records > 0:
		r.Kind = TLSPeekOpaque
	case records > 0:
		r.Kind = TLSPeekPostHandshake
	}
	c.wipe()
	return r
}

var _ Sink = (*tlsPeeker)(nil)

// tlsPeeker collects what a copy of the TLS finds.
type tlsPeeker struct {
	plain   []byte
	skip    int // what the real sink would still skip
	skipped bool

	alert   TLSAlert
	alerted bool
	closed  bool
}

func (p *tlsPeeker) Wants() (skip, want int) { return p.skip, 1 << 14 }
func (p *tlsPeeker) Skip(n int)              { p.skip, p.skipped = p.skip-n, true }

func (p *tlsPeeker) Feed(b []byte) int {
	n := min(p.skip, len(b))
	if n > 0 {
		p.Skip(n)
	}
	p.plain = append(p.plain, b[n:]...)
	return len(b)
}

func (p *tlsPeeker) Alert(_ TLSSide, a TLSAlert) {
	p.alert, p.alerted = a, true
	p.closed = p.closed || a.CloseNotify()
}

func (p *tlsPeeker) NotTLS(TLSSide, []byte) Sink       { return p }
func (p *tlsPeeker) PostHandshake(TLSSide, TLSMessage) {}
func (p *tlsPeeker) Opaque(string)                     {}
