package conversation

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// ending is how the bytes of a side ended.
type ending struct {
	how     cause.StreamEnd
	err     error
	awaited bool
}

// End says that the bytes of a side are over, and how: it closed its half of the
// connection, reset it, or (StreamTimeout) the client gave up waiting. err is
// the error of the socket, if there is one.
func (c *Conversation) End(dir session.Direction, how cause.StreamEnd, err error, now time.Duration) {
	c.end(dir, ending{how: how, err: err}, now)
}

// EndAwaited is End of the server for a client that was waiting for its bytes,
// which is not known from the packets if they cannot be seen.
func (c *Conversation) EndAwaited(how cause.StreamEnd, err error, now time.Duration) {
	c.end(session.FromServer, ending{how: how, err: err, awaited: true}, now)
}

func (c *Conversation) end(dir session.Direction, e ending, now time.Duration) {
	c.now = now
	defer c.rescue()
	if c.x != nil {
		c.x.ended(dir, e.how, now)
		if len(c.x.queue) > 0 { // what is over by then is not known before they are read
			c.x.queue = append(c.x.queue, heldBytes{at: now, dir: dir, end: &e})
			return
		}
	}
	c.over(dir, e)
}

// over takes the end of a side when all its bytes have been looked at.
func (c *Conversation) over(dir session.Direction, e ending) {
	if dir == session.FromClient {
		c.clientEnd(e)
		return
	}
	before := c.tracker.Phase()
	if c.listening {
		before, c.listening = c.cut, false
		if c.ended {
			return // what the server said was the finding
		}
	}
	if !c.left || e.how == cause.StreamTimeout { // giving up is this side's doing
		c.serverEnd(before, e)
	}
}

// serverEnd takes the end of the server's bytes in the phase before.
func (c *Conversation) serverEnd(before session.Phase, e ending) {
	inside := c.server.frames.missing() > 0
	if e.how == cause.StreamTimeout {
		if m := &c.marks; before.Connecting() && m.read > m.began && m.read > m.write {
			// The server had answered, and nobody has waited for more of it since.
			m.ownPause = max(m.ownPause, m.waits(c.now))
		}
		if inside || before.Connecting() || before.Answering() || before == session.PhaseOpaque {
			c.find(finding{
				violation: session.Truncated, phase: before, dir: session.FromServer, stream: e.how, inside: inside, first: c.firstOf(before),
				err: e.err, expected: c.tracker.Expected(), command: c.tracker.Command(),
			})
		}
		return
	}
	inside = inside || c.comp != nil && c.comp.server.Missing() > 0
	file, _ := c.tracker.Crossed()
	v := c.tracker.EndOfStream(inside)
	if before == session.PhaseOpaque && e.awaited {
		v = session.Truncated // somebody was waiting, for what cannot be seen
	}
	if v == session.None && before != session.PhaseQuit && before != session.PhaseClosed && c.marks.unsent > 0 {
		v = session.Truncated
	}
	if v == session.None || before == session.PhaseUntracked && c.x.lossy() {
		return
	}
	words := c.words
	if file && before == session.PhaseReady {
		// The server's ERR had come with its request for the file, well numbered, and it hung up: what met
		// the end is the file, and why is in that ERR.
		before = session.PhaseLocalInfile
		if words == nil {
			words = c.said.last()
		}
	}
	c.find(finding{
		violation: v, phase: before, dir: session.FromServer, stream: e.how, inside: inside, first: c.firstOf(before),
		err: e.err, expected: c.tracker.Expected(), command: c.tracker.Command(), server: words,
	})
}

// clientEnd takes the end of the client's bytes. What the server does after it
// is its consequence.
func (c *Conversation) clientEnd(e ending) {
	if c.left {
		return
	}
	c.left = true
	c.tracker.EndOfClient()
	phase := c.tracker.Phase()
	if phase == session.PhaseOpaque && c.tls != nil && c.x != nil && c.x.vantage != cause.VantageClient && c.tls.view.ClientMute() {
		phase = session.PhaseTLS // its login was not sent, whatever cannot be seen
	}
	inside := c.client.frames.missing() > 0 || c.comp != nil && c.comp.client.Missing() > 0
	if e.how == cause.StreamTimeout || c.ended ||
		phase == session.PhaseEvents && !inside || // they have no end of their own: a replica stops by leaving
		phase == session.PhaseQuit || phase == session.PhaseClosed || phase == session.PhaseUntracked || phase == session.PhaseOpaque ||
		!inside && !phase.Connecting() && !phase.Answering() {
		return
	}
	c.find(finding{
		violation: session.Truncated, phase: phase, dir: session.FromClient, stream: e.how, inside: inside,
		err: e.err, expected: c.tracker.Expected(), command: c.tracker.Command(),
	})
}

// WriteFailed says that the server took only a part of the last bytes of the
// client: unsent are left. What the server said before it hung up may still
// come, by Bytes; then End is due.
func (c *Conversation) WriteFailed(unsent int) {
	c.marks.unsent = unsent
	c.cut = c.tracker.Phase() // what the server says may be well numbered, and end the answer
	c.listening = true
}

// Resumed ends what WriteFailed began without an End: the connection lives.
func (c *Conversation) Resumed() { c.listening = false }

// Malformed says that the client could not read the server's answer.
func (c *Conversation) Malformed(err error, now time.Duration) {
	c.now = now
	defer c.rescue()
	c.find(finding{
		violation: session.Malformed, phase: c.tracker.Phase(), dir: session.FromServer,
		kind: session.KindUnknown, expected: c.tracker.Expected(), command: c.tracker.Command(), err: err, unread: true,
	})
}

// LoginGivenUp says that the client ended the login because it does not have,
// or may not use, the authentication plugin that the server wants, or because it got
// no public key and does not tell what it got.
func (c *Conversation) LoginGivenUp(err error, now time.Duration) {
	c.now = now
	defer c.rescue()
	kind := session.KindGreeting
	if c.tracker.AuthSwitch() != "" {
		kind = session.KindAuthSwitch
	}
	if c.tracker.KeyRefused() {
		c.find(finding{phase: session.PhaseAuth, dir: session.FromServer, kind: session.KindERR, expected: c.tracker.Expected(), server: c.words, err: err})
		return
	}
	if phase := c.tracker.Phase(); phase == session.PhaseLogin || phase == session.PhaseTLS || phase == session.PhaseAuth {
		c.find(finding{phase: phase, dir: session.FromServer, kind: kind, expected: c.tracker.Expected(), err: err})
	}
}

// InfileBroke reports whether an operation of the client that began at since, and
// has failed while the connection stayed open, was a LOAD DATA LOCAL whose file broke
// off on the client's side.
func (c *Conversation) InfileBroke(since time.Duration) bool {
	if _, refused := c.tracker.AnswerFailed(); refused || c.marks.command < since {
		return false
	}
	return c.tracker.BehindFile() || c.tracker.Infile() > 0 && c.tracker.Phase() == session.PhaseReady
}

// Failed says that the operation of the client which began at since failed with
// err. said is the text of err, because foreign code must not run in here. If
// InfileBroke, the server took what it got for the whole file: that is a finding,
// and the connection stays usable, unless there are results of further statements: go-sql-driver
// reads no more of them. They may be in its hands already, or in crypto/tls, where no
// look into the socket finds them.
func (c *Conversation) Failed(err error, said string, since, now time.Duration) {
	c.now = now
	defer c.rescue()
	if c.InfileBroke(since) {
		c.find(finding{
			phase: session.PhaseLocalInfile, dir: session.FromClient, kind: session.KindInfileEnd,
			command: c.tracker.Command(), infile: true, infileSaid: said, survived: !c.tracker.BehindFile(), err: err,
		})
	}
}

// ResultRead says that the client believes to have read an answer to its end, and
// how many rows it got in all results; all is false if it did not want some of
// them. complete is false if more of the answer is to come. go-sql-driver takes a
// row whose values are longer than it for the end of the rows.
func (c *Conversation) ResultRead(rows uint64, all bool, now time.Duration) (complete bool) {
	phase, sent := c.tracker.Phase(), c.tracker.RowCount()
	complete = phase != session.PhaseRows
	if c.tracker.Overrun() || complete && (phase != session.PhaseReady || !all || rows == sent) {
		return complete
	}
	c.now = now
	defer c.rescue()
	c.find(finding{
		violation: session.Malformed, phase: session.PhaseRows, dir: session.FromServer, kind: session.KindRow,
		expected: c.tracker.Expected(), command: c.tracker.Command(), survived: true, rowsSent: max(sent, rows+1), rowsRead: rows,
	})
	return complete
}

// ReadBegan says when the client began the read whose bytes, or whose end, come
// next. The time before it was the client's own, the time in it the server's. A
// proxy or a capture does not know this and does not call it.
func (c *Conversation) ReadBegan(at time.Duration) {
	if !c.listening {
		c.marks.began = at
	}
}

// FoundOpen says that a look into the socket has found it open and empty.
func (c *Conversation) FoundOpen(now time.Duration) { c.marks.open = now }

// Unread says, before an End with StreamTimeout, whether bytes of the server lay
// in the socket when the limit ran out.
func (c *Conversation) Unread(yes bool) { c.late = yes }

// FirstRead says that the client begins to read: until then the server waited
// for nothing else.
func (c *Conversation) FirstRead(now time.Duration) { c.marks.ownPause = now }

// GreetingCame says, before the bytes of the greeting are told, for how long it had
// been in the socket when the client read it. Who does not know does not say.
func (c *Conversation) GreetingCame(lay time.Duration) { c.marks.lay, c.marks.timed = lay, true }

// LoginWritten says that the write of the bytes of the login which were told last
// took until now, and how many of them were not written. It need not be said of one
// that took no time.
func (c *Conversation) LoginWritten(unsent int, now time.Duration) {
	c.now = now
	c.marks.loginWritten(now, unsent <= 0)
}
