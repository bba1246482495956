package wrapconn

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/witness"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// observed is what this process has seen of its servers. It is written when a
// connection is made, ends or fails, and asked when something is reported.
var observed witness.Log

// DialFailed records a dial that failed. A refused dial tells the end of a server
// from the end of one connection.
func DialFailed(server string, err error) {
	defer contain() // the error may be the application's own
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
		observed.Refused(server, time.Now())
	}
}

// witness notes the end of the connection, if this is one, and adds what is known
// of the others at once. It returns the end's id.
func (c *Conn) witness(e *cause.Evidence, at time.Time) (end uint64) {
	if e.ServerError != nil {
		if tellsOfServer(e.ServerError.Code) {
			observed.Told(c.opts.Server, e.ServerError.Code, at)
		}
		return 0
	}
	if e.Stream == cause.StreamOpen || e.Stream == cause.StreamTimeout || c.closed.Load() || e.Phase.Connecting() && e.Command != session.ComChangeUser {
		return 0
	}
	this := witness.End{At: at, Window: e.EndWindow, Large: e.Large(), Ran: e.Running(), Made: c.start}
	if answered := c.talk.LastAnswered(); answered > 0 {
		this.Answered = c.start.Add(answered)
	}
	end = observed.Ended(c.opts.Server, this)
	e.Siblings = observed.Around(c.opts.Server, end, c.start, at)
	e.Siblings.Looked = 0 // what came before: no more has been looked at
	e.RelatedFailures = e.Siblings.Ended
	return end
}

// arrive notes the end of the login, with mu held. What came of one that is not seen, its
// user says: see Pooled.
func (c *Conn) arrive(now time.Duration) {
	switch p := c.talk.Phase(); {
	case p.Connecting():
		return
	case p == session.PhaseReady || p.Answering():
		observed.LoggedIn(c.opts.Server, c.start)
	case tellsOfServer(c.talk.LastERR()):
		observed.Told(c.opts.Server, c.talk.LastERR(), c.start.Add(now))
	}
	c.arrived = true
}

// tellsOfServer: ER_SERVER_SHUTDOWN and ER_SERVER_OFFLINE_MODE are about the
// whole server.
func tellsOfServer(code uint16) bool { return code == 1053 || code == 3032 }

// How long the other connections are given to show what became of the server:
// settleAfter, and as long as they go on to end, or nothing was heard of it at all,
// up to settleMost.
const (
	settleAfter = 300 * time.Millisecond
	settleMost  = 1200 * time.Millisecond
)

// underWay returns until when a report that is due had better wait on: what has
// ended its connection may still be at the others, and its victims should get one
// name. It is a time that has passed if there is nothing to wait for.
func (r *Report) underWay(now time.Time) time.Time {
	latest := r.Time.Add(settleMost)
	if !r.unsettled() || !now.Before(latest) {
		return time.Time{}
	}
	look := surveys.of(r.Server, now)
	s := observed.Around(r.Server, r.end, r.Connected, now)
	if s.Looked == 0 {
		return time.Time{} // forgotten
	}
	if look.busy > 0 && look.open == 0 && s.AnsweredAfter == 0 && s.LoggedInAfter == 0 && !s.Refused && s.Told == 0 {
		return latest
	}
	if at := observed.LastEnd(r.Server).Add(settleAfter); at.Before(latest) {
		return at
	}
	return latest
}

// unsettled reports whether a look at the other connections can change what is
// said of the cause.
func (r *Report) unsettled() bool { return r.end != 0 && r.Evidence.Siblings.Looked == 0 }

// settle is the report with the final name. An error has given r away already,
// so it is not changed.
func (r *Report) settle(now time.Time) *Report {
	if !r.unsettled() {
		return r
	}
	look := surveys.of(r.Server, now)
	s := observed.Around(r.Server, r.end, r.Connected, now)
	if s.Looked == 0 {
		return r // forgotten
	}
	s.Open = look.open
	final := *r
	final.Evidence.Siblings, final.Evidence.RelatedFailures = s, s.Ended
	final.Cause = cause.Diagnose(&final.Evidence)
	lastReports.settle(r, final.detached())
	return &final
}

// surveys are looks at the open connections of servers, kept for a moment: in a
// storm each of a thousand reports would look at a thousand connections.
var surveys surveyor

type surveyor struct {
	mu     sync.Mutex
	server string
	at     time.Time
	look   survey
}

// survey is how many connections to a server are idle and were found open, and how
// many are in use and have not ended, as far as is known.
type survey struct{ open, busy int }

const (
	surveyHolds = 50 * time.Millisecond
	surveyMost  = 64 // connections looked at
)

// of looks at the connections to a server. What they got answered goes into observed.
func (s *surveyor) of(server string, now time.Time) survey {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == server && now.Sub(s.at) < surveyHolds && !s.at.After(now) {
		return s.look
	}
	s.server, s.at, s.look = server, now, survey{}
	looked := 0
	for _, c := range registered() {
		if c.opts.Server != server || looked == surveyMost || c.elsewhere() {
			continue
		}
		looked++
		answered, idle, busy := c.alive()
		if !answered.IsZero() {
			observed.Answered(server, c.start, answered)
		}
		if idle {
			s.look.open++
		}
		if busy {
			s.look.busy++
		}
	}
	return s.look
}

// alive returns when the last command was written that has got an answer, or a
// part of one, whether the connection is idle and was found open, and whether it
// is in use.
func (c *Conn) alive() (answered time.Time, idle, busy bool) {
	c.mu.Lock()
	defer c.unlock()
	if c.fatal != nil || c.closed.Load() {
		return answered, false, false
	}
	if at := c.talk.LastAnswered(); at > 0 {
		answered = c.start.Add(at)
	}
	if !c.talk.BetweenCommands() || c.owner.active() {
		return answered, false, !c.talk.BetweenCommands()
	}
	_, _ = c.peek(c.one[:])
	return answered, c.peeker.quiet && len(c.lie()) == 0 && !c.closed.Load(), false
}

// Spent reports whether the server's last answer was an ERR after which servers
// end the connection (a command that was too large, a memory limit, a shutdown).
// Such a connection should not go back to a pool.
func (c *Conn) Spent() bool {
	c.mu.Lock()
	defer c.unlock()
	return c.talk.Spent()
}

// AuthSwitches counts the plugins that the server has asked for in the login
// under way, besides the one of its greeting.
func (c *Conn) AuthSwitches() int {
	c.mu.Lock()
	defer c.unlock()
	return c.talk.AuthSwitches()
}

// KeyRefused reports whether the login ended with an ERR in place of the public key
// that the client had asked for.
func (c *Conn) KeyRefused() bool {
	c.mu.Lock()
	defer c.unlock()
	return c.talk.KeyRefused()
}

// Transaction says that a transaction was begun on the connection, or that it is
// over. The server's status says this too, but some proxies change it.
func (c *Conn) Transaction(open bool) { c.tx.Store(open) }
