package cause

import (
	"fmt"
	"time"
)

// Siblings is what this process knows about its other connections to the same
// address, around the time of an end. On one connection, a server that goes away and
// a KILL look alike; only the other connections tell them apart.
//
// An address may stand for several servers (a balancer, a failover). So a sign of
// life on another connection makes a cause unlikely, but not impossible.
type Siblings struct {
	// Looked is how long after the end the process was asked. Zero: not yet. An
	// absence then means nothing, and names that need it are not given.
	Looked time.Duration

	// Ended counts the others that the peer ended at the same time as this one,
	// within a second, as far as their time is known; Spread is the time between
	// the first and the last of all, this one included. Ends that this process
	// made itself, and those that were found long after, do not count.
	Ended  int
	Spread time.Duration
	// Large counts those of Ended that had a large command out, one that may
	// have been refused for its size.
	Large int
	// SameRun: this one and all of Ended had a command out for the same time, to
	// a tenth, as when a limit on the time of a statement ends them.
	SameRun bool

	// AnsweredAfter is how long after the end the last command was written on
	// another connection that got an answer since, and that is older than the
	// last sign of life of this one: the server has not died in between.
	// LoggedInAfter is when a login was begun that succeeded: the server is up, or
	// up again. Zero: none was.
	AnsweredAfter time.Duration
	LoggedInAfter time.Duration
	// LivedOn is how long after the end the last command was written on another
	// connection that got an answer and was ended later, too: so long at least the
	// server lived on.
	LivedOn time.Duration
	// Open counts others that were found open when the process was asked: they
	// had nothing outstanding, and the peer had not ended them.
	Open int

	// Refused: a dial was refused, within two seconds before the end or since:
	// nobody listens there.
	Refused bool
	// Told is the last word about the whole server, ER_SERVER_SHUTDOWN or
	// ER_SERVER_OFFLINE_MODE, that another connection or a login got, within two
	// seconds before the end or since; 0 if there was none.
	Told uint16
}

// up reports whether the server was seen to live on. That it takes logins only
// says that it is there again.
func (s *Siblings) up() bool { return s.AnsweredAfter > 0 && !s.down() }

// down reports whether the server was seen to be gone.
func (s *Siblings) down() bool { return s.Refused || s.Told != 0 }

// Ends whose time is not known are an hour's or a day's, and prove nothing about
// a second.
const (
	sameEvent = time.Second // ends this close together may be one event
	// livedOn is longer than a server that dies, or cuts its users off, goes on to answer others.
	livedOn = 100 * time.Millisecond
	timely  = 30 * time.Second // an end whose time is known to this much may be laid to what happened since
)

var (
	settled = guard("the other connections were looked at", func(e *Evidence) bool { return e.Siblings.Looked > 0 })

	// Two others besides this one: a single neighbour may be chance.
	inCompany = fact{is: "other connections to the server ended within the same second", holds: func(e *Evidence) bool {
		return e.Siblings.Ended >= 2
	}}
	// A command that may have been too large has a reason of its own to be cut off.
	notForItsSize = guard("there is more than commands that may have been too large", func(e *Evidence) bool {
		return !e.large() || e.Siblings.Ended-e.Siblings.Large >= 2
	})
	gone = fact{is: "the server refused connections, or said that it is going, at that time", holds: func(e *Evidence) bool {
		return e.Siblings.down()
	}}
	// A server that is being stopped, and says so, ends one connection after the other.
	endedByThat = guard("the server did not go on to answer others after this end", func(e *Evidence) bool {
		return e.Siblings.LivedOn < livedOn || e.Siblings.Told == erShutdown
	})
	knownTo = func(d time.Duration) fact {
		return guard("the end came within the last "+dur(d), func(e *Evidence) bool { return e.EndWindow <= d })
	}
)

// smallestLimit is the least that max_allowed_packet can be set to, in MySQL and in MariaDB.
const smallestLimit = 1 << 10

// large reports whether the command that is out, or was being sent, may have been
// refused for its size.
func (e *Evidence) large() bool {
	return (e.Unsent >= smallestLimit || e.CommandBytes >= largeCommand) && !e.BeforeCommand && commandOut(e)
}

// Large reports whether a command is out, or was being sent, that may have been
// refused for its size.
func (e *Evidence) Large() bool { return e.large() }

// Running returns for how long a command has been out, 0 if none is.
func (e *Evidence) Running() time.Duration {
	if e.BeforeCommand || !commandOut(e) && !answering.holds(e) {
		return 0
	}
	return e.SinceCommand
}

// at names the server, to follow "connection" or "connections".
func (e *Evidence) at() string {
	if e.Server == "" {
		return "to the same server"
	}
	return "to " + word(e.Server)
}

// company mentions the other connections that ended at the same time, and what
// they are a sign of. It begins with a space.
func company(e *Evidence) string {
	s := &e.Siblings
	switch {
	case s.Ended < 1:
		return ""
	case s.Spread >= time.Millisecond:
		return fmt.Sprintf(" %s %s ended within %s of it.", count(s.Ended, "other connection", "other connections"), e.at(), dur(s.Spread))
	}
	return fmt.Sprintf(" %s %s ended within the same second.", count(s.Ended, "other connection", "other connections"), e.at())
}

// life says what was seen of the server after the end, and what follows. It
// begins with a space, and is empty as long as nobody looked.
func life(e *Evidence) string {
	s := &e.Siblings
	switch {
	case s.Looked == 0:
		return ""
	case s.LivedOn >= livedOn && s.down():
		return fmt.Sprintf(" It ended before the server went away: another connection %s got an answer to a command that it sent %s later. A KILL, a limit or a balancer is likelier than that.", e.at(), dur(s.LivedOn))
	case s.AnsweredAfter > 0 && !s.down():
		return fmt.Sprintf(" Another connection %s got an answer to a command that it sent %s later, so the server, or another one behind the same address, was up then: a KILL, a limit or offline_mode is likelier than a crash. A server that is being stopped may end its connections one after the other.", e.at(), dur(s.AnsweredAfter))
	case s.LoggedInAfter > 0 && !s.down():
		return fmt.Sprintf(" A login that was begun %s later succeeded, so the server, or another one behind the same address, is up, or up again.", dur(s.LoggedInAfter))
	case s.Open > 0 && !s.down():
		return fmt.Sprintf(" %s %s %s still open %s later, which speaks for a KILL, a limit or offline_mode and against a crash. A server that is being stopped may end its connections one after the other.", count(s.Open, "other connection", "other connections"), e.at(), isAre(s.Open), dur(s.Looked))
	}
	return ""
}

func isAre(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}
