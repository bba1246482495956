package proxy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
)

// pageView is what the live page shows. Its JSON form is what programs get.
type pageView struct {
	Time        time.Time        `json:"time"`
	Since       time.Time        `json:"since"`
	Server      string           `json:"server"`
	Open        int              `json:"connections_open"`
	Connections uint64           `json:"connections"`
	Refused     uint64           `json:"refused"`
	Failed      uint64           `json:"server_unreachable"`
	Violations  uint64           `json:"violations"`
	Knocks      uint64           `json:"knocks"` // clients that left at once without a word
	Dropped     uint64           `json:"reports_dropped"`
	IdleEnded   uint64           `json:"idle_ended"` // by the server
	Untracked   uint64           `json:"untracked"`
	Opaque      uint64           `json:"opaque"`
	Groups      []pageGroup      `json:"clients"`
	List        []pageConnection `json:"connections_shown"` // at most 500, those longest in their command first
	Reports     []*report.Object `json:"reports"`           // newest first
}

// pageGroup are the connections of one client program.
type pageGroup struct {
	Host     string `json:"host"`
	User     string `json:"user"`
	Program  string `json:"program"`
	Library  string `json:"library"`
	Open     int    `json:"connections"`
	Busy     int    `json:"busy"`
	Commands uint64 `json:"commands"`
}

type pageConnection struct {
	Number     uint64  `json:"number"`
	Client     string  `json:"client"`
	User       string  `json:"user"`
	Connection uint32  `json:"connection_id"`
	Phase      string  `json:"phase"`
	Command    string  `json:"command"`
	Commands   uint64  `json:"commands"`
	Pending    int     `json:"pending_answers"`
	TLS        string  `json:"tls"`
	Opaque     string  `json:"opaque,omitempty"`
	Age        float64 `json:"age_s"`
	Idle       float64 `json:"idle_s"`
	Sent       uint64  `json:"bytes_sent"`
	Received   uint64  `json:"bytes_received"`
	Violations int     `json:"violations"`
}

const maxShown = 500

// look takes what there is to see.
func (p *Proxy) look() *pageView {
	c := &p.Counters
	v := &pageView{
		Time: time.Now(), Since: p.started, Server: p.server, Connections: c.Connections.Load(), Refused: c.Refused.Load(),
		Failed: c.Failed.Load(), Violations: c.Violations.Load(), Knocks: c.Knocks.Load(), Dropped: c.Dropped.Load(),
		Untracked: c.Untracked.Load(), Opaque: c.Opaque.Load(), IdleEnded: p.idleEnded(),
		Groups: []pageGroup{}, List: []pageConnection{}, Reports: []*report.Object{},
	}
	groups := map[pageGroup]*pageGroup{}
	for _, s := range p.list() {
		one, key, ok := s.show()
		if !ok {
			continue
		}
		v.Open++
		g := groups[key]
		if g == nil {
			g = &pageGroup{Host: key.Host, User: key.User, Program: key.Program, Library: key.Library}
			groups[key] = g
		}
		g.Open++
		g.Commands += one.Commands
		if one.Pending > 0 {
			g.Busy++
		}
		v.List = append(v.List, one)
	}
	for _, g := range groups {
		v.Groups = append(v.Groups, *g)
	}
	slices.SortFunc(v.Groups, func(a, b pageGroup) int {
		return cmp.Or(cmp.Compare(b.Open, a.Open), cmp.Compare(a.Host, b.Host), cmp.Compare(a.User, b.User), cmp.Compare(a.Program, b.Program))
	})
	slices.SortFunc(v.List, func(a, b pageConnection) int {
		return cmp.Or(cmp.Compare(min(b.Pending, 1), min(a.Pending, 1)), cmp.Compare(b.Idle, a.Idle), cmp.Compare(a.Number, b.Number))
	})
	v.List = v.List[:min(len(v.List), maxShown)]
	for _, r := range p.lastReports() {
		v.Reports = append(v.Reports, r.Object())
	}
	return v
}

// show is one connection for the page.
func (s *conn) show() (one pageConnection, key pageGroup, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		return one, key, false
	}
	st, now := s.talk.State(), s.now()
	one = pageConnection{
		Number: s.number, Client: s.address, User: st.Client.User, Connection: st.Connection, Phase: st.Phase.String(),
		Commands: st.Commands, Pending: st.Pending, TLS: st.TLS.String(), Opaque: st.OpaqueReason, Age: now.Seconds(),
		Idle: (now - st.LastByte).Seconds(), Sent: st.Sent, Received: st.Received, Violations: st.Findings,
	}
	if st.Commands > 0 {
		one.Command = st.Command.String()
	}
	host := s.address
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	library := strings.TrimSpace(st.Client.Name + " " + st.Client.Version)
	return one, pageGroup{Host: host, User: st.Client.User, Program: st.Client.Program, Library: library}, true
}

// Handler serves the live page, and with ?format=json or an Accept header the same
// for programs.
func (p *Proxy) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		var body bytes.Buffer
		var err error
		if r.URL.Query().Get("format") == "json" || strings.HasPrefix(r.Header.Get("Accept"), "application/json") {
			h.Set("Content-Type", "application/json; charset=utf-8")
			err = json.NewEncoder(&body).Encode(p.look())
		} else {
			h.Set("Content-Type", "text/html; charset=utf-8")
			// What a reader has opened is closed again by a reload.
			err = pageTemplate.Execute(&body, struct {
				*pageView
				Still bool
			}{p.look(), r.URL.Query().Get("refresh") == "0"})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(body.Bytes())
	})
}

var pageTemplate = template.Must(template.New("").Funcs(template.FuncMap{
	"bytes": report.Bytes,
	"s":     func(f float64) string { return report.Duration(time.Duration(f * 1e9)) },
}).Parse(`<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">{{if not .Still}}<meta http-equiv=refresh content=5>{{end}}
<title>seqguard proxy: {{.Server}}</title><style>` + report.Style + `</style>
<h1>seqguard proxy → {{.Server}}</h1>
<p class=dim>{{.Time.Format "2006-01-02 15:04:05 MST"}}; {{if .Still}}it stands still: <a href="?">reload every 5 seconds</a>{{else}}it reloads every 5 seconds: <a href="?refresh=0">stand still, to read</a>{{end}}
<p>{{.Open}} connections open of {{.Connections}} since {{.Since.Format "2006-01-02 15:04:05"}}; {{.Violations}} violations{{if .Dropped}} ({{.Dropped}} of them not reported one by one){{end}},
{{.Knocks}} knocks (a client that left at once without a word); {{.IdleEnded}} ended by the server while they were idle; {{.Untracked}} untracked, {{.Opaque}} not seen{{if .Refused}}; {{.Refused}} refused{{end}}{{if .Failed}}; server not reached {{.Failed}} times{{end}}.</p>
{{if .Reports}}<h2>Last violations</h2>{{range .Reports}}<details class="{{.Severity}}"><summary>{{.Time.Format "15:04:05.000"}} <b>{{.Title}}</b> <code>{{.Cause}}</code> {{.Client.Address}} {{.Client.User}}</summary>
<p>{{.Explanation}}<p class=advice>{{.Advice}}<p class=dim>severity {{.Severity}}; executed: {{.Executed}}; connection {{.Connection}}{{with .TraceID}}; trace {{.}}{{end}}; <a href="{{.Docs}}">more about this cause</a></p></details>{{end}}{{end}}
<h2>Clients</h2><table><tr><th>host<th>user<th>program<th>library<th>open<th>busy<th>commands{{range .Groups}}<tr><td>{{.Host}}<td>{{.User}}<td>{{.Program}}<td>{{.Library}}<td class=n>{{.Open}}<td class=n>{{.Busy}}<td class=n>{{.Commands}}{{end}}</table>
<h2>Connections</h2><table><tr><th>#<th>client<th>user<th>id<th>phase<th>command<th>commands<th>quiet for<th>age<th>sent<th>received<th>TLS<th>violations{{range .List}}<tr><td class=n>{{.Number}}<td>{{.Client}}<td>{{.User}}<td class=n>{{.Connection}}<td>{{.Phase}}<td>{{.Command}}<td class=n>{{.Commands}}<td class=n>{{s .Idle}}<td class=n>{{s .Age}}<td class=n>{{bytes .Sent}}<td class=n>{{bytes .Received}}<td>{{.TLS}}{{with .Opaque}}: {{.}}{{end}}<td class=n>{{.Violations}}{{end}}</table>
</html>`))
