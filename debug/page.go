package debug

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed style.css
var style string

//go:embed page.html
var source string

var tmpl = template.Must(template.New("page").Funcs(template.FuncMap{"size": size}).Parse(source))

// policy forbids the page everything but its own style: whatever a hostile
// server manages to get into it can neither run nor load anything.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// page is a view with what only people need.
type page struct {
	*view
	Style  template.CSS
	Groups []group
}

// group are the connections of one server.
type group struct {
	Server      string
	Connections []connection
	Total       int // those that are not listed included
}

func (v *view) writeHTML(w io.Writer) error {
	p := page{view: v, Style: template.CSS(style)}
	totals := map[string]int{}
	for _, s := range v.Servers {
		totals[s.Address] = s.Connections
	}
	for rest := v.Connections; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Server == rest[0].Server {
			n++
		}
		p.Groups = append(p.Groups, group{rest[0].Server, rest[:n], totals[rest[0].Server]})
		rest = rest[n:]
	}
	return tmpl.Execute(w, p)
}

// Clock is the time of day of the page, with its zone.
func (v *view) Clock() string { return v.Time.Format("2006-01-02 15:04:05 MST") }

// All counts the connections of all servers.
func (v *view) All() (n int) {
	for _, s := range v.Servers {
		n += s.Connections
	}
	return n
}

// JSON is the address of the same as JSON.
func (v *view) JSON() string {
	q := url.Values{"format": {"json"}}
	if v.Filter != "" {
		q.Set("server", v.Filter)
	}
	return "?" + q.Encode()
}

// Link is the address of the page about this server alone.
func (s server) Link() string { return "?" + url.Values{"server": {s.Address}}.Encode() }

// Tone says in which colour the phase is shown.
func (c *connection) Tone() string {
	switch {
	case c.Broken != "" || c.Phase == "closed":
		return "bad"
	case c.Phase == "opaque" || c.Phase == "untracked":
		return "dim"
	case c.Phase == "ready" || c.Phase == "quit":
		return "calm"
	case c.Pending > 0:
		return "busy"
	}
	return "wait" // the login
}

// Security is the TLS in a few words.
func (c *connection) Security() string {
	switch {
	case c.TLS == "none":
		return "plain"
	case c.TLSVersion != "":
		return c.TLSVersion
	}
	return "TLS"
}

// Site is where the operation was started, without the path of the machine that
// built the program.
func (o *operation) Site() string {
	dir, file := path.Split(o.File)
	return path.Join(path.Base(dir), file) + ":" + strconv.Itoa(o.Line)
}

// Where is the same at full length.
func (o *operation) Where() string { return o.File + ":" + strconv.Itoa(o.Line) + " " + o.Function }

// Name is the function without the path of its package.
func (o *operation) Name() string { return path.Base(o.Function) }

// Glance are the last packets in one line, the newest last.
func (c *connection) Glance() string {
	var b strings.Builder
	for _, p := range last(c.Packets, 4) {
		if b.Len() > 0 {
			b.WriteString("  ")
		}
		if p.sent {
			b.WriteString("▶ ")
		} else {
			b.WriteString("◀ ")
		}
		b.WriteString(p.Label)
	}
	return b.String()
}

// maxLines is how many packets of a connection the page shows; JSON has all.
const maxLines = 24

// timeline is what the page shows of a history.
type timeline struct {
	Earlier uint64 // packets before
	Blocks  []block
}

// block are lines that look alike: one element for each would make up most of a
// page of 200 connections.
type block struct {
	Text string
	Sent bool
	Bad  bool
}

// Timeline is for the page.
func (c *connection) Timeline() timeline { return timelineOf(c.Packets, c.Forgotten) }

// Timeline is for the page.
func (r *report) Timeline() timeline { return timelineOf(r.Packets, r.Forgotten) }

func timelineOf(packets []packet, forgotten uint64) timeline {
	shown := last(packets, maxLines)
	t := timeline{Earlier: forgotten + uint64(len(packets)-len(shown))}
	var text []byte
	for i := range shown {
		p := &shown[i]
		text = append(p.appendLine(text), '\n')
		if n := i + 1; n == len(shown) || shown[n].sent != p.sent || (shown[n].Violation != "") != (p.Violation != "") {
			t.Blocks = append(t.Blocks, block{string(text), p.sent, p.Violation != ""})
			text = text[:0]
		}
	}
	return t
}

// Ago is how long ago it was.
func (r *report) Ago() ms { return r.ago }

// Stamp is when it was.
func (r *report) Stamp() string { return r.Time.Format(time.RFC3339Nano) }

// Verdict says whether the statement ran, and whether to run it again.
func (r *report) Verdict() string {
	s := map[string]string{"yes": "statement executed", "no": "statement not executed", "unknown": "unknown whether executed", "": "nothing has failed"}[r.Executed]
	if r.RetrySafe != nil && *r.RetrySafe {
		return s + ", safe to retry"
	}
	return s
}

func last(p []packet, n int) []packet { return p[max(0, len(p)-n):] }
