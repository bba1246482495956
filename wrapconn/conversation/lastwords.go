package conversation

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// lastWords are what was said last before the present exchange: the reason of an
// end is often the server's last answer, and the number of a packet tells whether
// the peer counts on from there.
type lastWords struct {
	number   uint8 // of the last packet, either side's
	prior    uint8 // of the last packet before the present exchange
	switches uint8 // AuthSwitchRequests of the present login
	code     uint16
	err      *session.ServerError // whole if the code announces the end
}

// packet takes a packet that was met in the phase before.
func (l *lastWords) packet(before session.Phase, ev *session.Event, seq uint8, prefix []byte, g *session.Greeting) {
	if ev.Kind == session.KindCommand || before == session.PhaseReady {
		l.prior = l.number
	}
	l.number = seq
	if ev.Done || ev.Kind == session.KindAuthSwitch {
		l.turn(ev, prefix, g)
	}
}

// turn takes the end of an answer, or a change of the way of the login.
func (l *lastWords) turn(ev *session.Event, prefix []byte, g *session.Greeting) {
	switch {
	case ev.Kind == session.KindAuthSwitch:
		l.switches++
	case ev.Done && ev.Kind == session.KindERR:
		l.code, l.err = ev.ErrorCode, nil
		if cause.Closes(ev.ErrorCode, g.MariaDB()) {
			if e, ok := session.ParseError(prefix); ok {
				l.err = &e
			}
		}
	case ev.Done:
		l.well()
	}
}

// well takes the end of an answer, or of a login, that was no ERR.
func (l *lastWords) well() { l.code, l.err, l.switches = 0, nil, 0 }

func (l *lastWords) evidence(e *cause.Evidence) {
	e.LastNumber, e.AuthSwitches = l.prior, int(l.switches)
	if e.BeforeCommand {
		e.LastNumber = l.number
	}
	e.LastError = l.last()
}

// last is the ERR that ended the last answer, whole if it announces the end; nil if there was none.
func (l *lastWords) last() *session.ServerError {
	if l.err == nil && l.code != 0 {
		return &session.ServerError{Code: l.code}
	}
	return l.err
}

// aboutReading reports whether an ERR is the server's word about its own reading:
// in a login never a proper answer, whatever its number. MySQL Router in
// passthrough mode makes the number fit.
func aboutReading(code uint16) bool { return code == 1156 || code == 1158 || code == 1159 }

// LastERR returns the code of the ERR that ended the last answer, or the login; 0
// if it ended otherwise.
func (c *Conversation) LastERR() uint16 { return c.said.code }

// AuthSwitches counts the AuthSwitchRequests of the login under way.
func (c *Conversation) AuthSwitches() int { return int(c.said.switches) }

// KeyRefused reports whether the login ended with an ERR in place of the public key
// that the client had asked for.
func (c *Conversation) KeyRefused() bool { return c.tracker.KeyRefused() }

// Spent reports whether the last answer was an ERR behind which servers end the
// connection (a command that was too large, a memory limit, a shutdown).
func (c *Conversation) Spent() bool { return c.said.err != nil }

// LastCommand returns when the last command was begun; 0 if there was none.
func (c *Conversation) LastCommand() time.Duration { return c.marks.command }

// LastHeard returns when the last byte of the server came; 0 if none did.
func (c *Conversation) LastHeard() time.Duration { return c.marks.read }

// LastAnswered returns when the last command was written that has got an answer,
// or the first part of one; 0 if there was none.
func (c *Conversation) LastAnswered() time.Duration {
	if m := &c.marks; m.read > m.command {
		return m.command
	}
	return c.marks.answered
}
