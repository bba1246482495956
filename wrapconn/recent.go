package wrapconn

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Repeated is a remembered report, and how many reports there were with the same
// cause, at the same server and the same line.
type Repeated struct {
	*Report           // the last of them
	First   time.Time // of the first of them
	Count   int
}

// Trace returns the trace of the last of them that has one. In a storm most have
// no span.
func (r Repeated) Trace() (t TraceRef) {
	if t = r.Report.Trace(); t.TraceID == "" && r.traced != nil && r.traced.alike != nil {
		if p := r.traced.alike.Load(); p != nil {
			t = *p
		}
	}
	return t
}

// LastReports returns the last reports of this process, newest first, at most 32.
// Equal ones are one entry. They have no contexts.
func LastReports() []Repeated { return lastReports.last() }

// LastAbandoned returns the last operations of this process that were given up
// while their command was unanswered, as LastReports does: when (Time), where
// (Owner), on which connection, how long after the command, and what had come.
func LastAbandoned() []Repeated { return lastAbandoned.last() }

var lastReports, lastAbandoned remembered

// maxRemembered bounds how many unlike reports of a kind are kept.
const maxRemembered = 32

// remembered keeps the last reports of a kind. It is written only when there is
// something to keep.
type remembered struct {
	mu   sync.Mutex
	list []kept // newest first
}

type kept struct {
	Repeated
	like likeness
}

// likeness is what reports have in common that are told as one.
type likeness struct {
	slug            cause.Slug
	severity        cause.Severity
	executed        cause.Executed
	server          string
	owner, intruder Frame
	how             cause.Abandon
}

func likenessOf(r *Report) likeness {
	l := likeness{slug: r.Cause.Slug, severity: r.Cause.Severity, executed: r.Cause.Executed, server: r.Server, how: r.Evidence.Abandoned}
	l.owner, _ = r.Owner.Site()
	l.intruder, _ = r.Intruder.Site()
	return l
}

func (m *remembered) keep(r *Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.traced != nil && r.traced.alike == nil {
		r.traced.alike = new(atomic.Pointer[TraceRef])
		if i := m.find(likenessOf(r)); i >= 0 && m.list[i].traced != nil {
			r.traced.alike = m.list[i].traced.alike
		}
	}
	m.add(r)
}

func (m *remembered) add(r *Report) {
	k := kept{Repeated{r, r.Time, 1}, likenessOf(r)}
	if i := m.find(k.like); i >= 0 {
		old := m.list[i]
		k.Count += old.Count
		if old.First.Before(k.First) {
			k.First = old.First
		}
		if old.Time.After(r.Time) { // one that was settled late
			k.Report = old.Report
		}
		m.list = slices.Delete(m.list, i, i+1)
	} else if len(m.list) == maxRemembered {
		m.list = m.list[:maxRemembered-1]
	}
	at := slices.IndexFunc(m.list, func(o kept) bool { return !o.Time.After(k.Time) })
	if at < 0 {
		at = len(m.list)
	}
	m.list = slices.Insert(m.list, at, k)
}

func (m *remembered) find(l likeness) int {
	return slices.IndexFunc(m.list, func(k kept) bool { return k.like == l })
}

// settle puts the final form of a report in the place of the first one, if that
// is still remembered.
func (m *remembered) settle(first, final *Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(likenessOf(first))
	if i < 0 {
		return
	}
	k := &m.list[i]
	if k.like == likenessOf(final) {
		if k.end == final.end && k.Time.Equal(final.Time) {
			k.Report = final
		}
		return
	}
	if k.Count--; k.Count == 0 {
		m.list = slices.Delete(m.list, i, i+1)
	}
	m.add(final)
}

// last returns the reports, newest first.
func (m *remembered) last() []Repeated {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Repeated, len(m.list))
	for i := range m.list {
		out[i] = m.list[i].Repeated
	}
	return out
}
