package conversation

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// marks are the moments that a diagnosis counts from. Zero means: not reached
// (time has moved on by the first packet).
type marks struct {
	greeting time.Duration // greeting read
	login    time.Duration // login written
	command  time.Duration // last command written
	read     time.Duration // last byte of the server
	write    time.Duration // last byte of the client
	idle     time.Duration // how long the connection had been quiet before the last command
	ownPause time.Duration // longest time in the login in which the server waited for the client
	readGap  time.Duration // longest pause between two reads of one answer
	before   int64         // bytes that the client had written before the last command
	unsent   int           // bytes of the last write that the socket did not take
	misnumb  bool          // a packet of the client had a wrong id
}

// last is when a byte passed last.
func (m *marks) last() time.Duration { return max(m.read, m.write) }

func (m *marks) packet(now time.Duration, dir session.Direction, ev session.Event) {
	switch ev.Kind {
	case session.KindGreeting:
		m.greeting = now
	case session.KindLogin:
		m.login = now
	case session.KindCommand:
		m.command = now
		m.readGap = 0
	}
	if dir == session.FromClient && (ev.Violation == session.SequenceMismatch ||
		ev.Violation == session.CommandDuringAnswer && ev.Kind != session.KindCommand) {
		m.misnumb = true
	}
}

// evidence fills in what the clock shows.
func (m *marks) evidence(e *cause.Evidence, now time.Duration) {
	since := func(mark time.Duration) time.Duration {
		if mark == 0 {
			return 0
		}
		return now - mark
	}
	e.Age = now
	e.GreetingAfter = m.greeting
	if m.login > 0 {
		e.LoginAfter = m.login - m.greeting
		e.SinceLogin = since(m.login)
	}
	e.OwnPause = m.ownPause
	if e.Phase.Connecting() && m.read > 0 && m.read >= m.write { // the pause is still going on
		e.OwnPause = max(e.OwnPause, now-m.read)
	}
	e.SinceCommand = since(m.command)
	e.Idle = since(m.last())
	if e.Pending > 0 || e.BeforeCommand {
		e.Idle = m.idle
	}
	if e.Phase == session.PhaseOpaque { // commands are not seen: the last write stands for one
		e.SinceCommand, e.AnswerStarted = since(m.write), m.read > m.write
	}
	e.LongestReadGap = m.readGap
	e.Unsent = m.unsent
	e.Misnumbered = m.misnumb
}
