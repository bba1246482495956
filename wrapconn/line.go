package wrapconn

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// MaxErrorLine is how many characters the text of an error has at most.
const MaxErrorLine = 300

// errorLine has the parts of an error's text. Title, executed, do and slug are
// of bounded length; the others are cut where the line would be too long.
type errorLine struct {
	err    string // the client's own error; people grep for it
	title  string
	detail string // the numbers of the wire, if there is room
	what   string // "exec at shop/cart.go:42", or what was refused and by whom
	server string // "db:3306"
	conn   string // "connection 2512"
	end    string // executed, do
	slug   string
}

// line is the text of an error about r, which the client calls err; nil if the
// client does not have it yet.
func (r *Report) line(err error) string {
	d := &r.Cause
	l := errorLine{title: d.Title, detail: detail(&r.Evidence, err), server: oneLine(r.Server), slug: string(d.Slug)}
	if err != nil {
		l.err = oneLine(err.Error())
	}
	if r.Connection != 0 { // it has no number before the greeting
		l.conn = fmt.Sprintf("connection %d", r.Connection)
	}
	if d.Standing {
		l.what, l.detail = r.holding(), ""
	} else if r.Intruder != nil {
		l.what = r.between()
	} else if o := r.Owner; o != nil {
		l.what = o.short()
	}
	l.end = executed(d)
	if d.Do != "" {
		l.end = strings.TrimSpace(l.end + " " + d.Do)
	}
	return l.String()
}

// holding says who keeps connections from others.
func (r *Report) holding() string {
	e := &r.Evidence
	if e.PoolWaits > 0 {
		return e.Holders()
	}
	s := e.HeldAs + " for " + formatDuration(e.Held)
	if r.Owner != nil {
		s = r.Owner.short() + ", " + s
	}
	return s
}

// between says which operation met which: "exec at shop/cart.go:42 by another
// goroutine, during query at shop/cart.go:40, 0.5 ms ago". What may be cut off comes
// last.
func (r *Report) between() string {
	s := r.Intruder.short()
	if r.Evidence.Goroutines == cause.OtherGoroutine {
		s += " by another goroutine"
	}
	if r.Owner == nil {
		return s
	}
	if r.Conflict == Interleaving {
		s += " before the end of "
	} else {
		s += " during "
	}
	return s + r.Owner.short() + ", " + formatDuration(r.Owner.Age) + " ago"
}

// short names the operation and its call site.
func (o *Operation) short() string {
	s := o.Kind.String()
	if f, ok := o.Site(); ok {
		s += fmt.Sprintf(" at %s:%d", tail(shortFile(f.File), maxSite), f.Line)
	}
	return s
}

// detail are the numbers that tell this case from the like: the server's error
// number, unless err has it, the sequence ids, the TLS alert.
func detail(e *cause.Evidence, err error) string {
	var parts []string
	if s := e.ServerError; s != nil {
		if n := fmt.Sprintf("%d", s.Code); err == nil || !strings.Contains(err.Error(), n) {
			parts = append(parts, "ERR "+n)
		}
	}
	if e.Violation == session.SequenceMismatch || e.Violation == session.MisnumberedError {
		parts = append(parts, fmt.Sprintf("sequence id %d, %d was due", e.Actual, e.Expected))
	}
	if e.TLSAlert != "" {
		parts = append(parts, fmt.Sprintf("alert %q", e.TLSAlert))
	}
	return strings.Join(parts, ", ")
}

// How long the parts may be that have no bound of their own, when the line is
// too long.
const (
	maxSite   = 40 // directory and name of a file
	maxServer = 32
	minErr    = 30
)

func (l *errorLine) String() string {
	s := l.join()
	for _, shorten := range []func(){
		func() { l.err = head(l.err, max(minErr, runes(l.err)-over(s))) },
		func() { l.detail = "" },
		func() { l.server = middle(l.server, maxServer) },
		func() { l.what = head(l.what, max(0, runes(l.what)-over(s))) },
		func() { l.server = middle(l.server, maxServer/2) },
		func() { l.end = head(l.end, max(0, runes(l.end)-over(s))) },
	} {
		if over(s) <= 0 {
			break
		}
		shorten()
		s = l.join()
	}
	return s
}

func (l *errorLine) join() string {
	var b strings.Builder
	b.WriteString("seqguard: ")
	if l.err != "" {
		b.WriteString(l.err + ": ")
	}
	b.WriteString(l.title)
	where := l.server
	if l.conn != "" {
		where = strings.TrimSpace(where + " " + l.conn)
	}
	if l.what != "" && where != "" {
		where += ", "
	}
	where += l.what
	if l.detail != "" && where != "" {
		where += "; "
	}
	where += l.detail
	if where != "" {
		b.WriteString(" (" + where + ")")
	}
	b.WriteString(". " + l.end + " [" + l.slug + "]")
	return b.String()
}

func runes(s string) int { return utf8.RuneCountInString(s) }

// over is by how many characters s is too long for an error.
func over(s string) int { return runes(s) - MaxErrorLine }

// head, tail and middle cut s to n characters.
func head(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	if n < 1 {
		return ""
	}
	return string(r[:n-1]) + "…"
}

func tail(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return "…" + string(r[len(r)-n+1:])
}

func middle(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n/2-1]) + "…" + string(r[len(r)-n/2:])
}

// oneLine replaces what would end the line, or be invisible in it: the words
// may be a server's.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}
