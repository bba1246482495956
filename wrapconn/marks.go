package wrapconn

import (
	"os"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// marks are the moments that a diagnosis counts from, on the connection's
// clock. Zero means: not reached (the clock has moved on by the first packet).
type marks struct {
	greeting int64 // greeting read
	login    int64 // login written
	command  int64 // last command written
	read     int64 // last byte read
	write    int64 // last byte written
	idle     int64 // how long the connection had been quiet before the last command
	ownPause int64 // longest time in the login in which the server waited for this side
	readGap  int64 // longest pause between two reads of one answer
	before   int64 // bytes that the client had written before the last command
	unsent   int   // bytes of the last write that the socket did not take
	misnumb  bool  // a packet of the client had a wrong id
}

// pid is the process that made the connection: a fork that uses it is a cause.
func pid() int { return os.Getpid() }

// last is when a byte passed last.
func (m *marks) last() int64 { return max(m.read, m.write) }

func (m *marks) packet(now int64, dir session.Direction, ev session.Event) {
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
func (m *marks) evidence(e *cause.Evidence, now int64) {
	since := func(mark int64) time.Duration {
		if mark == 0 {
			return 0
		}
		return time.Duration(now - mark)
	}
	e.Age = time.Duration(now)
	e.GreetingAfter = time.Duration(m.greeting)
	if m.login > 0 {
		e.LoginAfter = time.Duration(m.login - m.greeting)
		e.SinceLogin = since(m.login)
	}
	e.OwnPause = time.Duration(m.ownPause)
	e.SinceCommand = since(m.command)
	e.Idle = since(m.last())
	if e.Pending > 0 || e.BeforeCommand {
		e.Idle = time.Duration(m.idle)
	}
	if e.Phase == session.PhaseOpaque { // commands are not seen: the last write stands for one
		e.SinceCommand, e.AnswerStarted = since(m.write), m.read > m.write
	}
	e.LongestReadGap = time.Duration(m.readGap)
	e.Unsent = m.unsent
	e.Misnumbered = m.misnumb
}
