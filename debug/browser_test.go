package debug_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/debug"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// chromium finds the browser. Without one the test is skipped, loudly; with
// SEQGUARD_REQUIRE_BROWSER=1 it fails.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	const how = "the page was not looked at in a browser: there is no chromium on this machine. Get it with: apt-get install chromium"
	if os.Getenv("SEQGUARD_REQUIRE_BROWSER") == "1" {
		t.Fatalf("SEQGUARD_REQUIRE_BROWSER=1, and %s", how)
	}
	t.Skip(how)
	return ""
}

// flags are those that every start of the browser has.
func flags(profile string) []string {
	return []string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + profile}
}

// browse loads an address, with a screenshot to file, and returns what the page
// wrote to the console, errors and breaches of the policy included.
func browse(t *testing.T, address, file string, dark bool, width, height int) (console []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	scheme := 1
	if dark {
		scheme = 0
	}
	cmd := exec.CommandContext(ctx, chromium(t), append(flags(t.TempDir()), "--enable-logging=stderr", "--virtual-time-budget=2000",
		fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme), fmt.Sprintf("--window-size=%d,%d", width, height),
		"--screenshot="+file, address)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, out)
	}
	if info, err := os.Stat(file); err != nil || info.Size() < 10_000 {
		t.Fatalf("no screenshot: %v\n%s", err, out)
	}
	for l := range strings.Lines(string(out)) {
		if strings.Contains(l, "CONSOLE") {
			console = append(console, strings.TrimSpace(l))
		}
	}
	return console
}

// probe is a script for the copy of the page below: it says on the console how
// wide the page is, with all timelines open.
const probe = `<script>
document.querySelectorAll("details").forEach(d => d.open = true);
console.log("page " + document.documentElement.scrollWidth + " of " + innerWidth + (matchMedia("(prefers-color-scheme: dark)").matches ? " dark" : " light"));
</script></body>`

// The page in a real browser, light and dark, narrow and wide, while 200
// connections run load. Look at the pictures with go test -artifacts.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("the page was not looked at in a browser, which takes minutes on a busy machine: go test without -short does")
	}
	chromium(t)
	debug.SetLongAgo(t, time.Second)
	page := debug.Handler(debug.WithDB("shop", shop(t)), debug.WithTraceURL("http://jaeger:16686/trace/{trace_id}?uiFind={span_id}"))
	mux := http.NewServeMux()
	mux.Handle("/debug/seqguard/", page)
	// The same without the policy, which would not let the probe run.
	mux.HandleFunc("/probe", func(w http.ResponseWriter, r *http.Request) {
		body := ask(t, page, "/debug/seqguard/?"+r.URL.RawQuery, "").Body.String()
		_, _ = w.Write([]byte(strings.Replace(body, "</body>", probe, 1)))
	})
	site := httptest.NewServer(mux)
	defer site.Close()
	_, stop := load(t, open(t, serve(t, "8.4.7"), "orders-db.internal:3306", loadConns), loadConns, 200*time.Millisecond)
	defer stop()

	width := regexp.MustCompile(`page (\d+) of (\d+) (light|dark)`)
	for _, c := range []struct {
		name          string
		dark          bool
		width, height int
	}{
		{"wide-light", false, 1440, 1800}, {"wide-dark", true, 1440, 1800},
		{"narrow-light", false, 400, 2400}, {"narrow-dark", true, 400, 2400},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.ArtifactDir()
			for _, l := range browse(t, site.URL+"/debug/seqguard/", filepath.Join(dir, c.name+".png"), c.dark, c.width, c.height) {
				t.Errorf("the console has: %s", l)
			}
			// This shows as well that the console is heard.
			seen := browse(t, site.URL+"/probe?server=shop-db.internal:3306", filepath.Join(dir, c.name+"-open.png"), c.dark, c.width, c.height+1400)
			m := width.FindStringSubmatch(strings.Join(seen, "\n"))
			switch {
			case m == nil || len(seen) != 1:
				t.Errorf("the probe said: %q", seen)
			case m[1] != m[2]:
				t.Errorf("the page is %s wide in a window of %s", m[1], m[2])
			case (m[3] == "dark") != c.dark:
				t.Errorf("the colours are %s", m[3])
			}
		})
	}
}

// shop makes connections of all sorts to one server, and reports of each
// severity.
func shop(t *testing.T) *sql.DB {
	const address = "shop-db.internal:3306"
	ctx := t.Context()
	s := serve(t, "8.4.7")
	db := open(t, s, address, 8, seqguard.WithTracerProvider(sdktrace.NewTracerProvider()))

	// Free ones, one with rows open, one in a transaction, one that waits.
	reader, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := reader.QueryContext(ctx, "SELECT name FROM customers")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rows.Close() })
	for range 2 {
		c, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := query(c); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	sleeper, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = db.ExecContext(sleeper, "SELECT SLEEP(3600)")
	}()
	t.Cleanup(func() { cancel(); <-done })

	// misuse: pings while rows are open
	for range 3 {
		if err := reader.PingContext(ctx); err == nil {
			t.Error("an interleaved ping was let through")
		}
	}
	forgetful(t, db, address)
	// Whoever comes has to wait.
	for db.Stats().InUse < 8 {
		c, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := query(c); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	short, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	if err := db.PingContext(short); err == nil {
		t.Error("there was a ninth connection")
	}
	// data_integrity: an answer that nobody asked for, behind the one to a ping
	ok := mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0)
	fail(t, address, mysqltest.ExpectCommand(mysqltest.ComPing), mysqltest.SendRaw(append(mysqltest.Packet(1, ok), mysqltest.Packet(1, ok)...)))
	// error: a packet with a wrong number
	fail(t, address, mysqltest.ExpectCommand(mysqltest.ComPing), mysqltest.SendERR(3, 1105, "HY000", "Unknown error"))
	// notice: the server says goodbye to an idle connection
	farewell, happen := mysqltest.Later(mysqltest.SendERR(0, 4031, "HY000", "The client was disconnected by the server because of inactivity."))
	idle := open(t, mysqltest.ServeConns(t,
		[]mysqltest.Step{login("8.4.7"), mysqltest.ExpectCommand(mysqltest.ComPing), mysqltest.SendOK(mysqltest.Next), farewell},
		[]mysqltest.Step{login("8.4.7"), mysqltest.ServeForever(answer)}), address, 1)
	if err := idle.PingContext(ctx); err != nil {
		t.Error(err)
	}
	happen()
	_ = idle.PingContext(ctx)
	giveUp(t, s, address)
	time.Sleep(time.Second) // what is open by now stands out
	if err := seqguard.Flush(ctx); err != nil {
		t.Error(err)
	}
	return db
}

// forgetful drops rows without a Close.
func forgetful(t *testing.T, db *sql.DB, address string) {
	t.Helper()
	before := wrapconn.Stats().Notices // the collector may find them at once
	if _, err := db.Query("SELECT name FROM customers"); err != nil {
		t.Fatal(err)
	}
	kit.Eventually(t, func() bool {
		runtime.GC()
		return wrapconn.Stats().Notices != before && slices.ContainsFunc(wrapconn.LookAt(wrapconn.OverviewOptions{Server: address}).Holders, func(g wrapconn.HolderGroup) bool { return g.RowsLost })
	}, "the rows are not found")
}

// The browser asks again by itself, without a script.
func TestRefresh(t *testing.T) {
	chromium(t)
	var asked atomic.Int64
	page := debug.Handler()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("refresh") == "1" {
			asked.Add(1)
		}
		page.ServeHTTP(w, r)
	}))
	defer site.Close()
	profile, err := os.MkdirTemp("", "seqguard-browser")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(chromium(t), append(flags(profile), "--remote-debugging-port=0", site.URL+"/?refresh=1")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		// Its children write for a moment longer.
		kit.Eventually(t, func() bool { return os.RemoveAll(profile) == nil }, "%s cannot be removed", profile)
	}()
	kit.Within(t, time.Minute, func() bool { return asked.Load() >= 3 }, "the page was not asked for three times")
}

// fail pings a server whose answer is wrong.
func fail(t *testing.T, address string, steps ...mysqltest.Step) {
	t.Helper()
	db := open(t, mysqltest.ServeConns(t, append([]mysqltest.Step{login("8.4.7")}, steps...)), address, 1)
	_ = db.PingContext(t.Context())
}
