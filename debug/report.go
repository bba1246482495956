package debug

import (
	"html/template"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// told is what is said of reports that are alike, and of operations that were given
// up alike: the last of them, and how many there were.
type told struct {
	Time    time.Time `json:"time"`
	First   time.Time `json:"first_time"`
	Count   int       `json:"count"`
	TraceID string    `json:"trace_id,omitempty"`
	SpanID  string    `json:"span_id,omitempty"`

	ago  ms
	link string // to the trace
}

func (h *handler) toldOf(r *wrapconn.Repeated, now time.Time) told {
	t := told{Time: r.Time, First: r.First, Count: r.Count, ago: ms(now.Sub(r.Time))}
	if ref := r.Trace(); ref.TraceID != "" {
		t.TraceID, t.SpanID = ref.TraceID, ref.SpanID
		if ref.Sampled {
			t.link = h.traceLink(ref.TraceID, ref.SpanID)
		}
	}
	return t
}

// Ago is how long ago it was.
func (t *told) Ago() ms { return t.ago }

// Link leads to the trace, "" if it is not known where that is.
func (t *told) Link() string { return t.link }

// Stamp is when it was, for programs.
func (t *told) Stamp() string { return t.Time.Format(time.RFC3339Nano) }

// Clock is the time of day, with the day unless that was less than twelve hours ago.
func (t *told) Clock() string { return clock(t.Time, t.ago) }

// FirstClock is that of the first.
func (t *told) FirstClock() string { return clock(t.First, t.ago+ms(t.Time.Sub(t.First))) }

func clock(at time.Time, ago ms) string {
	if time.Duration(ago) > 12*time.Hour {
		return at.Format("2006-01-02 15:04:05")
	}
	return at.Format("15:04:05")
}

type report struct {
	told
	Server       string     `json:"server"`
	Connection   uint32     `json:"connection"`
	Cause        string     `json:"cause"`
	Severity     string     `json:"severity"`
	Title        string     `json:"title"`
	Explanation  string     `json:"explanation"`
	Advice       string     `json:"advice"`
	Docs         string     `json:"documentation"`
	Executed     string     `json:"executed,omitempty"`   // nothing is said where nothing has failed
	RetrySafe    *bool      `json:"retry_safe,omitempty"` // nothing is said of a misuse, or where nothing has failed
	Alternatives []string   `json:"alternatives"`         // causes that are not excluded
	Phase        string     `json:"phase"`
	Owner        *operation `json:"owner,omitempty"`
	Intruder     *operation `json:"intruder,omitempty"`
	Packets      []packet   `json:"packets"`
	Forgotten    uint64     `json:"packets_forgotten"`
}

func (h *handler) reportOf(r *wrapconn.Repeated, now time.Time) report {
	c := &r.Cause
	out := report{
		told: h.toldOf(r, now), Server: r.Server, Connection: r.Connection, Cause: string(c.Slug), Severity: c.Severity.String(),
		Title: c.Title, Explanation: c.Explanation, Advice: c.Advice, Docs: cause.DocURL(c.Slug),
		Executed: c.Executed.String(), Alternatives: make([]string, len(c.Alternatives)), Phase: r.Evidence.Phase.String(),
		Owner: operationOf(r.Owner), Intruder: operationOf(r.Intruder),
		Packets: packetsOf(r.History, r.Connected, r.Report), Forgotten: r.Forgotten,
	}
	for i, a := range c.Alternatives {
		out.Alternatives[i] = string(a)
	}
	if safe, applies := c.Retry(); applies {
		out.RetrySafe = &safe
	}
	if c.Standing {
		out.Executed = ""
	}
	return out
}

// DocsOf is where an alternative is described.
func (r *report) DocsOf(slug string) string { return cause.DocURL(cause.Slug(slug)) }

// Timeline is for the page.
func (r *report) Timeline() template.HTML { return timelineOf(r.Packets, r.Forgotten) }

// Verdict says whether the statement ran, and whether to run it again.
func (r *report) Verdict() string {
	s := map[string]string{"yes": "statement executed", "no": "statement not executed", "unknown": "unknown whether executed", "": "nothing has failed"}[r.Executed]
	if r.RetrySafe != nil && *r.RetrySafe {
		return s + ", safe to retry"
	}
	return s
}

// abandoned is an operation that was given up while its command was unanswered.
type abandoned struct {
	told
	Server        string     `json:"server"`
	Connection    uint32     `json:"connection"`
	How           string     `json:"how"`               // cancelled, deadline exceeded
	Command       string     `json:"command,omitempty"` // none of a login
	After         ms         `json:"after_ms"`          // since the command was sent, or the connection was made
	Started       bool       `json:"answer_started"`
	Delivery      string     `json:"delivery"` // what the kernel proves about what was sent
	InTransaction bool       `json:"in_transaction"`
	Owner         *operation `json:"owner,omitempty"`
	Explanation   string     `json:"explanation"`
	Packets       []packet   `json:"packets"`
	Forgotten     uint64     `json:"packets_forgotten"`
}

func (h *handler) abandonedOf(r *wrapconn.Repeated, now time.Time) abandoned {
	e := &r.Evidence
	a := abandoned{
		told: h.toldOf(r, now), Server: r.Server, Connection: r.Connection, How: e.Abandoned.String(), Command: e.Command.String(),
		After: ms(e.SinceCommand), Started: e.AnswerStarted, InTransaction: e.InTransaction, Owner: operationOf(r.Owner),
		Delivery: e.Transport.Delivery().String(), Explanation: r.Cause.Explanation, Packets: packetsOf(r.History, r.Connected, nil), Forgotten: r.Forgotten,
	}
	if e.Phase.Connecting() {
		a.Command, a.After = "", ms(e.Age)
	}
	return a
}

// Dead reports whether what was sent got no further than the network.
func (a *abandoned) Dead() bool { return a.Delivery == cause.Undelivered.String() }

// Timeline is for the page.
func (a *abandoned) Timeline() template.HTML { return timelineOf(a.Packets, a.Forgotten) }
