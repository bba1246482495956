package cause

import (
	"fmt"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// greetingRead: the server can have been waiting for this side.
var greetingRead = guard("the greeting was read", func(e *Evidence) bool { return e.Phase != session.PhaseGreeting })

// gaveUp reports whether the server ended the login because it had waited for too
// long: with ERR 1159, or, MariaDB, with ERR 1043 or without a word.
func gaveUp(e *Evidence) bool {
	return connecting.holds(e) && (e.code() == erReadInterrupted || slowHandshake(e) || e.MariaDB && e.ServerError == nil && reset.holds(e) && greetingRead.holds(e))
}

// slowHandshake reports whether the ERR in plaintext may be about the time that the
// handshake of TLS took: MariaDB says 1043 of one that is not over within its
// connect_timeout, as it does at once of one that fails.
func slowHandshake(e *Evidence) bool {
	return e.Phase == session.PhaseTLS && e.code() == erHandshake && e.TLSAlert == "" && e.ClientAlert == "" && e.sinceGreeting() >= minConnectTimeout
}

func (e *Evidence) sinceGreeting() time.Duration { return e.Age - e.GreetingAfter }

// away is for how long this process may have kept the server waiting if nobody
// knows when what it had to read came: within the handshake of TLS and the authentication, where
// a Read that returns late looks like a peer that is late, since the greeting was read; else, if
// the kernel has not timed that, since the dial began. What it had written before, it had not
// kept back: the time behind that is not its own unless it had something else to write. 0 if somebody knows.
func (e *Evidence) away() time.Duration {
	switch {
	case !e.ours():
		return 0
	case e.GreetingTimed && (e.Phase == session.PhaseTLS || e.Phase == session.PhaseAuth):
		if !e.Awaited {
			return e.WroteAfter
		}
		return max(0, e.sinceGreeting())
	case e.GreetingTimed:
		return 0
	}
	if d := e.DialTook + e.Age - e.SinceLogin; d > e.SinceLogin {
		return d
	}
	return 0
}

// fewRuns is the share of a time below which a process has hardly run in it.
const fewRuns = 10

// couldNotRun: for most of that time the kernel did not let this process run, so
// that it cannot have read what was there. That threads of it waited for a CPU does
// not show it as long as others ran: those may have been the ones that it took.
func couldNotRun(e *Evidence) bool {
	away := e.away()
	if away < minConnectTimeout {
		return false
	}
	switch e.Stall.Cause(away) {
	case StallUnknown, StallOwn:
		return false
	}
	return e.Stall.Late >= away/2 || e.Stall.Ran <= away/fewRuns
}

// loginPause is for how long this process kept the server waiting in the login, as
// far as it is accused of that.
func (e *Evidence) loginPause() time.Duration {
	if gaveUp(e) && !paused(e) && couldNotRun(e) {
		return e.away()
	}
	return e.pause()
}

// unaccounted is for how long this process may have kept a server waiting that gave
// up on its login, if the clock does not show it: what kept the process from running
// decides it. 0 if there is no such doubt.
func (e *Evidence) unaccounted() time.Duration {
	if away := e.away(); gaveUp(e) && !paused(e) && away >= minConnectTimeout {
		return away
	}
	return 0
}

// Accused says when, counted back from now, the pause began and ended about which this process is
// to be asked: one of Pause, or one in a login that the clock does not show. In a
// login it is not known how long ago it ended. Both are 0 if there is none.
func (e *Evidence) Accused() (began, ended time.Duration) {
	pause := max(e.Pause(), e.unaccounted())
	switch {
	case pause == 0:
		return 0, 0
	case e.Late:
		return pause, 0
	case connecting.holds(e): // not before the dial
		return min(pause+e.SinceLogin, max(pause, e.DialTook+e.Age)), 0
	}
	return pause + e.SinceGap, e.SinceGap
}

// dialed says what is known of the time before the greeting was read.
func dialed(e *Evidence) string {
	if e.DialTook == 0 {
		return ""
	}
	return fmt.Sprintf(" The dial had taken %s.", dur(e.DialTook))
}

// written says where the login was held up, if it was below the guard.
func written(e *Evidence) string {
	if e.WriteTook == 0 {
		return ""
	}
	return fmt.Sprintf(" %s of it passed within one Write of the connection below, the one that the dial returned.", capital(dur(e.WriteTook)))
}

// stopped is for how long, by the kernel's clock, the server's last bytes had been here
// when this process went on: it read them late, which no clock of its own shows if a Read
// was under way, or kept the server waiting for what came next. 0 if it is not known.
func (e *Evidence) stopped() time.Duration {
	if !e.ours() || !e.Transport.Known {
		return 0
	}
	return max(0, e.Transport.SinceData-e.Idle)
}

// maybeStalled reports whether a login that ended without a word may have been given up
// because the server was kept waiting here.
func (e *Evidence) maybeStalled() bool {
	return silentEnd(e) && e.pause() < minConnectTimeout && e.stopped() >= minConnectTimeout
}

// stoppedHere says so, to follow a sentence.
func stoppedHere(e *Evidence) string {
	if !e.maybeStalled() {
		return ""
	}
	return fmt.Sprintf(" By the kernel's clock the server's last bytes had been here for %s when %s went on. If that is longer than its connect_timeout (10 s by default), it had given up waiting.", dur(e.stopped()), e.who())
}

// stopAdvice is what to look for then, in front of the rest.
func stopAdvice(e *Evidence) string {
	if !e.maybeStalled() {
		return ""
	}
	return "Look first for what held " + e.it() + " up in the middle of a login: " + e.library().stall + ". If it was nothing of the kind: "
}
