package debug

import (
	"html/template"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// The rows of the connections are written without html/template, which would take
// three quarters of the time of a page with some hundred of them. All that did not
// come from this file goes through text.

// out is HTML that grows. raw takes markup, text takes anything and escapes it, in
// an element or in an attribute within double quotes.
type out struct {
	b    []byte
	list []packet // of one connection
}

func (o *out) raw(parts ...string) {
	for _, p := range parts {
		o.b = append(o.b, p...)
	}
}

func (o *out) text(s string) {
	s = strings.ToValidUTF8(s, "\uFFFD")
	done := 0
	for i := range len(s) {
		if e := escapes[s[i]]; e != "" {
			o.b = append(append(o.b, s[done:i]...), e...)
			done = i + 1
		}
	}
	o.b = append(o.b, s[done:]...)
}

// escapes are what the bytes become that markup is made of.
var escapes = [256]string{'<': "&lt;", '>': "&gt;", '&': "&amp;", '"': "&#34;", '\'': "&#39;", 0: "\uFFFD"}

// plain reports whether text would leave s as it is; false if that is not quick to say.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || escapes[s[i]] != "" {
			return false
		}
	}
	return true
}

func (o *out) int(n int) { o.b = strconv.AppendInt(o.b, int64(n), 10) }

// columns is how many the table has.
const columns = "9"

// rows are the bodies of the table: one for each server, the one first whose connection
// comes first.
func (o *out) rows(v *view) {
	open := map[string]int{}
	for _, s := range v.Servers {
		open[s.Address] = s.Connections
	}
	first := map[string]int{}
	for i := range v.Connections {
		if _, ok := first[v.Connections[i].Server]; !ok {
			first[v.Connections[i].Server] = i
		}
	}
	shown := slices.Clone(v.Connections)
	slices.SortStableFunc(shown, func(a, b connection) int { return first[a.Server] - first[b.Server] })
	for rest := shown; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Server == rest[0].Server {
			n++
		}
		o.server(rest[:n], open[rest[0].Server])
		rest = rest[n:]
	}
}

func (o *out) server(list []connection, total int) {
	c := &list[0]
	o.raw("\n<tbody>\n<tr class=\"server\"><th scope=\"rowgroup\" colspan=\"" + columns + "\">")
	if c.Server == "" {
		o.raw("(no address)")
	}
	o.text(c.Server)
	o.raw(" <small>")
	o.text(c.Network)
	if c.ServerVersion != "" {
		o.raw(" · ")
		o.text(c.ServerVersion)
	}
	o.raw(" · ")
	if len(list) < total {
		o.raw(num(len(list)), " of ")
	}
	o.raw(num(total), " connection")
	if total != 1 {
		o.raw("s")
	}
	o.raw("</small></th></tr>")
	for i := range list {
		o.connection(&list[i])
	}
	o.raw("\n</tbody>")
}

func (o *out) connection(c *connection) {
	o.raw("\n<tr class=\"conn")
	if c.long() {
		o.raw(" long")
	}
	o.raw("\">\n<th scope=\"row\" class=\"num\" data-l=\"id\"")
	o.title("database ", c.Database)
	o.raw(">")
	if c.ID == 0 {
		o.raw("–")
	} else {
		o.int(int(c.ID))
	}
	o.raw("</th>\n<td data-l=\"phase\"><span class=\"chip ", c.tone(), "\">")
	o.text(c.Phase)
	o.raw("</span>")
	if c.InTransaction {
		o.raw(` <span class="chip tx">in transaction</span>`)
	}
	if c.RowsLost {
		o.raw(` <span class="chip bad" title="the rows were dropped without a Close: nobody can give the connection back">rows never closed</span>`)
	}
	if c.NothingDue > 0 {
		o.raw(` <span class="chip bad" title="every answer is complete">reading for `, c.NothingDue.String(), ", nothing is due</span>")
	}
	if c.Broken != "" {
		o.raw(` <span class="chip bad">`)
		o.text(c.Broken)
		o.raw("</span>")
	}
	if c.Pending > 0 {
		o.raw("\n <small>")
		o.text(c.Command)
		o.raw(", seq ", strconv.Itoa(int(c.Expected)), " due")
		if c.Pending > 1 {
			o.raw(", ", strconv.Itoa(c.Pending), " answers pending")
		}
		o.raw("</small>")
	}
	o.raw("</td>\n")
	o.owner(c)
	o.raw("\n<td data-l=\"commands\" class=\"num\">", strconv.FormatUint(c.Commands, 10), "</td>\n<td data-l=\"transport\"")
	o.title("", c.TLSSuite)
	o.raw(">", c.security())
	switch c.TLS {
	case "visible":
		o.raw(" <small>visible</small>")
	case "opaque":
		o.raw(" <small")
		o.title("", c.Hidden)
		o.raw(">opaque</small>")
	}
	if c.Compressed {
		o.raw(" <small>compressed</small>")
	}
	o.raw("</td>\n<td data-l=\"in / out\" class=\"num\">", size(c.Received), " <small>/</small> ", size(c.Sent),
		"</td>\n<td data-l=\"age\" class=\"num\">", c.Age.String(), "</td>\n<td data-l=\"idle\" class=\"num\">", c.Idle.String(),
		"</td>\n</tr>\n<tr class=\"packets\"><td colspan=\""+columns+"\">")
	o.packets(c)
	o.raw("</td></tr>")
}

// owner are the cells of who has the connection and from where.
func (o *out) owner(c *connection) {
	o.raw("<td data-l=\"in use by\"")
	from := c.Owner
	switch {
	case from != nil:
		o.raw(">")
		o.text(from.Kind)
		o.raw(" <small>")
		if c.State == "leased" {
			o.raw("result open, ")
		}
		o.raw("for ", from.Age.String(), "</small>")
	case c.use == wrapconn.UseIdleInTransaction:
		from = c.Last
		o.raw(" class=\"free\">nobody, between the statements of a transaction")
		o.since(c)
	case c.use == wrapconn.UseHeld:
		from = c.Last
		o.raw(" class=\"free\">nobody, and out of its pool")
		o.since(c)
	case c.use == wrapconn.UseConnecting:
		o.raw(">connecting")
	default:
		o.raw(" class=\"free\">free")
	}
	o.raw("</td>\n")
	if from == nil || from.File == "" {
		o.raw("<td class=\"none\"></td>")
		return
	}
	o.raw("<td data-l=\"started at\">")
	if c.Owner == nil {
		o.raw("<small>last ")
		o.text(from.Kind)
		o.raw("</small> ")
	}
	o.raw("<span class=\"code\"")
	o.title("", from.Where())
	o.raw(">")
	o.text(from.Site())
	o.raw("</span> <small>")
	o.text(from.Name())
	o.raw("</small></td>")
}

func (o *out) since(c *connection) {
	if c.For > 0 {
		o.raw(" <small>for ", c.For.String(), "</small>")
	}
}

// packets are the last ones in a line, with all of them to unfold.
func (o *out) packets(c *connection) {
	o.list = appendPackets(o.list[:0], c.history, c.connected, nil)
	if len(o.list) == 0 {
		o.raw("<small>")
		if c.Hidden != "" {
			o.raw("packets are not seen: ")
			o.text(c.Hidden)
		} else {
			o.raw("no packet yet")
		}
		o.raw("</small>")
		return
	}
	o.raw("<details><summary>")
	for i, p := range last(o.list, 4) {
		if i > 0 {
			o.raw("  ")
		}
		if p.sent {
			o.raw("▶ ")
		} else {
			o.raw("◀ ")
		}
		o.text(p.Label)
	}
	o.raw("</summary>")
	o.timeline(o.list, c.Forgotten)
	o.raw("</details>")
}

// timelineOf is what the page shows of a history.
func timelineOf(packets []packet, forgotten uint64) template.HTML {
	var o out
	o.timeline(packets, forgotten)
	return template.HTML(o.b)
}

func (o *out) timeline(packets []packet, forgotten uint64) {
	o.raw("<pre class=\"timeline\" tabindex=\"0\">")
	shown := last(packets, maxLines)
	if earlier := forgotten + uint64(len(packets)-len(shown)); earlier > 0 {
		o.raw("<i>… ", strconv.FormatUint(earlier, 10), " earlier</i>\n")
	}
	w := widthsOf(shown)
	for i := range shown {
		p := &shown[i]
		begin, end := "", ""
		switch {
		case p.Violation != "":
			begin, end = "<mark>", "</mark>"
		case p.sent:
			begin, end = "<b>", "</b>"
		}
		if i == 0 || !p.alike(&shown[i-1]) {
			o.raw(begin)
		}
		if plain(p.Label) && plain(p.Violation) {
			o.b = p.appendLine(o.b, &w)
		} else {
			o.text(string(p.appendLine(nil, &w)))
		}
		o.raw("\n")
		if i+1 == len(shown) || !p.alike(&shown[i+1]) {
			o.raw(end)
		}
	}
	o.raw("</pre>")
}

// title is an attribute, left out if there is nothing to say.
func (o *out) title(before, s string) {
	if s == "" {
		return
	}
	o.raw(` title="`, before)
	o.text(s)
	o.raw(`"`)
}

// long: rows are open, or a transaction is idle, for so long that it is likely to be
// a fault.
func (c *connection) long() bool {
	switch c.use {
	case wrapconn.UseRowsOpen, wrapconn.UseIdleInTransaction, wrapconn.UseHeld:
		return c.For >= longAgo || c.RowsLost
	case wrapconn.UseConnecting:
		return c.For >= longAgo
	}
	return false
}

// tone says in which colour the phase is shown.
func (c *connection) tone() string {
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

// security is the TLS in a few words.
func (c *connection) security() string {
	switch {
	case c.TLS == "none":
		return "plain"
	case c.TLSVersion != "":
		return c.TLSVersion
	}
	return "TLS"
}

// num is a number with commas.
func num(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
