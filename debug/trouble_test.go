package debug_test

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/debug"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// take holds a connection of the pool, after n queries on it, until the test ends.
func take(t *testing.T, db *sql.DB, n int) *sql.Conn {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := query(c); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A pool in trouble is seen as such: its own numbers, who holds its connections and
// since when, and what has been open for long before all else.
func TestPoolInTrouble(t *testing.T) {
	const address = "trouble-db:3306"
	s := serve(t, "9.7.4")
	db, other := open(t, s, address, 4), open(t, s, address, 4)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	rows, err := db.Query("SELECT name FROM customers")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	take(t, db, 1)
	take(t, other, 1)
	time.Sleep(1100 * time.Millisecond) // what these four are at for longer than the next one, and a second for a busy machine
	taken := time.Now()
	take(t, db, 3)
	page := debug.Handler(debug.WithDB("shop", db), debug.WithDB("other", other))
	text := func(what string) string {
		return ask(t, page, of(address), what).Body.String()
	}
	contains(t, text("text/html"), "all in use", `<td data-l="callers that had to wait">0</td>`, "4 of 4 held, 2 by debug/load_test.go:", "1 of 4 held, 1 by debug/load_test.go:", " (idle in transaction), ", " (rows open)", ", oldest ",
		">idle in transaction <small>for ", "<small>of shop</small>", "<small>of other</small>", "Who holds connections")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := db.PingContext(ctx); err == nil {
		t.Fatal("there was a fifth connection")
	}
	debug.SetLongAgo(t, time.Since(taken)+time.Second)
	html := text("text/html")
	contains(t, html, `<span class="chip wait">1 new</span> <small>since the last look `)
	// In front what was longest at it; the one that was used just now is neither first nor marked.
	ids := regexp.MustCompile(`<tr class="conn( long)?">\n<th scope="row" class="num" data-l="id" title="database shop">(\d+)`).FindAllStringSubmatch(html, -1)
	if len(ids) != 5 {
		t.Fatalf("%d connections: %q", len(ids), ids)
	}
	long := ""
	for _, id := range ids {
		long += map[string]string{"": "-", " long": "L"}[id[1]]
	}
	if long != "LLLL-" {
		t.Errorf("long are %s, want LLLL-", long)
	}
	at := func(s string) int { return strings.Index(html, s) }
	if a, b := at(`class="free">nobody, between the statements`), at(`class="free">nobody, and out of its pool`); a < 0 || b < a {
		t.Errorf("a transaction stands at %d, an idle connection at %d: it must come behind", a, b)
	}
}

// Reports that are alike are one, with their number, times, trace and alternatives.
func TestReportsAreFolded(t *testing.T) {
	const address = "folded-db:3306"
	spans := tracetest.NewSpanRecorder()
	sampled := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	db := open(t, serve(t, "9.7.4"), address, 1, seqguard.WithTracerProvider(sampled))
	c := take(t, db, 0)
	rows, err := c.QueryContext(t.Context(), "SELECT name FROM customers")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for range 1234 {
		if c.PingContext(t.Context()) == nil {
			t.Fatal("an interleaved ping was let through")
		}
	}
	if err := seqguard.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	page := debug.Handler(debug.WithTraceURL("http://jaeger:16686/trace/{trace_id}?uiFind={span_id}"))
	html := ask(t, page, of(address), "text/html").Body.String()
	if n := strings.Count(html, "<article"); n != 1 {
		t.Errorf("%d reports, want 1", n)
	}
	contains(t, html, `<span class="chip wait">1,234 times</span>`, " – ", `href="http://jaeger:16686/trace/`, "?uiFind=", "last connection ")
	// A template that is no address of the web is no link.
	html = ask(t, debug.Handler(debug.WithTraceURL("javascript:alert('{trace_id}')")), of(address), "text/html").Body.String()
	if strings.Contains(html, "javascript:") {
		t.Error("a script is a link")
	}
	// Without a template the id is text.
	html = ask(t, debug.Handler(), of(address), "text/html").Body.String()
	if !regexp.MustCompile(` · trace <span class="code">[0-9a-f]{32}</span>`).MatchString(html) {
		t.Error("the trace id is not there")
	}
}

// What is not excluded is said.
func TestAlternativesAreShown(t *testing.T) {
	const address = "alternatives-db:3306"
	fail(t, address, mysqltest.ExpectCommand(mysqltest.ComPing), mysqltest.Close())
	html := get(t, of(address), "text/html").Body.String()
	contains(t, html, "closed_before_answer</a> in the documentation · not excluded: <a href=")
}

// The page may be one that asks again by itself; nothing but a number is taken for that.
func TestRefreshParameter(t *testing.T) {
	db := open(t, serve(t, "9.7.4"), "kept-db:3306", 1)
	h := debug.Handler(debug.WithDB("kept", db))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?server=kept-db:3306&refresh=5", nil))
	contains(t, w.Body.String(), `<meta http-equiv="refresh" content="5">`, `refresh <a href="?server=kept-db%3A3306">off</a>`, "<strong>5 s</strong>")
	for _, bad := range []string{"0", "-1", "x", "5;url=http://evil"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?refresh="+strings.ReplaceAll(bad, ";", "%3B"), nil))
		if strings.Contains(w.Body.String(), "http-equiv") {
			t.Errorf("refresh=%s is taken", bad)
		}
	}
}

// Rows that were dropped are shown before everything else.
func TestLostRowsAreShown(t *testing.T) {
	const address = "lost-db:3306"
	db := open(t, serve(t, "9.7.4"), address, 2)
	take(t, db, 1)
	forgetful(t, db, address)
	runtime.GC()
	html := get(t, of(address), "text/html").Body.String()
	contains(t, html, ">rows never closed</span>", "<td data-l=\"at\">rows never closed ", "rows_never_closed", "Rows were dropped without a Close", "nothing has failed")
	if n := wrapconn.LookAt(wrapconn.OverviewOptions{Server: address, Limit: 1}).Connections; len(n) != 1 || !n[0].RowsLost {
		t.Errorf("%+v", n)
	}
}
