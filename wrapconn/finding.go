package wrapconn

import (
	"context"
	"runtime"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// finding is a violation as the code that met it knows it; the rest of the
// evidence is the connection's.
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

	survived bool // the connection is in order
	infile   bool // the reader of a LOCAL INFILE failed

	report *Report
}

// find makes the report of a violation of the wire. The first one ends the
// connection; what follows from it is not told again.
func (c *Conn) find(f finding) {
	if c.fatal != nil {
		return
	}
	now := c.now()
	e := cause.Evidence{
		Violation: f.violation, Phase: f.phase, Direction: f.dir, Kind: f.kind, Command: f.command,
		Expected: f.expected, Actual: f.actual, Length: f.length, ServerError: f.server,
		Stream: f.stream, InsidePacket: f.inside, FirstBytes: f.first, BeforeCommand: f.waiting,
		Compression: f.corruption, InfileFailed: f.infile,
	}
	if c.opts.Mode == Enforce {
		// beforeWrite refuses a command that comes too early.
		early := f.violation == session.CommandDuringAnswer && f.kind == session.KindCommand
		e.NothingWritten = f.waiting || early
	}
	if f.waiting {
		c.marks.idle = now - c.marks.last()
	}
	// What was outstanding before the tracker took the end for the end.
	e.Pending = c.tracker.Pending()
	if e.Pending == 0 && f.phase.Answering() {
		e.Pending = 1
	}
	c.evidence(&e, now)
	if f.kind == session.KindGreeting {
		e.AuthPlugin = c.tracker.Greeting().AuthPlugin
	}
	e.RelatedFailures = related.add(c.opts.Server, c.start.Add(time.Duration(now)))
	var owner *Operation
	ctx := context.Background()
	if op := c.owner.snapshot(); op.kind != OpNone {
		e.Pinned = f.waiting && op.kind.answers() && c.pinned(now)
		e.Watched = c.opts.Mode == Enforce && !c.disowned.Load()
		if op.ncaller == 0 && c.opts.CallSites {
			op.ncaller = runtime.Callers(2, op.callers[:]) // it is the operation itself that met it
		}
		owner, ctx = c.export(&op, now), op.ctx
		e.Owner = owner.party()
	}
	c.testify(&e)
	f.report = c.report(&e, now)
	f.report.Owner, f.report.Context = owner, ctx
	f.report.Err = f.err
	c.pending = f.report
	if !f.survived {
		c.fatal = f.report
	}
	c.broken.Store(true)
	c.found = append(c.found, f)
}

// evidence fills in what the connection knows of itself.
func (c *Conn) evidence(e *cause.Evidence, now int64) {
	t := &c.tracker
	g := t.Greeting()
	e.ServerVersion, e.MariaDB = g.Version, g.MariaDB()
	e.Network = c.opts.Network
	e.Commands, e.AnswerStarted, e.InTransaction = t.Sent(), t.AnswerStarted(), t.InTransaction()
	e.Compressed = c.comp != nil
	e.AuthPlugin, e.TLSAlert = t.AuthSwitch(), c.alert
	e.EarlierUnfinished = t.Overrun()
	// The client may have read ahead of its user.
	e.MoreResults = t.Phase() == session.PhaseMoreResults || c.more.Load()
	e.Forked = c.pid != pid()
	e.TLS = c.visibility()
	e.CommandBytes = c.client.taken - c.marks.before
	c.marks.evidence(e, now)
}

// report names the cause and puts the connection's facts beside it.
func (c *Conn) report(e *cause.Evidence, now int64) *Report {
	r := &Report{
		Time: c.start.Add(time.Duration(now)), Cause: cause.Diagnose(e), Evidence: *e,
		Server: c.opts.Server, Network: c.opts.Network, Database: c.opts.Database,
		Peer: c.inner.RemoteAddr(), Local: c.inner.LocalAddr(),
		Connection: c.tracker.Greeting().ConnectionID, Connected: c.start, OpaqueReason: c.lostTLS,
		Goroutine: goroutineID(), Context: context.Background(),
	}
	r.History, r.Forgotten = c.history.export(c.start)
	return r
}

// export makes an operation readable.
func (c *Conn) export(op *operation, now int64) *Operation {
	return &Operation{
		Kind: op.kind, Started: c.start.Add(time.Duration(op.started)), Age: time.Duration(now - op.started),
		Stack: symbolize(op.callers[:op.ncaller]), Context: op.ctx,
	}
}

func (c *Conn) takeFound() []finding {
	if len(c.found) == 0 {
		return nil
	}
	f := c.found
	c.found = nil
	return f
}

// deliver tells the user about violations, with no lock held.
func (c *Conn) deliver(found []finding) {
	for i := range found {
		c.tell(found[i].report)
	}
}

func (c *Conn) tell(r *Report) {
	if r.Quiet() {
		counters.closed.Add(1)
		return
	}
	if r.Cause.Severity == cause.Notice {
		counters.notices.Add(1)
	} else {
		counters.reports.Add(1)
	}
	remember(r)
	if c.opts.OnReport == nil {
		return
	}
	// A bug in an exporter or a handler must not become a failed query.
	defer func() {
		if p := recover(); p != nil {
			counters.panics.Add(1)
		}
	}()
	c.opts.OnReport(r.Context, r)
}

// Malformed reports that the client could not read the server's answer and
// panicked over it. The connection must not be used again.
func (c *Conn) Malformed(err error) {
	c.mu.Lock()
	c.find(finding{
		violation: session.Malformed, phase: c.tracker.Phase(), dir: session.FromServer,
		kind: session.KindUnknown, expected: c.tracker.Expected(), command: c.tracker.Command(), err: err,
	})
	found := c.takeFound()
	c.mu.Unlock()
	c.deliver(found)
}

// LoginGivenUp tells the connection that the client ended the login because it
// does not have, or may not use, the authentication plugin that the server wants.
func (c *Conn) LoginGivenUp(err error) {
	c.mu.Lock()
	kind := session.KindGreeting
	if c.tracker.AuthSwitch() != "" {
		kind = session.KindAuthSwitch
	}
	if phase := c.tracker.Phase(); phase == session.PhaseLogin || phase == session.PhaseTLS || phase == session.PhaseAuth {
		c.find(finding{phase: phase, dir: session.FromServer, kind: kind, expected: c.tracker.Expected(), err: err})
	}
	found := c.takeFound()
	c.mu.Unlock()
	c.deliver(found)
}

// Failed tells the connection, before End, that the operation under way failed
// with err. If it was a LOAD DATA LOCAL whose file broke off on this side, the
// server took what it got for the whole file: that is reported, and the
// connection stays in order.
func (c *Conn) Failed(err error) {
	c.mu.Lock()
	_, refused := c.tracker.AnswerFailed()
	if c.tracker.Infile() > 0 && !refused && c.tracker.Phase() == session.PhaseReady && c.marks.command >= c.owner.started() {
		c.find(finding{
			phase: session.PhaseLocalInfile, dir: session.FromClient, kind: session.KindInfileEnd,
			command: c.tracker.Command(), infile: true, survived: true, err: err,
		})
	}
	found := c.takeFound()
	c.mu.Unlock()
	c.deliver(found)
}
