package debug

import (
	"net/url"
	"strconv"
)

// How many connections are listed. A page of more helps nobody, and each costs the
// copy of its history.
const (
	usualConnections = 200
	maxConnections   = 500
)

// query is what was asked for.
type query struct {
	server  string
	from, n int
	byID    bool
	refresh int // seconds; 0: not
}

// asked reads the parameters. What cannot be read is as if it were not there.
func asked(v url.Values) query {
	q := query{server: v.Get("server"), n: usualConnections, byID: v.Get("sort") == "id"}
	if n, err := strconv.Atoi(v.Get("from")); err == nil {
		q.from = max(n, 0)
	}
	if n, err := strconv.Atoi(v.Get("n")); err == nil {
		q.n = min(max(n, 0), maxConnections)
	}
	if n, err := strconv.Atoi(v.Get("refresh")); err == nil && n > 0 {
		q.refresh = min(n, 3600)
	}
	return q
}

// link is the address of the page that was asked for, or as JSON.
func (q query) link(asJSON bool) string {
	v := url.Values{}
	if asJSON {
		v.Set("format", "json")
	}
	if q.server != "" {
		v.Set("server", q.server)
	}
	for _, p := range []struct {
		name         string
		value, usual int
	}{{"from", q.from, 0}, {"n", q.n, usualConnections}, {"refresh", q.refresh, 0}} {
		if p.value != p.usual && !(asJSON && p.name == "refresh") {
			v.Set(p.name, strconv.Itoa(p.value))
		}
	}
	if q.byID {
		v.Set("sort", "id")
	}
	return "?" + v.Encode()
}

// of is the page of one server, from its beginning.
func (q query) of(server string) string {
	q.server, q.from = server, 0
	return q.link(false)
}
