package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/example/internal/jaegertest"
	"github.com/seqguard/mysql-seqguard/example/internal/telemetry"
	"github.com/seqguard/mysql-seqguard/internal/golden"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) { kit.Main(m) }

// TestSpansInJaeger sends each scenario's trace to a real Jaeger, the way the
// demo does, and holds what its API gives back to testdata/spans. What differs
// from run to run has a placeholder there: <ms>, <port>, <line>, …
//
//	go test -run TestSpansInJaeger -update .
//
// writes them anew; read the difference before it is committed.
func TestSpansInJaeger(t *testing.T) {
	jaeger := mysqltest.Jaeger(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+jaeger.OTLPHTTP)
	stop, err := telemetry.Start(t.Context(), "mysql-seqguard-example", nil)
	if err != nil {
		t.Fatal(err)
	}
	server, closeServer, err := newTarget(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer closeServer()
	chosen, err := choose("")
	if err != nil {
		t.Fatal(err)
	}
	var results []comparison
	for _, c := range compareAll(t.Context(), server, chosen) {
		results = append(results, <-c)
	}
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range results {
		t.Run(c.scenario.name, func(t *testing.T) {
			if c.err != nil || c.skipped != "" {
				t.Fatalf("not run: %v %s", c.err, c.skipped)
			}
			got := story(t, jaegertest.Trace(t, jaeger, c.trace), "demo "+c.scenario.name)
			golden.Compare(t, filepath.Join("testdata", "spans", c.scenario.name+".txt"), got)
		})
	}
	files, err := filepath.Glob("testdata/spans/*.txt")
	if err != nil || len(files) != len(chosen) {
		t.Errorf("%d golden files for %d scenarios, %v", len(files), len(chosen), err)
	}
}

// story prints a trace without what differs from run to run: all of its spans,
// and the violations in full, which have to be children of the request's.
func story(t *testing.T, spans []jaegertest.Span, request string) []byte {
	t.Helper()
	slices.SortFunc(spans, func(a, b jaegertest.Span) int { return a.Start.Compare(b.Start.Time) })
	byID := map[string]*jaegertest.Span{}
	for i := range spans {
		byID[spans[i].SpanID] = &spans[i]
	}
	name := func(id string) string {
		if s := byID[id]; s != nil {
			return s.Name
		}
		return "(not in the trace)"
	}
	var b bytes.Buffer
	violations := 0
	for _, s := range spans {
		if s.ParentSpanID == "" {
			fmt.Fprintf(&b, "%s: %s, %s\n", s.Name, s.Kind, status(&s))
		} else {
			fmt.Fprintf(&b, "    %s, under %s: %s, %s\n", s.Name, name(s.ParentSpanID), s.Kind, s.Status.Code)
		}
	}
	for _, s := range spans {
		if !strings.HasPrefix(s.Name, "seqguard.violation ") {
			continue
		}
		violations++
		if p := byID[s.ParentSpanID]; p == nil || p.Name != request {
			t.Errorf("the violation is under %q, want %q", name(s.ParentSpanID), request)
		} else if s.Start.Before(p.Start.Time) || s.End.After(p.End.Time) {
			t.Errorf("the violation, %v to %v, is not within the request, %v to %v", s.Start, s.End, p.Start, p.End)
		}
		if !s.Start.Before(s.End.Time) {
			t.Error("the violation has no duration")
		}
		if s.DroppedAttributesCount+s.DroppedEventsCount+s.DroppedLinksCount > 0 {
			t.Errorf("dropped: %d attributes, %d events, %d links", s.DroppedAttributesCount, s.DroppedEventsCount, s.DroppedLinksCount)
		}
		fmt.Fprintf(&b, "\n%s: %s, %s\n", s.Name, s.Kind, status(&s))
		for _, a := range s.Attributes {
			if slices.ContainsFunc(dependent, func(prefix string) bool { return strings.HasPrefix(a.Key, prefix) }) {
				continue
			}
			text := strings.ReplaceAll(steady(a.Key, a.Value.Any), "\n", "\n"+strings.Repeat(" ", 47))
			fmt.Fprintf(&b, "    %-34s %-7s %s\n", a.Key, typeName(a.Value.Any), text)
		}
		fmt.Fprintf(&b, "%d links\n", len(s.Links))
		for _, l := range s.Links {
			fmt.Fprintf(&b, "    to %s:%s\n", name(l.SpanID), inLine(l.Attributes))
		}
		older := jaegertest.Get(s.Attributes, "seqguard.history.forgotten")
		if older == nil {
			older = "none"
		}
		fmt.Fprintf(&b, "%d events, older and forgotten: %v\n", len(s.Events), older)
		// Jaeger's API gives them back in an order of its own; its pages sort them.
		slices.SortStableFunc(s.Events, func(a, b jaegertest.Event) int { return a.Time.Compare(b.Time.Time) })
		for _, e := range s.Events {
			if e.Time.After(s.End.Time) {
				t.Errorf("%s lies behind the span's end", inLine(e.Attributes))
			}
			fmt.Fprintf(&b, "    %s:%s\n", e.Name, inLine(e.Attributes))
		}
	}
	if violations == 0 {
		fmt.Fprintln(&b, "\nno seqguard.violation")
	}
	return b.Bytes()
}

// loginBytes is how long a login is: it holds the process's number, as text.
var loginBytes = regexp.MustCompile(`\d+ bytes`)

// dependent are there or not, or differ, as the bytes happen to come and as the machine is busy.
var dependent = []string{"seqguard.timing.longest_read_gap_ms", "seqguard.timing.dial_ms", "seqguard.timing.greeting_unread_ms", "seqguard.timing.login_write_ms",
	"seqguard.tcp.", "seqguard.stall."}

// held is the sentence about what held this process up, and advice about that: a busy machine is the kernel's word against the demo's.
var held = regexp.MustCompile(` (Its container was throttled|It was ready to run|The garbage collector had|It did not run for|The process ran|The process could run).*`)

func status(s *jaegertest.Span) string {
	s.Status.Message = held.ReplaceAllString(s.Status.Message, "")
	if s.Status.Message == "" {
		return s.Status.Code.String()
	}
	return s.Status.Code.String() + ": " + steady("seqguard.explanation", s.Status.Message)
}

// inLine prints the attributes of an event or a link, keys of our own without
// their prefix. The login's length is that of the process's number, too.
func inLine(list []jaegertest.Attribute) string {
	var b strings.Builder
	for _, a := range list {
		key := strings.TrimPrefix(a.Key, "seqguard.")
		switch text, ok := a.Value.Any.(string); {
		case ok && jaegertest.Get(list, "seqguard.packet.kind") == "login":
			fmt.Fprintf(&b, " %s=%q", key, loginBytes.ReplaceAllString(text, "<bytes>"))
		case ok:
			fmt.Fprintf(&b, " %s=%q", key, text)
		case key == "packet.length" && jaegertest.Get(list, "seqguard.packet.kind") == "login":
			fmt.Fprintf(&b, " %s=<bytes>", key)
		default:
			fmt.Fprintf(&b, " %s=%v", key, a.Value.Any)
		}
	}
	return b.String()
}

func typeName(v any) string {
	switch v.(type) {
	case int64:
		return "int"
	case float64:
		return "double"
	case []any:
		return "array"
	}
	return fmt.Sprintf("%T", v)
}

var (
	folder   = regexp.MustCompile(`\S*/(example/|src/)`) // the module's, the standard library's
	lineNo   = regexp.MustCompile(`\.go:\d+`)
	closure  = regexp.MustCompile(`\.func\d+(\.\d+)*`)
	duration = regexp.MustCompile(`(less than )?\d[\d.]* (ms|s)\b`)
	dialed   = regexp.MustCompile(` The dial had taken <time>\.`)                             // said if it was long
	another  = regexp.MustCompile(`, and kept the server waiting for <time> at another step`) // said if it was longer, and above 1 ms
)

// where is the server and the connection in a line for people.
var where = regexp.MustCompile(`127\.0\.0\.1:\d+( connection \d+)?`)

// What to do about what held this process up differs with the kernel's word on it.
var heldDo = regexp.MustCompile(`(Not executed\. )[^\[]*( \[login_stalled_locally\])`)

var cutAge = regexp.MustCompile(`, <time>[^)]*\)`)

// steady is the value without what differs from run to run.
func steady(key string, v any) string {
	switch {
	case strings.HasSuffix(key, "_ms"):
		return "<ms>"
	case strings.HasSuffix(key, ".port"):
		return "<port>"
	case strings.HasSuffix(key, ".goroutine") && key != "seqguard.owner.goroutine":
		return "<goroutine>"
	case key == "seqguard.connection.id":
		return "<id>"
	case key == "code.line.number":
		return "<line>"
	}
	s := fmt.Sprint(v)
	s = folder.ReplaceAllString(s, "$1")
	s = lineNo.ReplaceAllString(s, ".go:<line>")
	s = closure.ReplaceAllString(s, ".func<n>")
	if key == "about.seqguard" {
		s = duration.ReplaceAllString(where.ReplaceAllString(s, "<server> connection <id>"), "<time>")
		s = heldDo.ReplaceAllString(s, "$1<what to do>$2")
		s = cutAge.ReplaceAllString(s, ", <time> ago)") // the line is cut where it is too long
	}
	if key == "seqguard.advice" {
		s, _, _ = strings.Cut(s, ". ") // the rest, or all of it, fits what held a process up
		if strings.Contains(s, "CPU") || strings.Contains(s, "between two steps") || strings.Contains(s, "stopped it") || strings.Contains(s, "waits in the program itself") {
			s = "<what to do about what held this process up>"
		}
	}
	if key == "seqguard.explanation" {
		s = held.ReplaceAllString(s, "")
		s = dialed.ReplaceAllString(another.ReplaceAllString(duration.ReplaceAllString(s, "<time>"), ""), "")
	}
	return s
}
