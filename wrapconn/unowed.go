package wrapconn

import (
	"time"
)

// A healthy client never reads while nothing is due to it: there is no packet
// that a server sends of its own accord, except a last one. One that does would
// wait until either side hangs up, and its user would not know why.

// unowedHolds is for how long such a Read is only shown (see Snapshot).
const unowedHolds = time.Second

// unowedMoment is for how long such a Read has lasted at least to be called a wait
// when this side ends it, and how long it may last behind an ERR. A farewell, or the
// end, that is here by then is read as it is.
const unowedMoment = 10 * time.Millisecond

// What Conn.due says.
const (
	nothingDue uint32 = 1 << iota
	reusable          // and the server has not said that it ends the connection
	refused           // and the client has the server's ERR: see Refused
)

// noteDue notes whether something is due, for the next Read and for the pool. It
// must be called with mu held. Of a client that reads from a goroutine of its own
// nothing is known: it may always be reading.
func (c *Conn) noteDue() {
	if !c.opts.Operations {
		return
	}
	var now uint32
	if c.talk.NothingDue() {
		now = nothingDue
		if !c.talk.Spent() {
			now |= reusable
		}
	}
	if now != c.due.Load() {
		c.due.Store(now)
	}
}

// Reusable reports whether the connection is Idle, has no Err, and is not Spent,
// by what the last Read and Write recorded. It is cheap. True is certain; false may
// mean that it is not known.
func (c *Conn) Reusable() bool { return c.due.Load()&reusable != 0 && !c.broken.Load() }

// Refused says that the client has got the server's ERR to its last command. It ends
// the answer, whatever flags came before it, and if nothing is due by what was seen,
// either, both agree: a Read before the next command waits for what cannot come, and in
// Enforce mode is ended after a moment. go-sql-driver reads like that when rows that it
// skipped, for a further result, ended in an ERR, and they are closed.
func (c *Conn) Refused() {
	if c.opts.Mode == Enforce && c.due.Load()&nothingDue != 0 {
		c.due.Or(refused)
	}
}

// readUnowed is Read in the course of an operation while nothing is due.
func (c *Conn) readUnowed(p []byte) (int, error) {
	since := max(c.now(), 1)
	c.unowed.Store(int64(since))
	defer c.unowed.Store(0)
	holds := unowedHolds
	if c.due.Load()&refused != 0 {
		holds = unowedMoment
	}
	timer := time.AfterFunc(holds, func() { c.tooLong(since) })
	n, err := c.receive(p)
	timer.Stop()
	end := endingOf(err)
	met, refuse := c.sawRead(p[:min(max(n, 0), len(p))], n == len(p), since, &end)
	if n <= 0 && err != nil && len(met) == 0 {
		met = c.endedUnowed(since, end)
	}
	c.deliver(met)
	if refuse != nil {
		return 0, refuse
	}
	if r := c.unowedReport(); r != nil && err != nil {
		return n, &ProtocolError{Report: r, Err: err}
	}
	return n, err
}

// tooLong runs beside a Read to which nothing has been due for a while. In
// Enforce mode it ends it.
func (c *Conn) tooLong(since time.Duration) {
	defer contain()
	met := c.stillUnowed(since)
	c.deliver(met)
	if len(met) > 0 && c.opts.Mode == Enforce {
		_ = c.inner.SetReadDeadline(time.Unix(1, 0))
	}
}

func (c *Conn) stillUnowed(since time.Duration) []*Report {
	c.mu.Lock()
	defer c.unlock()
	if c.unowed.Load() != int64(since) || c.closed.Load() || !c.talk.NothingDue() {
		return nil
	}
	now := c.now()
	c.talk.ReadNothingDue(since, ending{}.how, nil, c.opts.Mode == Observe, now)
	return c.report(now)
}

// endedUnowed reports a Read that ended without a byte before it was too long.
func (c *Conn) endedUnowed(since time.Duration, end ending) []*Report {
	c.mu.Lock()
	defer c.unlock()
	now := c.now()
	if (c.closed.Load() || end.own) && now-since < unowedMoment {
		return nil // this side hung up, as the driver does when a context ends: nobody has waited yet
	}
	if !c.talk.NothingDue() {
		return nil
	}
	c.talk.ReadNothingDue(since, end.how, end.err, false, now)
	return c.report(now)
}

// unowedReport returns the report of a Read to which nothing was due, if that is
// what ended the connection in Enforce mode.
func (c *Conn) unowedReport() *Report {
	if c.opts.Mode == Observe {
		return nil
	}
	if r := c.Err(); r != nil && r.Evidence.NothingDue > 0 {
		return r
	}
	return nil
}
