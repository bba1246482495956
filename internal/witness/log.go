// Package witness remembers, for each server address, what this process has seen
// of the server besides one connection: which connections ended and when, which
// dials were refused, which logins succeeded. On a single connection a crash of
// the server, a KILL and the limit of a proxy look the same; beside the others
// they do not.
//
// It is written when a connection is made, ends or fails, never by a Read, a
// Write or an operation of a connection that is in order. It reads no clock and
// does no I/O. A [Log] is safe for concurrent use and bounded: it forgets what is
// older than [Memory].
package witness

import (
	"sync"
	"time"
)

const (
	// Memory is for how long something is remembered, counted from the newest
	// entry of a server.
	Memory = 10 * time.Second

	maxEnds    = 1024 // of one server
	maxAll     = 8192 // ends of all servers, about half a megabyte
	maxAnswers = 64
	maxServers = 1024 // before those without anything recent are forgotten
)

// Log is what is remembered of all servers. The zero value is ready for use.
type Log struct {
	mu      sync.Mutex
	last    uint64 // ID of the last end
	total   int    // ends kept
	swept   time.Time
	servers map[string]*server
}

// server is one address.
type server struct {
	newest  time.Time
	ends    []end // in the order in which they were met
	refused time.Time
	told    word
	login   time.Time // begin of the last login that succeeded; of those that began latest
	answers []answer  // of connections that were alive when they were looked at last, at most maxAnswers
}

// answer is when the last command was written of which an answer was seen, on a
// connection that was made at that time.
type answer struct{ made, written time.Time }

type end struct {
	id uint64
	End
}

type word struct {
	code uint16
	at   time.Time
}

// End is one connection that the other side has ended.
type End struct {
	At time.Time // when it was met
	// Window is how far before At the end may have come: since the last sign that
	// the connection was open.
	Window time.Duration
	// Large: a command was out, or was being sent, that may have been refused
	// for its size.
	Large bool
	// Made is when the connection was made, Answered when the last command was
	// written on it that got an answer, or a part of one; zero if none did.
	Made, Answered time.Time
	// Ran is for how long a command had been out; 0 if none was.
	Ran time.Duration
}

// at returns the entry of a server, made if need be. The caller holds mu.
func (l *Log) at(name string, now time.Time) *server {
	s := l.servers[name]
	if s == nil {
		if l.servers == nil {
			l.servers = map[string]*server{}
		}
		if len(l.servers) >= maxServers { // addresses may come and go
			l.sweep(now)
			if len(l.servers) >= maxServers {
				return &server{} // forgotten at once: a process that talks to so many has other sources
			}
		}
		s = &server{}
		l.servers[name] = s
	}
	if now.After(s.newest) {
		s.newest = now
	}
	return s
}

// Ended notes an end and returns its ID.
func (l *Log) Ended(server string, e End) (id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	s := l.at(server, e.At)
	l.total -= s.forget(s.newest)
	if len(s.ends) >= maxEnds {
		s.drop(1)
		l.total--
	}
	if l.total >= maxAll {
		l.sweep(e.At)
	}
	if l.total < maxAll && l.servers[server] == s { // or it is forgotten at once
		s.ends = append(s.ends, end{l.last, e})
		l.total++
	}
	return l.last
}

// sweep forgets what is too old of all servers. In a storm, in which nothing is, it
// looks once a second. The caller holds mu.
func (l *Log) sweep(now time.Time) {
	if now.Sub(l.swept).Abs() < time.Second {
		return
	}
	l.swept = now
	for name, s := range l.servers {
		l.total -= s.forget(now)
		if now.Sub(s.newest) > Memory {
			delete(l.servers, name)
		}
	}
}

// forget drops the ends that are too old, and returns how many.
func (s *server) forget(now time.Time) (n int) {
	for n < len(s.ends) && now.Sub(s.ends[n].At) > Memory {
		n++
	}
	s.drop(n)
	return n
}

// drop drops the first n ends.
func (s *server) drop(n int) {
	if n > 0 {
		s.ends = append(s.ends[:0], s.ends[n:]...)
	}
}

// LastEnd returns when the last of the connections to a server ended that are
// remembered, the zero time if there is none.
func (l *Log) LastEnd(server string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.servers[server]
	if s == nil {
		return time.Time{}
	}
	var at time.Time
	for i := range s.ends {
		at = later(at, s.ends[i].At)
	}
	return at
}

// Refused notes a dial to which nobody listened.
func (l *Log) Refused(server string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.at(server, at)
	s.refused = later(s.refused, at)
}

// Told notes a word of the server's about itself and not about a statement: it
// is shutting down, it is offline.
func (l *Log) Told(server string, code uint16, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.at(server, at); !at.Before(s.told.at) {
		s.told = word{code, at}
	}
}

// LoggedIn notes a login that has succeeded, by the time at which it was begun.
func (l *Log) LoggedIn(server string, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.at(server, began)
	s.login = later(s.login, began)
}

// Answered notes that a command which was written at that time has got an answer,
// on a connection that is alive. The answers of longest ago are forgotten.
func (l *Log) Answered(server string, made, written time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.at(server, written)
	for i := range s.answers {
		if s.answers[i].made.Equal(made) {
			s.answers[i].written = later(s.answers[i].written, written)
			return
		}
	}
	if len(s.answers) >= maxAnswers {
		s.answers = append(s.answers[:0], s.answers[1:]...)
	}
	s.answers = append(s.answers, answer{made, written})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
