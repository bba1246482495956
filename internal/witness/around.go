package witness

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

const (
	// sameEvent is how close together ends are that may be one event.
	sameEvent = time.Second
	// before is how long before an end a server that is being stopped refuses
	// connections already.
	before = 2 * time.Second
	// longRun is the least time that a command must have been out for a limit on
	// statements to be thought of.
	longRun = 500 * time.Millisecond
)

// Around returns what is known around an end, by the time now. made is when the
// connection was made that ended.
func (l *Log) Around(server string, id uint64, made, now time.Time) cause.Siblings {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out cause.Siblings
	s := l.servers[server]
	if s == nil {
		return out
	}
	i := 0
	for i < len(s.ends) && s.ends[i].id != id {
		i++
	}
	if i == len(s.ends) {
		return out // forgotten
	}
	this := s.ends[i].End
	out.Looked = max(now.Sub(this.At), 1)
	s.company(&out, this, id)
	open := this.At.Add(-this.Window) // so long at least
	for _, a := range s.answers {
		// The connection has lived through it, and so has the server.
		if a.made.Before(open) {
			out.AnsweredAfter = max(out.AnsweredAfter, a.written.Sub(this.At))
		}
	}
	if s.login.After(this.At) {
		out.LoggedInAfter = s.login.Sub(this.At)
	}
	out.Refused = s.speaks(s.refused, this, made)
	if s.speaks(s.told.at, this, made) {
		out.Told = s.told.code
	}
	return out
}

// company counts the others that ended at the same time. An end that was found
// long after, or whose time is not known so well, is nobody's company.
func (s *server) company(out *cause.Siblings, this End, id uint64) {
	if this.Window > sameEvent {
		return
	}
	first, last := this.At, this.At
	out.SameRun = this.Ran >= longRun
	for _, e := range s.ends {
		// One that was made since tells of the server that is there now, which may be another one.
		if e.id != id && !e.Made.After(this.At) {
			out.LivedOn = max(out.LivedOn, e.Answered.Sub(this.At))
		}
		if e.id == id || e.Window > sameEvent || e.At.Sub(this.At).Abs() > sameEvent {
			continue
		}
		out.Ended++
		if e.Large {
			out.Large++
		}
		if (e.Ran - this.Ran).Abs() > this.Ran/10 {
			out.SameRun = false
		}
		if e.At.Before(first) {
			first = e.At
		}
		last = later(last, e.At)
	}
	out.Spread = last.Sub(first)
	out.SameRun = out.SameRun && out.Ended > 0
}

// speaks reports whether a sign that the server is going, of the time at, belongs
// to an end: it came after the last sign of life of the connection, whatever came
// since; or shortly before while the connection lived already and no login
// succeeded since.
func (s *server) speaks(at time.Time, this End, made time.Time) bool {
	switch {
	case at.IsZero():
		return false
	case at.After(this.At):
		return true
	case !at.After(made):
		return false
	}
	open := this.At.Add(-this.Window)
	return at.After(open) || at.After(open.Add(-before)) && !s.login.After(at)
}
