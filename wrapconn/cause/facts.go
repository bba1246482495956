package cause

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// The facts that more than one row looks for.
var (
	// COM_CHANGE_USER goes through the login's packets on a connection that is
	// long since made.
	connecting = fact{is: "the login was under way", holds: func(e *Evidence) bool {
		return e.Phase.Connecting() && !(e.Phase == session.PhaseAuth && e.Command == session.ComChangeUser)
	}}
	loggedIn = guard("the login was over", func(e *Evidence) bool { return !connecting.holds(e) })

	// noPacket keeps the end of a stream apart from the end behind a packet
	// that tells more.
	noPacket = guard("no packet came before the end", func(e *Evidence) bool {
		return e.ServerError == nil && !(e.BeforeCommand && e.Kind != session.KindUnknown) &&
			(e.Violation == session.None || e.Violation == session.Truncated)
	})
	noERR   = guard("the server said nothing", func(e *Evidence) bool { return e.ServerError == nil })
	anyERR  = fact{is: "the server sent an ERR", holds: func(e *Evidence) bool { return e.ServerError != nil }}
	mariaDB = fact{is: "the server is MariaDB", holds: func(e *Evidence) bool { return e.MariaDB }}
	mysql   = guard("the server is not MariaDB", func(e *Evidence) bool { return !e.MariaDB })

	ended = fact{is: "the peer ended the connection", holds: func(e *Evidence) bool {
		return e.Stream != StreamOpen && e.Stream != StreamTimeout
	}}
	reset = fact{is: "the peer reset the connection", holds: func(e *Evidence) bool {
		return e.Stream == StreamReset || e.Stream == StreamBroken
	}}
	timedOut = fact{is: "a time limit ran out", holds: func(e *Evidence) bool { return e.Stream == StreamTimeout }}
	// notLate keeps a limit that ran out apart from an answer that was there.
	notLate = guard("nothing of the peer's lay unread", func(e *Evidence) bool { return !e.readLate() })
	over    = fact{is: "the connection ended or a time limit ran out", holds: func(e *Evidence) bool { return e.Stream != StreamOpen }}

	idle = fact{is: "no command was outstanding", holds: func(e *Evidence) bool {
		return (e.Phase == session.PhaseReady || e.BeforeCommand) && e.Pending == 0 && !e.InsidePacket
	}}
	waiting = fact{is: "a command was out and nothing of its answer in", holds: func(e *Evidence) bool {
		return !e.BeforeCommand && !begun(e) && !e.InsidePacket && commandOut(e)
	}}
	answering = fact{is: "the answer had begun and was not complete", holds: func(e *Evidence) bool {
		if e.BeforeCommand || connecting.holds(e) {
			return false
		}
		switch e.Phase {
		case session.PhaseColumns, session.PhaseRows, session.PhasePrepare, session.PhaseMoreResults:
			return true
		}
		return e.InsidePacket || begun(e) && commandOut(e)
	}}

	numberWrong = fact{is: "the packet's number is not the one that was due", holds: func(e *Evidence) bool {
		return e.Violation == session.SequenceMismatch || e.Violation == session.MisnumberedError
	}}
	fromClient = fact{is: "the packet is the client's", holds: func(e *Evidence) bool { return e.Direction == session.FromClient }}
	fromServer = guard("the packet is the server's", func(e *Evidence) bool { return e.Direction == session.FromServer })
)

// begun reports whether a packet of the present answer had come before this
// one. A packet that is met in the phase of a command is the first, whatever
// the tracker counts after it.
func begun(e *Evidence) bool {
	if e.Phase == session.PhaseCommand && e.Violation != session.None && e.Violation != session.Truncated {
		return false
	}
	return e.AnswerStarted
}

// commandOut reports whether a command waits for its answer. Where packets
// cannot be seen, what was written last counts as one.
func commandOut(e *Evidence) bool {
	switch e.Phase {
	case session.PhaseCommand:
		return true
	case session.PhaseAuth:
		return e.Command == session.ComChangeUser
	case session.PhaseOpaque, session.PhaseUntracked:
		return e.SinceCommand > 0
	}
	return false
}

func guard(is string, holds func(*Evidence) bool) fact {
	return fact{is: is, holds: holds, guard: true}
}

// said holds if the server's ERR has one of the codes.
func said(codes ...uint16) fact {
	names := make([]string, len(codes))
	for i, c := range codes {
		names[i] = codeName(c, false)
		if len(codes) > 4 { // too long to be read with the symbols
			names[i] = fmt.Sprintf("ERR %d", c)
		}
	}
	return fact{is: "the server said " + strings.Join(names, " or "), holds: func(e *Evidence) bool {
		return e.ServerError != nil && slices.Contains(codes, e.ServerError.Code)
	}}
}

// notSaid holds if the server's ERR, if any, has none of the codes.
func notSaid(codes ...uint16) fact {
	return guard("the server's ERR is another one", func(e *Evidence) bool { return !slices.Contains(codes, e.code()) })
}

func phase(p ...session.Phase) fact {
	names := make([]string, len(p))
	for i := range p {
		names[i] = p[i].String()
	}
	return fact{is: "the phase was " + strings.Join(names, " or "), holds: func(e *Evidence) bool { return slices.Contains(p, e.Phase) }}
}

func violation(v ...session.Violation) fact {
	names := make([]string, len(v))
	for i := range v {
		names[i] = v[i].String()
	}
	return fact{is: "the fault was " + strings.Join(names, " or "), holds: func(e *Evidence) bool { return slices.Contains(v, e.Violation) }}
}

// minConnectTimeout is the least that connect_timeout can be set to, in MySQL
// and in MariaDB: nobody was given up on after less.
// https://dev.mysql.com/doc/refman/en/server-system-variables.html#sysvar_connect_timeout
const minConnectTimeout = 2 * time.Second

// pause is how long this process kept the server waiting in the login.
func (e *Evidence) pause() time.Duration {
	switch {
	case e.OwnPause > 0:
		return e.OwnPause
	case e.LoginAfter > 0:
		return e.LoginAfter
	case e.Phase == session.PhaseLogin && e.GreetingAfter > 0:
		return e.Age - e.GreetingAfter // the login was not written to this day
	}
	return 0
}

// Durations as a person says them.
func dur(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "less than 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// since says how long ago something was, to follow a clause; nothing if it was
// not measured.
func since(d time.Duration, what string) string {
	if d <= 0 {
		return ""
	}
	return ", " + dur(d) + " " + what
}

// count says how many of something there are.
func count[N int | int64 | uint32 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// text makes a peer's text fit for one line of a log: quoted, and not endless.
func text(s string) string {
	const limit = 200
	cut := ""
	if len(s) > limit {
		s, cut = s[:limit], "…"
	}
	return fmt.Sprintf("%q", s) + cut
}

// err names the server's ERR: code and name.
func (e *Evidence) err() string {
	if e.ServerError == nil {
		return "no ERR"
	}
	return codeName(e.ServerError.Code, e.MariaDB)
}

// words is err with the server's message.
func (e *Evidence) words() string {
	if e.ServerError == nil || e.ServerError.Message == "" {
		return e.err()
	}
	return e.err() + ": " + text(e.ServerError.Message)
}

// ending says how the stream ended, to follow "the connection was".
func (e *Evidence) ending() string {
	if e.Stream == StreamOpen {
		return "still open"
	}
	return e.Stream.String()
}
