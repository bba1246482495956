package debug_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/debug"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// get asks the handler; accept may be empty.
func get(t testing.TB, target, accept string) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, debug.Handler(), target, accept)
}

func ask(t testing.TB, h http.Handler, target, accept string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d: %s", target, w.Code, w.Body)
	}
	return w
}

func of(server string) string { return "/debug/seqguard/?server=" + url.QueryEscape(server) }

// listed counts the connections in the table.
func listed(page string) int { return strings.Count(page, `<td data-l="phase">`) }

// contains fails the test for each text that the page lacks.
func contains(t testing.TB, page string, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !strings.Contains(page, s) {
			t.Errorf("the page lacks %q:\n%s", s, withoutStyle(page))
		}
	}
}

var styleElement = regexp.MustCompile(`(?s)<style>.*</style>`)

func withoutStyle(page string) string { return styleElement.ReplaceAllString(page, "") }

// The page says who has a connection, from which line, and what passed.
func TestPage(t *testing.T) {
	db := open(t, serve(t, "8.4.7"), "page-db:3306", 3)
	ctx := t.Context()
	free, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := query(free); err != nil {
		t.Fatal(err)
	}
	leased, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := leased.QueryContext(ctx, "SELECT secret FROM vault")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	// A query while rows are open is refused and reported.
	if _, err := leased.ExecContext(ctx, "UPDATE vault SET secret = 'x'"); err == nil {
		t.Fatal("an interleaved command was let through")
	}
	w := get(t, of("page-db:3306"), "text/html")
	page := w.Body.String()
	contains(t, page,
		"page-db:3306", "8.4.7", "3 connections", ">ready</span>", "in transaction", "COM_QUERY", "rows × 2",
		"query <small>result open, for ", "handler_test.go:", `class="free">nobody, and out of its pool <small>for `, `class="free">nobody, between the statements of a transaction <small>for `, "plain",
		// the report
		`<article class="misuse">`, "result_still_open", "docs/causes.md#result_still_open", "<strong>What to do</strong>", "exec ",
		"<dt>second operation</dt>", "statement not executed",
	)
	for _, word := range []string{"SELECT", "secret", "vault", "payload that nobody", "retry"} { // running a misuse again is no advice
		if strings.Contains(page, word) {
			t.Errorf("the page shows %q", word)
		}
	}
	_ = rows.Close()
	_ = tx.Rollback()
}

// What the browser is told about the page.
func TestHeaders(t *testing.T) {
	for accept, kind := range map[string]string{"": "text/html; charset=utf-8", "application/json": "application/json; charset=utf-8"} {
		w := get(t, "/", accept)
		for k, want := range map[string]string{
			"Content-Type": kind, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept",
			"Content-Length": fmt.Sprint(w.Body.Len()),
		} {
			if got := w.Header().Get(k); got != want {
				t.Errorf("Accept %q: %s is %q, want %q", accept, k, got, want)
			}
		}
	}
	csp := get(t, "/", "").Header().Get("Content-Security-Policy")
	contains(t, csp, "default-src 'none'; style-src 'sha256-", "frame-ancestors 'none'", "base-uri 'none'")
	if strings.Contains(csp, "unsafe") {
		t.Errorf("the policy: %s", csp)
	}
}

// Whatever a client prefers, it gets; the rest gets the page.
func TestAccept(t *testing.T) {
	for accept, asJSON := range map[string]bool{
		"":                                  false,
		"*/*":                               false,
		"text/html,application/xhtml+xml":   false,
		"application/json":                  true,
		"application/json, */*":             true,
		"application/json;q=0.5, text/html": false,
		"text/html;q=0.5, application/json": true,
		"text/html, application/json":       false,
		"application/json;q=0":              false,
		"application/json;q=x":              false,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": false,
	} {
		got := get(t, "/", accept).Header().Get("Content-Type")
		if strings.HasPrefix(got, "application/json") != asJSON {
			t.Errorf("Accept %q: %s", accept, got)
		}
	}
	if got := get(t, "/?format=json", "text/html").Header().Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		t.Errorf("format=json: %s", got)
	}
	if got := get(t, "/?format=html", "application/json").Header().Get("Content-Type"); !strings.HasPrefix(got, "text/html") {
		t.Errorf("format=html: %s", got)
	}
}

func TestMethods(t *testing.T) {
	for _, m := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
		w := httptest.NewRecorder()
		debug.Handler().ServeHTTP(w, httptest.NewRequest(m, "/", nil))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", m, w.Code, w.Header().Get("Allow"))
		}
	}
	w := httptest.NewRecorder()
	debug.Handler().ServeHTTP(w, httptest.NewRequest("HEAD", "/", nil))
	if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %s", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

// silent makes guarded connections that only exist.
func silent(t testing.TB, server string, n int) {
	for range n {
		a, b := net.Pipe()
		c := wrapconn.New(a, wrapconn.Options{Server: server, Network: "tcp"})
		t.Cleanup(func() { _ = c.Close(); _ = b.Close() })
	}
}

// The filter shows one server and leads to the others.
func TestFilter(t *testing.T) {
	silent(t, "filter-a:1", 2)
	silent(t, "filter-b:1", 1)
	page := get(t, of("filter-b:1"), "").Body.String()
	contains(t, page, `href="?server=filter-a%3A1"`, `href="?server=filter-b%3A1" aria-current="page"`, "1 connection<", "sort by id",
		`href="?format=json&amp;server=filter-b%3A1"`)
	if n := listed(page); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	contains(t, get(t, of("filter-none:1"), "").Body.String(), "There is no connection to filter-none:1")
}

// Some hundred are listed, and links lead to the others.
func TestParts(t *testing.T) {
	silent(t, "parts:1", 510)
	count := func(target string) int {
		return listed(get(t, target, "text/html").Body.String())
	}
	page := get(t, of("parts:1"), "").Body.String()
	contains(t, page, "1 to 200 of 510 connections, busy first", "200 of 510 connections<", "and 310 more", `href="?from=200&amp;server=parts%3A1"`, `href="?server=parts%3A1&amp;sort=id"`)
	for query, want := range map[string]int{"": 200, "&n=500": 500, "&n=9999": 500, "&from=500": 10, "&from=9999": 0, "&n=0": 0, "&n=x": 200, "&from=-1": 200} {
		if n := count(of("parts:1") + query); n != want {
			t.Errorf("%q: %d rows, want %d", query, n, want)
		}
	}
	contains(t, get(t, of("parts:1")+"&from=400", "").Body.String(), "401 to 510 of 510 connections", "those before")
	var v struct {
		Total int `json:"connections_total"`
		From  int `json:"connections_from"`
		Shown int `json:"connections_shown"`
	}
	if err := json.Unmarshal(get(t, of("parts:1")+"&format=json&from=300", "").Body.Bytes(), &v); err != nil || v.Total != 510 || v.Shown != 200 || v.From != 300 {
		t.Errorf("%+v, %v", v, err)
	}
}

// hostile is what a peer would like to have on the page.
const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`

// What a server says of itself is text.
func TestHostile(t *testing.T) {
	address := "hostile:1/" + hostile
	s := mysqltest.Serve(t, mysqltest.Login(mysqltest.GreetingOptions{Version: "9" + hostile}),
		mysqltest.ExpectCommand(mysqltest.ComPing), mysqltest.SendERR(0, 9001, "HY000", "goodbye "+hostile))
	db := open(t, s, address, 1)
	if err := db.Ping(); err == nil {
		t.Fatal("a misnumbered ERR was taken")
	}
	silentConn(t, address, "9"+hostile)
	page := get(t, of(address), "").Body.String()
	for _, bad := range []string{"<script", "<img", `'><`, "onerror=alert(2)>"} {
		if strings.Contains(withoutStyle(page), bad) {
			t.Errorf("the page has %q in it", bad)
		}
	}
	contains(t, page, "&lt;script&gt;alert(1)", "goodbye &lt;script&gt;", "<mark>")
	if n := strings.Count(page, "&lt;script&gt;"); n < 4 {
		t.Errorf("the hostile text is shown %d times: of the address, the version and the message it was expected", n)
	}
}

// What a web server answers is no packet: its first letters are no number and no length.
func TestPeerIsNotMySQL(t *testing.T) {
	s := mysqltest.Serve(t, mysqltest.SendRaw([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), mysqltest.Close())
	db := open(t, s, "web:80", 1)
	if err := db.Ping(); err == nil {
		t.Fatal("a web server was taken for MySQL")
	}
	page := get(t, of("web:80"), "").Body.String()
	contains(t, page, "◀──  bytes that are not a MySQL packet")
	if strings.Contains(page, "seq 80") {
		t.Error("the page has a number for what is no packet")
	}
}

// silentConn is a guarded connection that has read a greeting of the version.
func silentConn(t testing.TB, server, version string) {
	t.Helper()
	a, b := net.Pipe()
	c := wrapconn.New(a, wrapconn.Options{Server: server, Network: hostile})
	t.Cleanup(func() { _ = c.Close(); _ = b.Close() })
	go func() {
		_, _ = b.Write(mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{Version: version})))
	}()
	if _, err := c.Read(make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
}
