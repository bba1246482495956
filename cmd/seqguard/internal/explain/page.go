package explain

import (
	"cmp"
	"html/template"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/internal/version"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// page collects what the page shows. A page of more would help nobody, so it is
// bounded; those with violations are kept before others.
type page struct {
	violations  []pageViolation
	more        int // violations that are not shown
	connections []pageConnection
	others      int // connections that are not shown
	sound       []int
}

const (
	maxViolations  = 200
	maxConnections = 200
)

type pageViolation struct {
	*report.Object
	Number  int
	Who     string
	Docs    string
	Packets []pageLine
	More    uint64
}

type pageLine struct{ Class, Text, Margin string }

type pageConnection struct {
	Number   int
	When     string
	From, To string
	Who      string
	Facts    string
	Causes   []string
	Timeline template.HTML
}

func duration(ns int64) string { return report.Duration(time.Duration(ns)) }

func (p *page) violation(v *report.Violation) {
	if len(p.violations) >= maxViolations {
		p.more++
		return
	}
	one := pageViolation{
		Object: v.Object(), Number: v.Number, Who: v.Client().String(), Docs: cause.DocURL(v.Cause.Slug), More: v.Finding.Forgotten,
	}
	one.Object.Packets = nil
	history := v.Finding.History
	if n := len(history) - 32; n > 0 {
		one.More += uint64(n)
		history = history[n:]
	}
	for i := range history {
		l := pageLine{Class: "s", Text: report.PacketLine(&history[i], v.Started), Margin: report.Margin(&history[i], v)}
		if history[i].Direction == session.FromClient {
			l.Class = "c"
		}
		one.Packets = append(one.Packets, l)
	}
	p.violations = append(p.violations, one)
}

func (p *page) connection(c *conn, s *conversation.State, at int64) {
	ends := c.ends()
	one := pageConnection{
		Number: c.number, When: time.Unix(0, c.start).Format(clock), From: ends[0], To: ends[1], Who: who(s.Client),
		Facts: strings.Join(c.facts(s, at), "; "), Timeline: c.lines.svg(at - c.start),
	}
	for _, slug := range c.causes {
		one.Causes = append(one.Causes, string(slug))
	}
	switch {
	case len(p.connections) < maxConnections:
		if len(c.causes) == 0 {
			p.sound = append(p.sound, len(p.connections))
		}
		p.connections = append(p.connections, one)
	case len(c.causes) > 0 && len(p.sound) > 0:
		i := p.sound[len(p.sound)-1]
		p.sound = p.sound[:len(p.sound)-1]
		p.connections[i] = one
		p.others++
	default:
		p.others++
	}
}

func (p *page) write(w io.Writer, x *explainer) error {
	// They came as they ended.
	slices.SortFunc(p.connections, func(a, b pageConnection) int { return cmp.Compare(a.Number, b.Number) })
	name := ""
	if x.opts.Name != "" {
		name = filepath.Base(x.opts.Name) // whose home it lay in is nobody's business
	}
	return pageTemplate.Execute(w, map[string]any{
		"Style": template.CSS(report.Style), "Sentence": x.totals.sentence(), "Violations": p.violations, "More": p.more,
		"Connections": p.connections, "Others": p.others, "Causes": x.tally.Causes(), "Clients": x.tally.Clients(),
		"First": x.totals.First.Format(clock + " MST"), "Name": name, "Version": version.Version,
	})
}

var pageTemplate = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>MySQL connections in a capture of {{.First}}</title><style>{{.Style}}</style></head><body>
<h1>MySQL connections in a capture of {{.First}}</h1>
<p style="white-space:pre-line">{{.Sentence}}</p>
<h2>Violations</h2>
{{range .Violations}}<article class="{{.Severity}}" id="v{{.Number}}"><h3>{{.Title}} <code>{{.Cause}}</code></h3>
<p class="dim">{{.Time.Format "2006-01-02 15:04:05.000000"}}, connection <a href="#c{{.Number}}">#{{.Number}}</a>: {{.Who}} → {{.Server}}{{if .Connection}}, the server's connection {{.Connection}}{{end}}</p>
<p>{{.Explanation}}</p><p class="advice">{{.Advice}}</p>
<p class="dim">severity: {{.Severity}}; executed: {{.Executed}}{{with .NotExcluded}}; not excluded: {{range $i, $s := .}}{{if $i}}, {{end}}{{$s}}{{end}}{{end}}; <a href="{{.Docs}}">more about this cause</a></p>
{{range .Notes}}<p class="dim">Note: {{.}}.</p>{{end}}{{with .Opaque}}<p class="dim">The packets could not be seen: {{.}}.</p>{{end}}
<details open><summary>The last packets before it</summary><pre>{{with .More}}… {{.}} earlier
{{end}}{{range .Packets}}<span class="{{.Class}}">{{.Text}}</span>{{with .Margin}}   <span class="v">← {{.}}</span>{{end}}
{{end}}</pre></details></article>
{{else}}<p>None.</p>{{end}}{{with .More}}<p>And {{.}} more, which are counted below.</p>{{end}}
{{if .Causes}}<h2>Causes</h2><table><tr><th>times</th><th>severity</th><th>cause</th><th>what</th><th>clients</th><th>first</th></tr>
{{range .Causes}}<tr><td class="n">{{.Count}}</td><td>{{.Severity}}</td><td><code>{{.Slug}}</code></td><td class="t">{{.Title}}</td><td class="n">{{.Clients}}</td><td class="t">{{.FirstClock}}</td></tr>
{{end}}</table>{{end}}
<h2>Clients</h2><table><tr><th>connections</th><th>commands</th><th>violations</th><th>client</th></tr>
{{range .Clients}}<tr><td class="n">{{.Connections}}</td><td class="n">{{.Commands}}</td><td class="n">{{.Violations}}</td><td class="t">{{.Key}}</td></tr>
{{end}}</table>
<h2>Connections</h2>
{{range .Connections}}<details id="c{{.Number}}"{{if .Causes}} open{{end}}><summary>#{{.Number}} {{.When}} {{.From}} → {{.To}} {{.Who}}{{range .Causes}} <code>{{.}}</code>{{end}}</summary><p class="dim">{{.Facts}}</p><div class="wide">{{.Timeline}}</div></details>
{{end}}{{with .Others}}<p>And {{.}} more connections.</p>{{end}}
<p class="dim">Made by seqguard {{.Version}}{{with .Name}} from {{.}}{{end}}. No statement and no data is on this page; the servers' own error messages are.</p>
</body></html>
`))
