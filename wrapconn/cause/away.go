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
func (e *Evidence) away() (d time.Duration) {
	if !e.ours() {
		return 0
	}
	switch {
	case !behindGreeting(e):
	case e.Awaited:
		d = max(0, e.sinceGreeting())
	default:
		d = e.WroteAfter
	}
	if before := e.DialTook + e.Age - e.SinceLogin; !e.GreetingTimed && before > max(d, e.SinceLogin) {
		return before
	}
	return d
}

// behindGreeting: within the handshake of TLS or the authentication.
func behindGreeting(e *Evidence) bool {
	return e.Phase == session.PhaseTLS || e.Phase == session.PhaseAuth
}

// lay is for how long, at least, what the server had sent had been here by the kernel's clock
// when it was read: since the last of it came. 0 if the kernel was not asked.
func (e *Evidence) lay() time.Duration {
	if e.Kind == session.KindUnknown {
		return e.stopped()
	}
	if !e.ours() || !e.Transport.Known {
		return 0
	}
	return e.Transport.SinceData
}

const (
	// lookEvery is how often a process looks at its clock (Stall.Late).
	lookEvery = time.Second
	// leastLay is the least time for which bytes lie unread that is spoken of.
	leastLay = 100 * time.Millisecond
)

// couldNotRun: for most of that time the kernel did not let this process run, so
// that it cannot have read what was there. That it was short of CPU does not show
// it: a process that has little, and whose peer is late, looks the same
// up to the kernel's word that something lay here. One that was stopped in
// all that time looks like no other.
func couldNotRun(e *Evidence) bool {
	away, lay := e.away(), e.lay()
	if away < minConnectTimeout {
		return false
	}
	// Of a time in which it never looked at its clock, all but the last second makes it late.
	never := e.Stall.Late+lookEvery >= away-away/8
	switch e.Stall.Cause(away) {
	case StallUnknown, StallOwn:
		return false
	case StallStopped:
		if never {
			return true
		}
	}
	return lay >= away/2 || lay >= minStall && never
}

// proxyLate reports whether what looks like a pause of the client may have been one of the
// proxy that tells it, which was stopped or had no processor for a part of it that matters.
func proxyLate(e *Evidence) bool {
	return e.ProxyLate >= minStall && e.ProxyLate+lookEvery >= e.pause()/4
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

// doubted: the server gave up after a time that may have been this process's own, and nothing
// proves whose it was.
func (e *Evidence) doubted() bool {
	return e.unaccounted() > 0 && !couldNotRun(e) && e.unclear()
}

// unclear: the kernel does not speak for this process, which may have been away. It is not asked, or says that something lay
// here for longer than a moment; or it speaks of what was read last, and the client has written
// something since the time that is in question (behind a proxy that ends TLS the ERR comes only then).
func (e *Evidence) unclear() bool {
	return e.away() >= minConnectTimeout && (e.lay() >= leastLay || !e.Transport.Known || behindGreeting(e) && !e.Awaited && e.WroteAfter >= minConnectTimeout)
}

// Accused says when, counted back from now, the pause began and ended about which this process is
// to be asked: one of Pause, or one in a login that the clock does not show. In a
// login it is not known how long ago it ended. Both are 0 if there is none.
func (e *Evidence) Accused() (began, ended time.Duration) {
	pause := max(e.Pause(), e.unaccounted())
	switch {
	case pause == 0:
		return 0, 0
	case e.readLate():
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

// slowEnd reports whether a login that ended without a word may have been given up
// because it took too long, wherever that was.
func (e *Evidence) slowEnd() bool {
	return silentEnd(e) && e.DialTook+e.Age >= minConnectTimeout
}

// slowHere says so, to follow a sentence, unless more is known.
func slowHere(e *Evidence) string {
	if !e.slowEnd() || e.maybeStalled() || e.pause() >= minConnectTimeout {
		return ""
	}
	return fmt.Sprintf(" That was %s after the connection was begun: a server whose connect_timeout (10 s by default) is over ends a login like this, too.", dur(e.DialTook+e.Age))
}

// slowAdvice is what to look for then, in front of the rest.
func slowAdvice(e *Evidence) string {
	if slowHere(e) == "" {
		return stopAdvice(e)
	}
	return "If it took about as long as the server's connect_timeout, look for what delays logins: a proxy that queues connections, packet loss, a server without threads. If not: "
}

// stopAdvice is what to look for then, in front of the rest.
func stopAdvice(e *Evidence) string {
	if !e.maybeStalled() {
		return ""
	}
	return "Look first for what held " + e.it() + " up in the middle of a login: " + e.library().stall + ". If it was nothing of the kind: "
}
