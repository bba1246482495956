package conversation

import (
	"bytes"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Finding is a violation, or the end of a side where something was due.
type Finding struct {
	Time time.Time // when it was met
	// Evidence is all that the conversation knows. What its user knows besides
	// (who is using the connection, other connections) is to be added before
	// Diagnose.
	Evidence cause.Evidence
	// Survived: the connection is in order, or its client takes it so.
	Survived bool
	// Number counts the findings of the conversation, from 1: what comes behind
	// one that was not survived may be its consequence.
	Number int
	// Err is the error of the socket or of the client, if there is one.
	Err error

	Connection   uint32 // the server's id of the connection
	OpaqueReason string // why packets could not be seen
	// History are the last packets, oldest first; Forgotten counts older ones.
	History   []Packet
	Forgotten uint64
}

// Diagnose names the cause that the evidence shows.
func (f *Finding) Diagnose() cause.Diagnosis { return cause.Diagnose(&f.Evidence) }

// finding is a violation as the code that met it knows it; the rest of the
// evidence is the conversation's.
type finding struct {
	violation  session.Violation
	phase      session.Phase
	dir        session.Direction
	kind       session.Kind
	command    session.Command
	expected   uint8
	actual     uint8
	length     uint32
	server     *session.ServerError
	stream     cause.StreamEnd
	inside     bool
	waiting    bool // found before a command was written
	first      []byte
	err        error
	corruption string // what is wrong with a compressed frame
	survived   bool
	infile     bool          // the reader of a LOCAL INFILE failed
	infileSaid string        // what it said
	unread     bool          // the client could not read the answer
	unowed     time.Duration // for how long the client read although nothing was due

	rowsSent, rowsRead uint64 // of a result whose rows the client did not read to their end
}

// farewell reports whether a finding is what a server says to another process's
// client that has gone: an answer to its going. Half of a login that is not
// followed by the other, for one.
func (c *Conversation) farewell(f *finding) bool {
	return c.left && c.x != nil && c.x.vantage != cause.VantageClient && f.dir == session.FromServer && f.violation != session.Truncated
}

// find makes a finding.
func (c *Conversation) find(f finding) {
	if c.ended && c.firstOnly || c.tracker.Quit() || c.farewell(&f) || !c.x.worth(&f) {
		return
	}
	e := cause.Evidence{
		Violation: f.violation, Phase: f.phase, Direction: f.dir, Kind: f.kind, Command: f.command,
		Expected: f.expected, Actual: f.actual, Length: f.length, ServerError: f.server,
		Stream: f.stream, InsidePacket: f.inside, FirstBytes: f.first, BeforeCommand: f.waiting,
		Compression: f.corruption, InfileFailed: f.infile, RowsSent: f.rowsSent, RowsRead: f.rowsRead, Unread: f.unread, NothingDue: f.unowed,
		Late: c.late && f.stream == cause.StreamTimeout,
	}
	e.InfileError = f.infileSaid
	left := f.infile && !f.survived
	if f.waiting {
		c.marks.idle = c.now - c.marks.last()
	}
	// What was outstanding before the tracker took the end for the end.
	e.Pending = c.tracker.Pending()
	if e.Pending == 0 && f.phase.Answering() {
		e.Pending = 1
	}
	c.evidence(&e)
	e.MoreResults = e.MoreResults || left
	if f.kind == session.KindGreeting {
		e.AuthPlugin = c.tracker.Greeting().AuthPlugin
	}
	if !f.survived {
		c.ended = true
	}
	c.made++
	found := Finding{
		Time: c.start.Add(c.now), Evidence: e, Survived: f.survived, Number: c.made, Err: f.err,
		Connection: c.ConnectionID(), OpaqueReason: c.reason,
	}
	found.History, found.Forgotten = c.History()
	c.found = append(c.found, found)
}

// Evidence returns what the conversation knows of itself at a moment at which
// something else has gone wrong: a use of the connection that it must not have.
func (c *Conversation) Evidence(now time.Duration) cause.Evidence {
	c.now = now
	e := cause.Evidence{
		Phase: c.tracker.Phase(), Command: c.tracker.Command(), Pending: c.tracker.Pending(),
		Expected: c.tracker.Expected(),
	}
	c.evidence(&e)
	return e
}

// evidence fills in what the conversation knows of itself.
func (c *Conversation) evidence(e *cause.Evidence) {
	t := &c.tracker
	g := t.Greeting()
	e.ServerVersion, e.MariaDB = g.Version, g.MariaDB()
	e.Network = c.network
	e.Commands, e.AnswerStarted, e.InTransaction = t.Sent(), t.AnswerStarted(), t.InTransaction()
	e.Compressed = c.comp != nil
	e.FileSent = t.Infile()
	e.AuthPlugin, e.TLSAlert = t.AuthSwitch(), c.alert
	e.AuthDue, e.PasswordDue = t.AuthDue()
	e.KeyRefused = t.KeyRefused()
	e.NoTLSOffered = g.Version != "" && !g.OffersTLS()
	e.ClassicEOF = t.ClassicEOF()
	e.EarlierUnfinished, e.EarlyCommands = t.Overrun(), t.Early()
	_, e.AnswerFailed = t.AnswerFailed()
	e.MoreResults = t.Phase() == session.PhaseMoreResults
	e.TLS = c.visibility()
	e.CommandBytes = c.client.taken - c.marks.before
	c.marks.evidence(e, c.now, c.server.taken)
	c.said.evidence(e)
	e.AnswerAfter = c.history.answerAfter()
	if c.x != nil {
		e.Client, e.Vantage = c.x.client, c.x.vantage
		e.ClientSpeaks = c.x.opening.speaks(!c.x.lossy())
		if c.x.alert != (wire.TLSAlert{}) {
			e.ClientAlert = c.x.alert.String()
		}
	}
}

// foundFirst adds to a finding about a peer that is not MySQL what it said first, as
// far as that came in one piece: a packet's length is no measure of it.
func (c *Conversation) foundFirst(said []byte) {
	for i := range c.found {
		if e := &c.found[i].Evidence; e.Violation == session.NotMySQL {
			e.FirstBytes = bytes.Clone(said[:min(len(said), maxFirstBytes)])
		}
	}
}

// firstOf is what the server has said at its end if that was too little for a greeting.
func (c *Conversation) firstOf(phase session.Phase) []byte {
	if phase != session.PhaseGreeting {
		return nil
	}
	p := c.server.frames.r.Partial()
	return bytes.Clone(p[:min(len(p), maxFirstBytes)])
}

// Found reports whether Take has something to return.
func (c *Conversation) Found() bool { return len(c.found) > 0 }

// Take returns the findings since the last call, oldest first.
func (c *Conversation) Take() []Finding {
	f := c.found
	c.found = nil
	return f
}
