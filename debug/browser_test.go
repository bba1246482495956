package debug_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/debug"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
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
	cmd := exec.CommandContext(ctx, chromium(t), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+t.TempDir(), "--enable-logging=stderr", "--virtual-time-budget=2000",
		fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme), fmt.Sprintf("--window-size=%d,%d", width, height),
		"--screenshot="+file, address)
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
	chromium(t)
	shop(t)
	mux := http.NewServeMux()
	mux.Handle("/debug/seqguard/", debug.Handler())
	// The same without the policy, which would not let the probe run.
	mux.HandleFunc("/probe", func(w http.ResponseWriter, r *http.Request) {
		page := get(t, "/debug/seqguard/?"+r.URL.RawQuery, "").Body.String()
		_, _ = w.Write([]byte(strings.Replace(page, "</body>", probe, 1)))
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
		{"narrow-light", false, 390, 2400}, {"narrow-dark", true, 390, 2400},
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
func shop(t *testing.T) {
	const address = "shop-db.internal:3306"
	ctx := t.Context()
	s := serve(t, "8.4.7")
	db := open(t, s, address, 8)

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

	// misuse: a ping while rows are open
	if err := reader.PingContext(ctx); err == nil {
		t.Error("an interleaved ping was let through")
	}
	// data_integrity: an answer that nobody asked for, behind the one to a ping
	ok := mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0)
	fail(t, address, mysqltest.ExpectCommand(mysqltest.ComPing), mysqltest.SendRaw(append(mysqltest.Packet(1, ok), mysqltest.Packet(1, ok)...)))
	// error: a packet with a wrong number
	fail(t, address, mysqltest.ExpectCommand(mysqltest.ComPing), mysqltest.SendERR(3, 1105, "HY000", "Unknown error"))
	// notice: the server says goodbye to an idle connection
	gone := make(chan struct{})
	idle := open(t, mysqltest.ServeConns(t,
		[]mysqltest.Step{login("8.4.7"), mysqltest.ExpectCommand(mysqltest.ComPing), mysqltest.SendOK(mysqltest.Next),
			mysqltest.SendERR(0, 4031, "HY000", "The client was disconnected by the server because of inactivity."), mysqltest.Signal(gone)},
		[]mysqltest.Step{login("8.4.7"), mysqltest.ServeForever(answer)}), address, 1)
	if err := idle.PingContext(ctx); err != nil {
		t.Error(err)
	}
	<-gone
	time.Sleep(50 * time.Millisecond)
	_ = idle.PingContext(ctx)
}

// fail pings a server whose answer is wrong.
func fail(t *testing.T, address string, steps ...mysqltest.Step) {
	t.Helper()
	db := open(t, mysqltest.ServeConns(t, append([]mysqltest.Step{login("8.4.7")}, steps...)), address, 1)
	_ = db.PingContext(t.Context())
}
