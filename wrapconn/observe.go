package wrapconn

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
	"github.com/seqguard/mysql-seqguard/wrapconn/wire"
)

// sawRead looks at what a Read returned. A non-nil error is to be returned in
// place of the bytes.
func (c *Conn) sawRead(p []byte, err error) error {
	c.mu.Lock()
	now := c.now()
	if len(p) > 0 {
		if gap := now - c.marks.read; c.tracker.Phase().Answering() && c.marks.read > c.marks.command {
			c.marks.readGap = max(c.marks.readGap, gap)
		}
		c.look(session.FromServer, p, now)
		c.marks.read = now
	}
	if err != nil {
		c.streamError(err)
	}
	refuse := c.refuseGreeting()
	found := c.takeFound()
	c.mu.Unlock()
	c.deliver(found)
	return refuse
}

// beforeWrite is Check in front of a command, and the look at what is about to
// be written. In Enforce mode it returns an error for a command while bytes wait
// or an answer is outstanding: nothing must be written then. middle tells that a
// part of the command has been written already.
func (c *Conn) beforeWrite(p []byte) (middle bool, err error) {
	c.mu.Lock()
	now := c.now()
	if !c.justChecked(now) {
		c.check()
	}
	c.pooled = 0
	middle = c.tracker.Phase() != session.PhaseReady || c.client.frames.missing() > 0
	var refused *Report
	// A COM_QUIT has no answer that could be mistaken, and the plain driver
	// closes a dead connection without an error.
	if c.opts.Mode == Enforce && !c.leaving.Load() {
		refused = c.fatal
	}
	if refused == nil {
		c.seeWrite(p, now)
	}
	found := c.takeFound()
	c.mu.Unlock()
	c.deliver(found)
	if refused != nil {
		return middle, &ProtocolError{Report: refused}
	}
	for i := range found {
		if found[i].violation == session.CommandDuringAnswer && c.opts.Mode == Enforce {
			return middle, &ProtocolError{Report: found[i].report}
		}
	}
	return middle, nil
}

// seeWrite looks at what is about to be written, with mu held.
func (c *Conn) seeWrite(p []byte, now int64) {
	if c.tracker.Phase().Connecting() && c.marks.read > 0 {
		c.marks.ownPause = max(c.marks.ownPause, now-c.marks.read)
	}
	if c.tracker.Phase() == session.PhaseReady {
		c.marks.before = c.client.taken
	}
	c.look(session.FromClient, p, now)
	c.marks.write = now
}

// look feeds bytes to the layers of one direction. Whatever goes wrong in there
// is the guard's own fault and must not become the user's: the conversation is
// then opaque.
func (c *Conn) look(dir session.Direction, p []byte, now int64) {
	defer func() {
		if r := recover(); r != nil {
			counters.panics.Add(1)
			c.hide("internal error of the guard")
			c.tls = nil // hide has erased the keys
		}
	}()
	h := &c.server
	if dir == session.FromClient {
		h = &c.client
	}
	h.taken += int64(len(p))
	h.frames.now = now
	if c.hidden && c.tls == nil {
		return // TLS that is not seen through still has its alerts
	}
	for len(p) > 0 {
		switch {
		case c.tls != nil:
			c.tls.feed(dir, p)
			return
		case c.comp != nil:
			c.comp.of(dir).Feed(p)
			return
		default:
			p = p[h.frames.r.Feed(p):]
		}
	}
}

// hide gives up seeing packets.
func (c *Conn) hide(reason string) {
	if c.hidden {
		return
	}
	c.hidden, c.lostTLS = true, reason
	c.tracker.Opaque()
	counters.opaque.Add(1)
	if c.tls != nil {
		c.tls.view.GiveUp(reason)
	}
}

// streamEnd names the way in which the inner connection failed.
func streamEnd(err error) cause.StreamEnd {
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return cause.StreamOpen
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return cause.StreamEOF
	case errors.Is(err, syscall.ECONNRESET):
		return cause.StreamReset
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return cause.StreamTimeout
	}
	return cause.StreamBroken
}

// streamError takes an error of the inner connection.
func (c *Conn) streamError(err error) {
	if c.closed.Load() || errors.Is(err, net.ErrClosed) {
		return // this side hung up
	}
	c.streamErrorIn(c.tracker.Phase(), err)
}

// streamErrorIn is streamError for an operation that had come to the phase
// before.
func (c *Conn) streamErrorIn(before session.Phase, err error) {
	end := streamEnd(err)
	if end == cause.StreamTimeout {
		c.timedOut(before, err)
		return
	}
	inside := c.server.frames.missing() > 0 || c.comp != nil && c.comp.server.Missing() > 0
	v := c.tracker.EndOfStream(inside)
	if before == session.PhaseOpaque && c.opts.Operations && c.owner.active() {
		v = session.Truncated // somebody was waiting, for what cannot be seen
	}
	if v == session.None && before != session.PhaseQuit && before != session.PhaseClosed && c.marks.unsent > 0 {
		v = session.Truncated
	}
	if v == session.None {
		return
	}
	c.find(finding{
		violation: v, phase: before, dir: session.FromServer, stream: end, inside: inside,
		err: err, expected: c.tracker.Expected(), command: c.tracker.Command(), server: c.words,
	})
}

// timedOut takes a read deadline that passed. Of a client that uses deadlines to
// look around, it says nothing; one whose operations go through the owner gives
// the connection up over it.
func (c *Conn) timedOut(phase session.Phase, err error) {
	inside := c.server.frames.missing() > 0
	if !c.opts.Operations || !inside && !phase.Connecting() && !phase.Answering() && phase != session.PhaseOpaque {
		return
	}
	c.find(finding{
		violation: session.Truncated, phase: phase, dir: session.FromServer, stream: cause.StreamTimeout, inside: inside,
		err: err, expected: c.tracker.Expected(), command: c.tracker.Command(),
	})
}

// DeadlineExceeded tells the connection that the login was given up because the
// deadline of its context has passed. A login that took less than a second is
// taken for an ordinary cancellation.
func (c *Conn) DeadlineExceeded(err error) {
	c.mu.Lock()
	if phase := c.tracker.Phase(); phase.Connecting() && c.now() > int64(time.Second) {
		c.timedOut(phase, err)
	}
	found := c.takeFound()
	c.mu.Unlock()
	c.deliver(found)
}

// failedWrite takes an error of the inner connection's Write.
func (c *Conn) failedWrite(unsent int, err error) {
	if c.closed.Load() || errors.Is(err, net.ErrClosed) {
		return
	}
	c.mu.Lock()
	c.marks.unsent = unsent
	before := c.tracker.Phase() // what the server says may be well numbered, and end the answer
	c.listening = true
	c.mu.Unlock()
	if streamEnd(err) != cause.StreamTimeout { // the peer may be alive: its bytes are the client's
		c.lastWords()
	}
	c.mu.Lock()
	c.listening = false
	if c.fatal == nil {
		c.streamErrorIn(before, err)
	}
	found := c.takeFound()
	c.mu.Unlock()
	c.deliver(found)
}

// refuseGreeting returns an error if the peer's first bytes must not reach the
// client.
func (c *Conn) refuseGreeting() error {
	if c.fatal != nil && c.fatal.Evidence.Violation == session.NotMySQL {
		return &ProtocolError{Report: c.fatal}
	}
	return nil
}

// violation takes a packet that breaks the protocol.
func (c *Conn) violation(dir session.Direction, before session.Phase, ev session.Event, h wire.Header, prefix []byte) {
	f := finding{
		violation: ev.Violation, phase: before, dir: dir, kind: ev.Kind, expected: ev.Expected,
		actual: h.Seq, length: h.Length, command: c.tracker.Command(),
	}
	if ev.Kind == session.KindCommand {
		f.command = ev.Command
	}
	if ev.Kind == session.KindERR {
		if e, ok := session.ParseError(prefix); ok {
			f.server = &e
		}
	}
	if ev.Violation == session.NotMySQL {
		head := [wire.HeaderLen]byte{byte(h.Length), byte(h.Length >> 8), byte(h.Length >> 16), h.Seq}
		f.first = append(head[:], prefix[:min(len(prefix), maxFirstBytes-len(head))]...)
	}
	c.find(f)
}

// maxFirstBytes is how much of a peer that is not MySQL is shown.
const maxFirstBytes = 16
