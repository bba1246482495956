package debug

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"path"
	"strconv"
	"time"
)

//go:embed style.css
var style string

//go:embed page.html
var source string

var tmpl = template.Must(template.New("page").Funcs(template.FuncMap{"num": num}).Parse(source))

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
	Style template.CSS
}

// writeHTML writes the page around the rows of the connections, which are nearly all
// of it, and are written where they are to be.
func (v *view) writeHTML(w *bytes.Buffer) error {
	p := page{v, template.CSS(style)}
	w.Grow(1<<15 + len(v.Connections)<<11)
	if err := tmpl.ExecuteTemplate(w, "before", p); err != nil {
		return err
	}
	o := out{b: w.AvailableBuffer()}
	o.rows(v)
	w.Write(o.b)
	return tmpl.ExecuteTemplate(w, "behind", p)
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
func (v *view) JSON() string { return v.query.link(true) }

// Of is the address of the page of one server, "" for all.
func (v *view) Of(address string) string { return v.query.of(address) }

// Refresh is after how many seconds the browser asks again; 0: it does not.
func (v *view) Refresh() int { return v.query.refresh }

// choice is one of several pages that a link leads to.
type choice struct {
	Text, Link string
	Current    bool
}

// Refreshes are the choices of that.
func (v *view) Refreshes() (out []choice) {
	for _, s := range []int{0, 2, 5, 30} {
		q := v.query
		q.refresh = s
		c := choice{strconv.Itoa(s) + " s", q.link(false), s == v.query.refresh}
		if s == 0 {
			c.Text = "off"
		}
		out = append(out, c)
	}
	return out
}

// Parts lead to the connections before and behind those that are listed, and to the
// other order of them.
func (v *view) Parts() (out []choice) {
	q := v.query
	if q.from > 0 {
		p := q
		p.from = max(0, q.from-q.n)
		out = append(out, choice{Text: "those before", Link: p.link(false)})
	}
	if v.From+v.Shown < v.Total && q.n > 0 {
		p := q
		p.from = v.From + v.Shown
		out = append(out, choice{Text: "the next " + num(min(q.n, v.Total-p.from)), Link: p.link(false)})
	}
	p := q
	p.byID, p.from = !q.byID, 0
	text := "sort by id"
	if q.byID {
		text = "busy first"
	}
	return append(out, choice{Text: text, Link: p.link(false)})
}

// First is the number of the first connection that is listed.
func (v *view) First() int { return v.From + 1 }

// Last is that of the last one.
func (v *view) Last() int { return v.From + v.Shown }

// ByID reports whether they are sorted so.
func (v *view) ByID() bool { return v.query.byID }

// Rest is how many connections are not listed.
func (v *view) Rest() int { return v.Total - v.Shown }

// maxHolders is how many call sites the page shows; JSON has all.
const maxHolders = 20

// Top are the holders that the page shows.
func (v *view) Top() []holder { return v.Holders[:min(len(v.Holders), maxHolders)] }

// More counts the others.
func (v *view) More() int { return max(0, len(v.Holders)-maxHolders) }

// Long: one of them has been at it for so long that it is likely to be a fault.
func (h *holder) Long() bool { return h.State != "running" && h.For >= longAgo || h.lost }

// Site is where it was used last.
func (h *holder) Site() string { return siteOf(h.File, h.Line) }

// Where is the same at full length.
func (h *holder) Where() string { return whereOf(h.File, h.Line, h.Function) }

// Name is the function without the path of its package.
func (h *holder) Name() string { return path.Base(h.Function) }

// Site is where the operation was started, without the path of the machine that
// built the program.
func (o *operation) Site() string { return siteOf(o.File, o.Line) }

// Where is the same at full length.
func (o *operation) Where() string { return whereOf(o.File, o.Line, o.Function) }

// Name is the function without the path of its package.
func (o *operation) Name() string { return path.Base(o.Function) }

func siteOf(file string, line int) string {
	dir, name := path.Split(file)
	return path.Join(path.Base(dir), name) + ":" + strconv.Itoa(line)
}

func whereOf(file string, line int, function string) string {
	return file + ":" + strconv.Itoa(line) + " " + function
}

// longAgo is from when on rows that are open, or a transaction in which nothing is
// done, stand out. Nobody waits for the server then: it is the program that takes
// its time. A test does not wait for so long.
var longAgo = ms(10 * time.Second)

// maxLines is how many packets of a connection the page shows; JSON has all.
const maxLines = 24

// alike: they may be in one element. One for each packet would make up most of a page
// of 200 connections.
func (p *packet) alike(o *packet) bool {
	return p.sent == o.sent && (p.Violation != "") == (o.Violation != "")
}

func last(p []packet, n int) []packet { return p[max(0, len(p)-n):] }
