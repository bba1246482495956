package contrib

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// program returns the path of a program of the cached Prometheus.
func program(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(mysqltest.Program(t, "prometheus", "Prometheus"), name)
}

func TestRules(t *testing.T) {
	promtool := program(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "seqguard.rules.yml"}, {"test", "rules", "seqguard.rules.test.yml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "SUCCESS") {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// board is what the test needs of a dashboard.
type board struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
}

// The queries of the board find what a guarded program exposes.
func TestBoard(t *testing.T) {
	api := scraped(t)
	text, err := os.ReadFile("grafana/seqguard.json")
	if err != nil {
		t.Fatal(err)
	}
	var b board
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Panels) < 13 {
		t.Errorf("%d panels", len(b.Panels))
	}
	for _, p := range b.Panels {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "1m", "$job", "app").Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: a variable is left in %s", p.Title, expr)
			}
			// A rate takes two scrapes.
			if n := wait(func() int { return len(query(t, api, expr)) }); n == 0 {
				t.Errorf("%s: %s finds nothing", p.Title, expr)
			}
		}
	}
	// Twelve ends within a second have one name, or the first few have that of an end alone.
	if r := query(t, api, `seqguard_violations_total{seqguard_severity="error", seqguard_cause=~"closed_before_answer|ended_together"}`); len(r) == 0 {
		t.Error("the violations are not there")
	}
	for _, expr := range []string{
		`db_client_connection_max{db_client_connection_pool_name="app"} == 1`,
		`sum by (db_client_connection_pool_name) (db_client_connection_count{db_client_connection_state=~"used|idle"}) == 1`,
		`db_client_connection_create_time_seconds_count{db_client_connection_pool_name="app"} == 1`,
		`rate(seqguard_pool_wait_duration_seconds_total[10s]) > 0.3`, // somebody waits nearly all the time
		`histogram_quantile(0.99, sum by (le) (rate(db_client_connection_use_time_seconds_bucket[10s]))) > 0.1`,
	} {
		if n := wait(func() int { return len(query(t, api, expr)) }); n == 0 {
			t.Errorf("%s does not hold", expr)
		}
	}
}

// wait calls f until it returns something, for as long as a busy machine may need.
func wait(f func() int) int {
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) { // between two looks
		if n := f(); n > 0 || time.Now().After(end) {
			return n
		}
	}
}

type sample struct{ Metric map[string]string }

func query(t *testing.T, api, expr string) []sample {
	t.Helper()
	resp, err := http.Get(api + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []sample }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %v %s", expr, err, answer.Error)
	}
	return answer.Data.Result
}

// scraped starts a guarded program's metrics, of which a Prometheus has a few
// scrapes, and returns the address of the latter.
func scraped(t *testing.T) string {
	registry := prometheus.NewRegistry()
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	meters := metric.NewMeterProvider(metric.WithReader(exporter))
	metrics := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(metrics.Close)

	// One connection stays open, and each of twelve others is cut off, which is more than are emitted.
	alive, _ := kit.Scripted(t, false, kit.Echo(nil), seqguard.WithMeterProvider(meters), seqguard.WithPoolMetrics("app"))
	alive.SetMaxOpenConns(1)
	stop, err := seqguard.WatchPool(kit.Timeout(t, 10*time.Second), alive)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	// Callers wait for it, again and again.
	go func() {
		for t.Context().Err() == nil {
			c, err := alive.Conn(t.Context())
			if err != nil {
				return
			}
			waiting, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			_ = alive.PingContext(waiting)
			cancel()
			_ = c.PingContext(t.Context())
			_ = c.Close()
		}
	}()
	cut, _ := kit.Scripted(t, false, mysqltest.Steps(mysqltest.ExpectPacket(), mysqltest.Close()), seqguard.WithMeterProvider(meters))
	for range 12 {
		if _, err := cut.Exec("DO 1"); err == nil {
			t.Fatal("no error")
		}
	}
	if err := seqguard.Flush(kit.Timeout(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: app\n    static_configs: [{targets: ['%s']}]\n", strings.TrimPrefix(metrics.URL, "http://"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := "127.0.0.1:" + kit.FreePort(t)
	cmd := exec.Command(program(t, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	api := "http://" + addr
	if wait(func() int {
		resp, err := http.Get(api + "/-/ready")
		if err != nil {
			return 0
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return 1
		}
		return 0
	}) == 0 {
		t.Fatal("Prometheus does not start")
	}
	return api
}
