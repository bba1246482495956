package conversation

import (
	"time"

	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// marks are the moments that a diagnosis counts from. Zero means: not reached
// (time has moved on by the first packet).
type marks struct {
	greeting time.Duration // greeting read
	login    time.Duration // login written
	ownPause time.Duration // longest time in the login in which the server waited for the client
	paused   time.Duration // of those times, the one that ended with the last write
	lay      time.Duration // how long the greeting was there before it was read
	writing  time.Duration // longest time that a write of the login took
	unsent   int           // bytes of the last write that the socket did not take
	heard    int64         // bytes of the server that had been read when the client wrote last in the login
	timed    bool          // lay is known
	misnumb  bool          // a packet of the client had a wrong id
	turn     bool          // in the login: the server has sent something behind the client's last bytes, and waits for more

	// Those of each exchange lie together.
	command  time.Duration // last command written
	answered time.Duration // the command before, if it got an answer
	read     time.Duration // last byte of the server
	write    time.Duration // last byte of the client
	idle     time.Duration // how long the connection had been quiet before the last command
	done     time.Duration // last answer complete
	began    time.Duration // when the client's read was begun whose bytes, or end, came last
	open     time.Duration // when a look into the socket last found that the server had not hung up
	readGap  time.Duration // longest time in one answer in which the client did not read although bytes were there
	gapEnd   time.Duration // when that was over
	gapAt    int64         // bytes of the server that had been read by then
	before   int64         // bytes that the client had written before the last command
}

// last is when a byte passed last.
func (m *marks) last() time.Duration { return max(m.read, m.write) }

func (m *marks) packet(now time.Duration, dir session.Direction, ev *session.Event) {
	if ev.Done {
		m.done = now
	}
	switch ev.Kind {
	case session.KindGreeting:
		m.greeting, m.turn = now, true
	case session.KindLogin:
		m.login = now
	case session.KindCommand:
		m.commanded(now)
	}
	if dir == session.FromClient && (ev.Violation == session.SequenceMismatch ||
		ev.Violation == session.CommandDuringAnswer && ev.Kind != session.KindCommand) {
		m.misnumb = true
	}
}

// commanded takes a command.
func (m *marks) commanded(now time.Duration) {
	m.idle = now - m.last()
	if m.read > m.command {
		m.answered = m.command
	}
	m.command = now
	m.readGap, m.gapEnd, m.gapAt = 0, 0, 0
}

// waits is for how long the server has been waiting for the client, by what it sent
// last.
func (m *marks) waits(now time.Duration) (d time.Duration) {
	if m.read > 0 {
		d = now - m.read
	}
	if m.write == 0 {
		d += m.lay
	}
	return d
}

// awaited reports whether the next step of the login was the client's before the packet
// came, if it is one, of which e is the evidence. Of the handshake of TLS only the bytes are seen.
func (m *marks) awaited(e *cause.Evidence, taken int64) bool {
	since := taken - m.heard
	if e.Kind != session.KindUnknown {
		since -= wire.HeaderLen + int64(e.Length)
	}
	return m.turn || e.Phase == session.PhaseTLS && since > 0
}

// loginWritten takes the end of a write of the login that took long. Until then
// nothing may have left.
func (m *marks) loginWritten(now time.Duration, whole bool) {
	if m.read > m.write {
		return // it was answered meanwhile
	}
	m.writing = max(m.writing, now-m.write)
	m.ownPause = max(m.ownPause, m.paused+now-m.write)
	if m.login == m.write {
		m.login = 0
		if whole {
			m.login = now
		}
	}
	m.write = now
}

// gap takes bytes of an answer that are not its first. The time before their
// read was begun was the client's own. The time in it was the server's: if that
// was more than a moment, nothing lay there, and nobody was kept waiting.
func (m *marks) gap(now time.Duration, taken int64) {
	gap, blocked := m.began-m.read, now-m.began
	if gap > m.readGap && blocked <= max(time.Millisecond, gap/8) {
		m.readGap, m.gapEnd, m.gapAt = gap, m.began, taken
	}
}

// endWindow is how far back an end may lie that is met now. Who was waiting in a
// read met it when it came, as does who is told of ends and not of reads.
func (m *marks) endWindow(now time.Duration, before bool) time.Duration {
	if m.began == 0 || !before && m.began > m.read && now-m.began > 2*time.Millisecond {
		return 0
	}
	return now - max(m.read, m.open)
}

// evidence fills in what the clock shows. taken are the bytes of the server.
func (m *marks) evidence(e *cause.Evidence, now time.Duration, taken int64) {
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
	if e.Phase.Connecting() {
		e.GreetingLay, e.GreetingTimed, e.WriteTook = m.lay, m.timed, m.writing
		e.WroteAfter, e.Awaited = max(0, m.write-m.greeting), m.awaited(e, taken)
		// The pause is still going on, unless what was read behind the client's last
		// bytes, such as the tickets of TLS, asks for nothing.
		if m.read >= m.write && (e.Awaited || m.write == 0) {
			e.OwnPause = max(e.OwnPause, m.waits(now))
		}
	}
	e.SinceCommand, e.SinceRead = since(m.command), since(m.read)
	e.Idle = since(m.last())
	if e.Pending > 0 || e.BeforeCommand {
		e.Idle = m.idle
	}
	if e.Phase == session.PhaseOpaque { // commands are not seen: the last write stands for one
		e.SinceCommand, e.AnswerStarted = since(m.write), m.read > m.write
	}
	e.LongestReadGap = m.readGap
	if m.readGap > 0 {
		e.GapBytes, e.SinceGap = taken-m.gapAt, now-m.gapEnd
	}
	if e.Stream != cause.StreamOpen && e.Stream != cause.StreamTimeout {
		e.EndWindow = m.endWindow(now, e.BeforeCommand)
	}
	e.AnswerAge = since(m.done)
	e.Unsent = m.unsent
	e.Misnumbered = m.misnumb
}
