package wrapconn

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// What is done with mu held. Every function in here that takes it defers
// unlock, so that whatever goes wrong in between leaves no lock behind.

// unlock is to be deferred by whoever has locked mu. A panic of the guard ends
// here: it must not become the user's.
func (c *Conn) unlock() {
	if c.fine { // recover is not free
		c.fine = false
	} else if p := recover(); p != nil {
		counters.panics.Add(1)
		c.blind()
	}
	if n := c.talk.Counts(); !c.settled || n != c.counted {
		c.account(n)
	}
	c.mu.Unlock()
}

// blind gives up the view of the conversation. Like account it contains its own
// panics, or the lock would stay behind.
func (c *Conn) blind() {
	defer contain()
	c.lost = true // if the next line fails too, what the conversation believes is worth nothing
	stage("blind")
	c.talk.Opaque("internal error of the guard", c.now())
}

// account brings the totals of the process up to date.
func (c *Conn) account(n conversation.Counts) {
	defer contain()
	stage("account")
	c.settle()
	counters.untracked.Add(uint64(n.Untracked - c.counted.Untracked))
	counters.opaque.Add(uint64(n.Opaque - c.counted.Opaque))
	counters.panics.Add(uint64(n.Panics - c.counted.Panics))
	c.counted = n
}

// faultAt is set by tests: it is called at the stages of the guard, and panics.
var faultAt func(stage string)

func stage(name string) {
	if faultAt != nil {
		faultAt(name)
	}
}

// contain is to be deferred where no lock is held. A panic of the guard, or of
// what it has called of its own accord, ends here.
func contain() {
	if recover() != nil {
		counters.panics.Add(1)
	}
}

// firstRead notes when the client began to read.
func (c *Conn) firstRead() {
	c.mu.Lock()
	defer c.unlock()
	c.talk.FirstRead(c.now())
}

// noteGreeting notes for how long the greeting lay unread.
func (c *Conn) noteGreeting(lay time.Duration) {
	c.mu.Lock()
	defer c.unlock()
	c.talk.GreetingCame(lay)
}

// loginWritten notes that a write of the login that took long is over.
func (c *Conn) loginWritten(unsent int) {
	c.mu.Lock()
	defer c.unlock()
	stage("login written")
	c.talk.LoginWritten(unsent, c.now())
}

// part says what is about to be written.
type part uint8

const (
	wholeCommand  part = iota // its beginning, at least
	partOfCommand             // the beginning was written before
	partOfLogin
)

// partOf says what is about to be written, with mu held.
func (c *Conn) partOf(now time.Duration) part {
	switch {
	case c.talk.BetweenCommands():
		return wholeCommand
	case c.talk.Phase().Connecting():
		c.wrote = now
		return partOfLogin
	}
	return partOfCommand
}

// restOfFile reports whether what is written next is the file of a LOAD DATA LOCAL, also
// where the server has refused it already: no command begins there, and of the
// statements that the operation under way has sent some may have been executed. The driver
// takes a packet of the file that was not written for a command that was not sent.
func (c *Conn) restOfFile() bool {
	return (c.talk.Phase() == session.PhaseLocalInfile || c.talk.Unsent() || c.fatal != nil && c.fatal.Evidence.Phase == session.PhaseLocalInfile) &&
		c.talk.LastCommand() >= c.owner.started()
}

// sawRead looks at what a Read returned, which is full if there was no room for
// more. refuse, if there is one, is to be returned in place of the bytes.
func (c *Conn) sawRead(p []byte, full bool, began time.Duration, end *ending) (met []*Report, refuse error) {
	c.mu.Lock()
	defer c.unlock()
	stage("read")
	now := c.now()
	if c.closed.Load() {
		c.talk.Leave()
	}
	c.talk.ReadBegan(began)
	c.talk.Bytes(session.FromServer, p, now)
	if full || c.ahead.buf != nil {
		c.tookAhead(len(p), full)
	}
	if !c.arrived && len(p) > 0 {
		c.arrive(now)
	}
	if c.hub != nil {
		c.meetHub()
	}
	if end != nil && end.err != nil {
		c.ended(*end, now)
	}
	c.noteDue()
	if c.talk.Found() {
		met = c.report(now)
	}
	if c.fatal != nil && c.fatal.Evidence.Violation == session.NotMySQL {
		// The peer's first bytes must not reach the client.
		refuse = &ProtocolError{Report: c.fatal}
	}
	c.fine = true
	return met, refuse
}

// beforeWrite is Check in front of a command, and the look at what is about to
// be written. In Enforce mode it refuses a command while bytes wait or an answer
// is outstanding: nothing must be written then.
func (c *Conn) beforeWrite(p []byte) (what part, met []*Report, refuse error) {
	c.mu.Lock()
	defer c.unlock()
	stage("write")
	now := c.now()
	if c.closed.Load() {
		// This side hangs up, and what it does is no violation. Until the socket
		// is closed this may still leave, and be answered.
		c.talk.Leave()
		c.talk.Bytes(session.FromClient, p, now)
		c.talk.Take()
		c.noteDue() // its answer is owed, or the Read behind it would be taken for one without a reason
		return wholeCommand, nil, nil
	}
	rest := c.talk.FileAsked() && c.restOfFile()
	if !c.justChecked(now) && !rest {
		if c.check(now); c.talk.Found() {
			met = c.report(now)
		}
	}
	c.pooled = 0
	stage("before the command")
	if what = c.partOf(now); rest {
		what = partOfCommand
	}
	// A COM_QUIT has no answer that could be mistaken, and the plain driver
	// closes a dead connection without an error.
	if c.opts.Mode == Enforce && !c.leaving.Load() && c.fatal != nil {
		if rest {
			c.cut.Store(true)
		}
		return what, met, &ProtocolError{Report: c.fatal}
	}
	c.talk.Bytes(session.FromClient, p, now)
	c.noteDue()
	if c.hub != nil {
		c.meetHub()
	}
	if !c.talk.Found() {
		c.fine = true
		return what, met, nil
	}
	for _, r := range c.report(now) {
		met = append(met, r)
		if r.Evidence.Violation == session.CommandDuringAnswer && c.opts.Mode == Enforce && refuse == nil {
			refuse = &ProtocolError{Report: r.detached()}
		}
	}
	return what, met, refuse
}

// failedWrite takes an error of the inner connection's Write.
func (c *Conn) failedWrite(unsent int, err error) []*Report {
	end := endingOf(err)
	if c.closed.Load() || end.own || c.leaving.Load() { // nobody waits for the answer to a good-bye
		return nil
	}
	c.writeFailed(unsent)
	if end.how != cause.StreamTimeout { // the peer may be alive: its bytes are the client's
		c.lastWords()
	}
	return c.gaveUp(end)
}

func (c *Conn) writeFailed(unsent int) {
	c.mu.Lock()
	defer c.unlock()
	stage("a write failed")
	c.talk.WriteFailed(unsent)
}

func (c *Conn) gaveUp(end ending) []*Report {
	c.mu.Lock()
	defer c.unlock()
	stage("given up")
	now := c.now()
	c.ended(end, now)
	c.talk.Resumed()
	return c.report(now)
}

// lastWord looks at what the server said before it hung up on a write. over
// tells that it explains the end.
func (c *Conn) lastWord(p []byte) (over bool) {
	c.mu.Lock()
	defer c.unlock()
	stage("last words")
	c.talk.Bytes(session.FromServer, p, c.now())
	if c.ahead.buf != nil {
		c.tookAhead(len(p), false)
	}
	return c.talk.Ended()
}

// ended takes an error of the inner connection.
func (c *Conn) ended(end ending, now time.Duration) {
	if c.closed.Load() || end.own {
		return // this side hung up
	}
	if end.how == cause.StreamTimeout {
		if err := c.noteUnread(); err != nil {
			// The peer has ended the connection, and the client came too late to
			// read that: its limit says nothing about the peer.
			end.how, end.err = streamEnd(err), err
		}
	}
	switch {
	case end.how == cause.StreamTimeout && !c.opts.Operations:
		// Of a client that uses deadlines to look around, it says nothing; one
		// whose operations go through the owner gives the connection up over it.
	case c.opts.Operations && c.owner.active():
		c.talk.EndAwaited(end.how, end.err, now)
	default:
		c.talk.End(session.FromServer, end.how, end.err, now)
	}
}

// ending is how the inner connection failed.
type ending struct {
	err error
	how cause.StreamEnd
	own bool // this side had closed it
}

// endingOf looks into an error. It must not be called with mu held: errors of a
// connection that somebody else has made have methods of their own.
func endingOf(err error) (e ending) {
	if err == nil {
		return ending{}
	}
	defer contain()
	e = ending{err: err, how: cause.StreamBroken} // if those methods panic
	e.own = errors.Is(err, net.ErrClosed)
	e.how = streamEnd(err)
	return e
}

// streamEnd names the way in which the inner connection failed.
func streamEnd(err error) cause.StreamEnd {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return cause.StreamEOF
	case errors.Is(err, syscall.ECONNRESET):
		return cause.StreamReset
	case errors.Is(err, syscall.ETIMEDOUT):
		return cause.StreamBroken // the kernel gave up, although its error calls itself a timeout
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return cause.StreamTimeout
	}
	return cause.StreamBroken
}

// tellTalk tells the conversation something, and returns the reports of it.
func (c *Conn) tellTalk(what func(now time.Duration)) []*Report {
	c.mu.Lock()
	defer c.unlock()
	stage("told")
	now := c.now()
	what(now)
	return c.report(now)
}

// Malformed reports that the client could not read the server's answer and
// panicked over it. The connection must not be used again.
func (c *Conn) Malformed(err error) {
	c.deliver(c.tellTalk(func(now time.Duration) { c.talk.Malformed(err, now) }))
}

// ResultRead says, before the lease is given up, that its holder has read the
// answer to its end, and how many rows it got in all results; all is false if it
// did not want some of them. If more rows came, that is reported, and the report
// returned. complete is false if some are still to come: the lease must be kept.
func (c *Conn) ResultRead(rows uint64, all bool) (complete bool, r *Report) {
	met := c.tellTalk(func(now time.Duration) { complete = c.talk.ResultRead(rows, all, now) })
	if met != nil {
		c.deliver(met)
		r = c.Take()
	}
	return complete, r
}

// LoginGivenUp tells the connection that the client ended the login because it
// does not have, or may not use, the authentication plugin that the server wants.
func (c *Conn) LoginGivenUp(err error) {
	c.deliver(c.tellTalk(func(now time.Duration) { c.talk.LoginGivenUp(err, now) }))
}

// Failed tells the connection, before End, that the operation under way failed
// with err. If it was a LOAD DATA LOCAL whose file broke off on this side, the
// server took what it got for the whole file: that is reported, and the
// connection stays in order, unless results of further statements are left. It
// returns true if nobody can tell: the connection is opaque, and bytes have passed in
// the operation.
func (c *Conn) Failed(err error) (unseen bool) {
	broke, unseen := c.infileBroke()
	if !broke {
		return unseen
	}
	said := textOf(err) // before the lock is taken again: the reader's error is somebody else's code
	c.deliver(c.tellTalk(func(now time.Duration) { c.talk.Failed(err, said, c.owner.started(), now) }))
	return false
}

func (c *Conn) infileBroke() (broke, unseen bool) {
	c.mu.Lock()
	defer c.unlock()
	if c.closed.Load() {
		return false, false
	}
	since := c.owner.started()
	return c.talk.InfileBroke(since), c.talk.Phase() == session.PhaseOpaque && c.talk.LastByte() >= since
}

// textOf is err's text, empty if there is none to be had.
func textOf(err error) (text string) {
	if err == nil {
		return ""
	}
	defer contain()
	return err.Error()
}

// DeadlineExceeded tells the connection that the login was given up because the
// deadline of its context has passed. If the login took less than a second, it
// counts as an ordinary cancellation.
func (c *Conn) DeadlineExceeded(err error) {
	c.deliver(c.tellTalk(func(now time.Duration) {
		if c.opts.Operations && c.talk.Phase().Connecting() && now > time.Second {
			if !c.closed.Load() {
				_ = c.noteUnread()
			}
			c.talk.End(session.FromServer, cause.StreamTimeout, err, now)
		}
	}))
}

// noteUnread notes whether bytes of the peer are there that the client has not read: a
// process that slept past its own limit finds them together with the end of the limit. It
// returns the peer's end, if that is all there is.
func (c *Conn) noteUnread() (end error) {
	n := len(c.lie())
	if n == 0 {
		n, end = c.peek(c.one[:])
	}
	c.talk.Unread(n > 0)
	return end
}

// writeKeyLog takes lines of the key log of this connection.
func (c *Conn) writeKeyLog(lines []byte) {
	c.deliver(c.tellTalk(func(now time.Duration) { c.talk.Secrets(lines, now) }))
}

// offerSession takes the secret of a TLS session that is about to be resumed.
func (c *Conn) offerSession(master []byte) {
	c.mu.Lock()
	defer c.unlock()
	c.talk.OfferSession(master)
}

// forgetSecrets erases what must not outlive the connection.
func (c *Conn) forgetSecrets() {
	c.mu.Lock()
	defer c.unlock()
	stage("close")
	if c.hub != nil {
		c.leaveHub()
	}
	c.talk.Close()
}

// Err returns the report of the violation that ended this connection, nil if it
// is sound. A connection with one must not be used again.
func (c *Conn) Err() *Report {
	if !c.broken.Load() { // all of the usual case: it is inlined
		return nil
	}
	return c.ending()
}

func (c *Conn) ending() *Report {
	c.mu.Lock()
	defer c.unlock()
	return c.fatal
}

// Take returns the last violation that is in no error yet, for the error of the
// operation that met it, and forgets it.
func (c *Conn) Take() *Report {
	if !c.broken.Load() {
		return nil
	}
	return c.take()
}

func (c *Conn) take() *Report {
	c.mu.Lock()
	defer c.unlock()
	r := c.pending
	c.pending = nil
	return r
}

// Idle reports whether nothing is outstanding on the connection: the login is
// over, every answer is complete, and no byte of another one has come. It is
// true of a connection whose packets are not seen.
func (c *Conn) Idle() bool {
	c.mu.Lock()
	defer c.unlock()
	return c.talk.Idle()
}
