package oncall

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seqguard/mysql-seqguard/debug"
	"github.com/seqguard/mysql-seqguard/example/internal/jaegertest"
	_ "github.com/seqguard/mysql-seqguard/internal/golden" // for its flag, -update

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

func TestMain(m *testing.M) { mysqltest.Main(m) }

const page = "../../docs/what-you-see.md"

// TestWhatYouSee provokes twenty failures and holds what there is to see of them
// to docs/what-you-see.md, but for what differs from run to run.
//
//	go test ./oncall -run TestWhatYouSee -update
//
// writes the page anew; read the difference as somebody on call, before it is committed.
func TestWhatYouSee(t *testing.T) {
	jaeger := mysqltest.Jaeger(t)
	servers := map[bool]*mysqltest.Instance{
		false: mysqltest.Start(t, "mysql9", "--max-allowed-packet=1M"),
		true:  mysqltest.Start(t, "mariadb1011"),
	}
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpoint(jaeger.OTLPHTTP), otlptracehttp.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("shop"))))
	var all []*seen
	for i := range failures {
		f := &failures[i]
		t.Run(f.title, func(t *testing.T) {
			all = append(all, f.provoke(t, i+1, servers[f.maria], provider))
		})
	}
	if err := provider.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		return
	}
	if len(all) != 20 {
		t.Errorf("%d failures, want 20", len(all))
	}
	var b bytes.Buffer
	longest := 0
	for _, s := range all {
		longest = max(longest, utf8.RuneCountInString(s.line()))
	}
	fmt.Fprintf(&b, intro, len(all), longest)
	for i, s := range all {
		fmt.Fprintf(&b, "- [%d. %s](#%d): `%s`\n", i+1, s.title, i+1, s.slug)
	}
	for i, s := range all {
		s.write(t, &b, i+1, jaegertest.Trace(t, jaeger, s.trace.String()))
	}
	hold(t, b.Bytes())
}

const intro = `# What you see

%d failures, provoked on real servers. Each is shown as you meet it: the text of the error, the record in the log, the span in Jaeger, and the report on the
live page. ` + "`go test ./oncall -run TestWhatYouSee -update`" + ` in ` + "`example/`" + ` writes this page, and the test holds it to what it gets again; numbers that differ from
run to run are not compared.

If you are on call and have thirty seconds, read the line of the error: it says what happened, where, whether it was executed, and what to do now. The longest
of those below has %d characters. Attributes and events are in the order in which Jaeger shows them.

`

// provoke runs the failure under a request's span and collects.
func (f *failure) provoke(t *testing.T, n int, server *mysqltest.Instance, provider *sdktrace.TracerProvider) *seen {
	s := &stage{T: t, server: server, host: fmt.Sprintf("db%02d:3306", n), provider: provider}
	root, err := sql.Open("mysql", server.RootDSN(""))
	s.must(err)
	t.Cleanup(func() { _ = root.Close() })
	root.SetMaxOpenConns(1)
	s.must(root.Ping())
	s.root = root
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	ctx, span := provider.Tracer("oncall").Start(ctx, "request")
	s.ctx = ctx
	out := &seen{failure: f, server: server.Version, trace: span.SpanContext().TraceID()}
	out.err = f.run(s)
	span.End()
	if out.err == nil {
		t.Fatal("no error")
	}
	s.must(seqguard.Flush(context.Background()))
	for _, r := range s.reports.All() {
		if r.Cause.Slug == f.slug && out.report == nil {
			out.report = r
		} else if r.Cause.Slug != f.slug {
			t.Errorf("%s", r)
		}
	}
	if out.report == nil {
		t.Fatalf("no report of %s: %v", f.slug, out.err)
	}
	out.check(t)
	out.host, _, _ = strings.Cut(s.host, ":")
	out.log, _, _ = strings.Cut(s.log.b.String(), "\n")
	out.page = row(t, s.host)
	return out
}

// line is the error's text: of an abandoned operation, whose error is the
// driver's own, the report's.
func (s *seen) line() string { return s.err.Error() }

// check holds the line to what somebody on call wants of it.
func (s *seen) check(t *testing.T) {
	t.Helper()
	for _, l := range []string{s.line(), s.report.Summary()} {
		if n := utf8.RuneCountInString(l); n > wrapconn.MaxErrorLine {
			t.Errorf("%d characters: %s", n, l)
		}
	}
	l := s.report.Summary()
	for what, want := range map[string]string{
		"what happened": s.report.Cause.Title, "where": "oncall/", "which server": s.report.Server,
		"whether it was executed": "xecuted", "what now": s.report.Cause.Do, "the name of the cause": "[" + string(s.slug) + "]",
	} {
		if !strings.Contains(l, want) {
			t.Errorf("it does not say %s (%q): %s", what, want, l)
		}
	}
	if s.report.Connection != 0 && !strings.Contains(l, fmt.Sprintf("connection %d", s.report.Connection)) {
		t.Errorf("it does not say which connection: %s", l)
	}
}

// row is what the live page has of the newest report about the server.
func row(t *testing.T, host string) string {
	t.Helper()
	w := httptest.NewRecorder()
	debug.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/?format=json&server="+url.QueryEscape(host), nil))
	type operation struct {
		Operation, File string
		Line            int
	}
	type report struct {
		Cause, Severity, Title, Executed string
		Connection                       int
		Owner, Intruder                  *operation
	}
	var v struct{ Reports, Abandoned []report }
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if len(v.Reports) == 0 {
		t.Fatalf("the live page has no report: %s", w.Body)
	}
	r := v.Reports[0]
	out := fmt.Sprintf("%s · %s · %s · connection %d · executed: %s", r.Severity, r.Cause, r.Title, r.Connection, r.Executed)
	for _, o := range []*operation{r.Intruder, r.Owner} {
		if o != nil && o.File != "" {
			out += fmt.Sprintf(" · %s at %s:%d", o.Operation, o.File[strings.LastIndex(o.File, "/")+1:], o.Line)
		}
	}
	return out
}

// write is the section of the page.
func (s *seen) write(t *testing.T, b *bytes.Buffer, n int, spans []jaegertest.Span) {
	i := slices.IndexFunc(spans, func(x jaegertest.Span) bool { // not that of a failure which was provoked again
		return x.Name == "seqguard.violation "+string(s.slug) && jaegertest.Get(x.Attributes, "server.address") == s.host
	})
	if i < 0 {
		t.Errorf("%s: Jaeger has no such span", s.title)
		return
	}
	span := &spans[i]
	fmt.Fprintf(b, "\n<a id=\"%d\"></a>\n\n## %d. %s\n\n%s Server: %s.\n\nError:\n\n```\n%s\n```\n", n, n, s.title, s.how, product(s.server), clean(s.line()))
	if s.line() != s.report.Summary() && !strings.HasPrefix(s.line(), "seqguard: ") {
		fmt.Fprintf(b, "\nThe error is the driver's own. The report says:\n\n```\n%s\n```\n", clean(s.report.Summary()))
	}
	fmt.Fprintf(b, "\nLive page:\n\n```\n%s\n```\n\nJaeger, the events of the span `%s`:\n\n```\n", clean(s.page), span.Name)
	slices.SortStableFunc(span.Events, func(a, b jaegertest.Event) int { return a.Time.Compare(b.Time.Time) })
	for _, e := range lastOf(span.Events, 8) {
		fmt.Fprintf(b, "%s\n", jaegertest.Get(e.Attributes, "about.seqguard"))
	}
	fmt.Fprintf(b, "```\n\n<details><summary>The span's attributes</summary>\n\n```\n")
	slices.SortFunc(span.Attributes, func(a, b jaegertest.Attribute) int { return strings.Compare(a.Key, b.Key) })
	for _, a := range span.Attributes {
		text := clean(fmt.Sprint(a.Value.Any))
		if strings.HasSuffix(a.Key, ".stack") {
			text, _, _ = strings.Cut(text, "\n")
			text += " …"
		}
		fmt.Fprintf(b, "%-36s %s\n", a.Key, text)
	}
	fmt.Fprintf(b, "```\n\n</details>\n\n<details><summary>The record in the log (slog, as text)</summary>\n\n```\n%s\n```\n\n</details>\n", clean(s.log))
}

func lastOf[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

// clean takes the folders of the machine out of a text.
func clean(s string) string {
	s = regexp.MustCompile(`[^\s"'(]*/(oncall/[a-z_]+_test\.go)`).ReplaceAllString(s, "$1")
	return regexp.MustCompile(`[^\s"'(]*/src/((testing|database|runtime|net)/)`).ReplaceAllString(s, "$1")
}

// hold compares the page with what was written: the same but for numbers.
func hold(t *testing.T, got []byte) {
	t.Helper()
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(page, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	g, w := steady(string(got)), steady(string(want))
	for i := 0; i < max(len(g), len(w)); i++ {
		a, b := at(g, i), at(w, i)
		if a != b {
			t.Errorf("the page says   %s\nand this run was %s\n(go test ./oncall -run TestWhatYouSee -update writes it anew)", b, a)
			return
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "(nothing)"
}

var (
	// What the kernel and the clock say differs with the machine, and with it sentences and advice about what held the process up.
	varying = regexp.MustCompile(`^seqguard\.(tcp|stall)\.|^seqguard\.(timing\.longest_read_gap_ms|timing\.answer_after_ms|timing\.own_pause_ms|unsent_bytes|related_failures|history\.forgotten|advice|explanation|connection\.idle_ms|alternatives) |^level=`)
	stalled = regexp.MustCompile(`(executed\. )[^\[]*( \[login_stalled_locally\])`)
	period  = regexp.MustCompile(`(less than )?\d[\d.]* ?(µs|ms|s|min|h)\b`)
	numbers = regexp.MustCompile(`(ERR \d+|Error \d+|sequence id \d+, \d+ was due|\d+ was due|^[◀▶] \d+ )|\d[\d.…]*( × \d+)?`)
)

// steady are the lines of the page without what differs from run to run.
func steady(s string) (out []string) {
	for _, l := range strings.Split(s, "\n") {
		if varying.MatchString(l) {
			continue
		}
		l = stalled.ReplaceAllString(l, "$1…$2")
		l = period.ReplaceAllString(l, "…")
		l = numbers.ReplaceAllStringFunc(l, func(m string) string {
			if strings.HasPrefix(m, "E") || strings.HasPrefix(m, "s") || strings.HasSuffix(m, "due") || strings.HasPrefix(m, "◀") || strings.HasPrefix(m, "▶") {
				return m
			}
			return "#"
		})
		if n := len(out); n > 0 && out[n-1] == l && l != "" {
			continue // runs of rows, as the bytes happened to come
		}
		out = append(out, l)
	}
	return out
}

// product puts the name before a version that does not have it.
func product(version string) string {
	if strings.Contains(version, "MariaDB") {
		return version
	}
	return "MySQL " + version
}
