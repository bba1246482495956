package wrapconn

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// report makes the reports of what the conversation has found, with mu held. The
// first violation ends the connection; what follows from it is not told again.
func (c *Conn) report(now time.Duration) []*Report {
	if c.lost || !c.talk.Found() {
		return nil
	}
	var met []*Report
	for _, f := range c.talk.Take() {
		r := c.reportOf(&f, now)
		kept := r.detached() // by this connection and by errors
		c.pending = kept
		if !f.Survived {
			c.fatal = kept
		}
		c.broken.Store(true)
		met = append(met, r)
	}
	return met
}

// reportOf adds what the connection knows to a finding, and names the cause.
func (c *Conn) reportOf(f *conversation.Finding, now time.Duration) *Report {
	stage("report")
	e := &f.Evidence
	c.evidence(e)
	if c.opts.Mode == Enforce {
		// beforeWrite refuses a command that comes too early.
		early := e.Violation == session.CommandDuringAnswer && e.Kind == session.KindCommand
		e.NothingWritten = e.BeforeCommand || early
	}
	end := c.witness(e, f.Time)
	var owner *Operation
	ctx := context.Background()
	if op := c.owner.snapshot(); op.kind != OpNone {
		e.Pinned = e.BeforeCommand && op.kind.answers() && c.pinned(now)
		e.Watched = c.opts.Mode == Enforce && !c.disowned.Load()
		if e.Phase == session.PhaseOpaque && e.Unsent > 0 && c.talk.LastHeard() >= op.started {
			e.AnswerStarted = true // what the socket did not take is a file, or a further command
		}
		if op.ncaller == 0 && c.opts.CallSites {
			op.ncaller = runtime.Callers(2, op.callers[:]) // it is the operation itself that met it
		}
		owner, ctx = c.export(&op, now), op.ctx
		e.Owner = owner.party()
	}
	c.testify(e)
	r := c.newReport(e, f.Time, c.talk.ConnectionID())
	r.Owner, r.Context, r.Err, r.end = owner, ctx, f.Err, end
	r.OpaqueReason, r.History, r.Forgotten = f.OpaqueReason, f.History, f.Forgotten
	return r
}

// evidence fills in what the conversation does not know.
func (c *Conn) evidence(e *cause.Evidence) {
	// The client may have read ahead of its user.
	e.MoreResults = e.MoreResults || c.more.Load()
	e.Forked = c.pid != int32(os.Getpid())
	e.Client.Local, e.Server = true, c.opts.Server
	e.TxBegun = c.tx.Load()
	if e.Phase.Connecting() {
		e.DialTook = c.dialTook()
	}
	if limit := c.deadline.Load(); e.Stream == cause.StreamTimeout && limit != 0 {
		e.Overdue = min(c.now(), max(0, time.Since(time.Unix(0, limit))))
	}
}

// newReport names the cause and puts the connection's facts beside it.
func (c *Conn) newReport(e *cause.Evidence, at time.Time, connection uint32) *Report {
	peer, local := c.ends.get()
	return &Report{
		Time: at, Cause: cause.Diagnose(e), Evidence: *e,
		Server: c.opts.Server, Network: c.opts.Network, Database: c.opts.Database,
		Peer: peer, Local: local,
		Connection: connection, ID: c.opts.ID, Connected: c.start,
		Goroutine: goroutineID(), Context: context.Background(), traced: new(traced), inquire: c.opts.Inquire,
	}
}

// export makes an operation readable.
func (c *Conn) export(op *operation, now time.Duration) *Operation {
	return &Operation{
		Kind: op.kind, Started: c.start.Add(op.started), Age: now - op.started,
		Stack: symbolize(op.callers[:op.ncaller]), Context: op.ctx,
	}
}

// deliver tells the user about violations, with no lock held.
func (c *Conn) deliver(met []*Report) {
	if len(met) > 0 {
		c.deliverAll(met)
	}
}

func (c *Conn) deliverAll(met []*Report) {
	defer contain()
	stage("deliver")
	for _, r := range met {
		c.tell(r)
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
	lastReports.keep(r.detached())
	if c.opts.OnReport == nil {
		return
	}
	defer contain() // a bug of OnReport must not become a failed query
	c.opts.OnReport(r.Context, r)
}
