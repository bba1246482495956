package trace_test

import (
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/trace"
)

// conventions are the keys that are not our own. Each is a constant of semconv,
// so it is one of the conventions' and spelt as they spell it.
var conventions = []attribute.Key{
	semconv.DBSystemNameKey, semconv.DBNamespaceKey, semconv.DBOperationNameKey, semconv.DBResponseStatusCodeKey, semconv.ErrorTypeKey,
	semconv.ServerAddressKey, semconv.ServerPortKey, semconv.NetworkTransportKey,
	semconv.NetworkPeerAddressKey, semconv.NetworkPeerPortKey, semconv.NetworkLocalAddressKey, semconv.NetworkLocalPortKey,
	semconv.ClientAddressKey, semconv.ClientPortKey, semconv.UserNameKey,
	semconv.NetworkIODirectionKey, semconv.CodeFunctionNameKey, semconv.CodeFilePathKey, semconv.CodeLineNumberKey,
}

// emitted are the keys and types of all reports, by the part of the page that
// describes them.
func emitted(t *testing.T) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{"span": {}, "links": {}, "events": {}, "log": {}}
	note := func(part string, kv []attribute.KeyValue) {
		for _, a := range kv {
			typ := map[attribute.Type]string{
				attribute.STRING: "string", attribute.INT64: "int", attribute.FLOAT64: "double",
				attribute.BOOL: "bool", attribute.STRINGSLICE: "string[]",
			}[a.Value.Type()]
			if old := out[part][string(a.Key)]; old != "" && old != typ {
				t.Errorf("%s is a %s and a %s", a.Key, old, typ)
			}
			if a.Value.String() == "" || a.Value.String() == "[]" {
				t.Errorf("%s is empty", a.Key)
			}
			out[part][string(a.Key)] = typ
		}
	}
	storm := stalled(context.Background())
	k := newKit()
	for range 11 {
		k.rec.Report(storm.Context, storm)
	}
	k.clock.advance(1e9)
	ctx, _ := k.tracer.Start(context.Background(), "owner")
	r := conflict(ctx, context.Background())
	k.rec.Report(r.Context, r)
	for _, r := range all(context.Background()) {
		k.rec.Report(r.Context, r)
	}
	for _, s := range k.violations() {
		note("span", s.Attributes())
		for _, e := range s.Events() {
			note("events", e.Attributes)
		}
		for _, l := range s.Links() {
			note("links", l.Attributes)
		}
	}
	for i := range k.logs.records {
		k.logs.records[i].WalkAttributes(func(a attribute.KeyValue) bool {
			if out["span"][string(a.Key)] == "" {
				note("log", []attribute.KeyValue{a})
			}
			return true
		})
	}
	return out
}

// page reads the tables of docs/telemetry.md: their first column by the part
// that they describe, with the second one, and the whole row for the metrics.
func page(t *testing.T) (keys map[string]map[string]string, metrics map[string][]string) {
	t.Helper()
	text, err := os.ReadFile("../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	keys, metrics = map[string]map[string]string{"span": {}, "links": {}, "events": {}, "log": {}}, map[string][]string{}
	part, head := "", ""
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			head = ""
			switch {
			case strings.HasPrefix(line, "### Events"):
				part = "events"
			case strings.Contains(line, "Links"):
				part = "links"
			case strings.Contains(line, "Log record"):
				part = "log"
			default:
				part = "span"
			}
		case strings.HasPrefix(line, "|---"):
		case !strings.HasPrefix(line, "| "):
			head = ""
		case head == "":
			head = line
		default:
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			name := strings.Trim(cells[0], "`")
			switch {
			case strings.HasPrefix(head, "| key | type | when | what | example |"):
				if len(cells) < 2 || keys[part][name] != "" {
					t.Errorf("row %q is too short, or there twice", line)
					continue
				}
				keys[part][name] = cells[1]
			case strings.HasPrefix(head, "| name | kind | unit |"):
				metrics[name] = cells
			}
		}
	}
	return keys, metrics
}

// The page about telemetry and the code must name the same keys, of the same
// types, in the same places.
func TestPageAndCodeAgree(t *testing.T) {
	code := emitted(t)
	doc, _ := page(t)
	for _, part := range slices.Sorted(maps.Keys(code)) {
		for key, typ := range code[part] {
			if doc[part][key] != typ {
				t.Errorf("%s: %s is a %s; docs/telemetry.md says %q", part, key, typ, doc[part][key])
			}
		}
		for key := range doc[part] {
			if code[part][key] == "" {
				t.Errorf("%s: docs/telemetry.md has %s, which no report of these tests has", part, key)
			}
		}
	}
}

// Every key is the conventions' or in our namespace, and every constant is used.
func TestKeys(t *testing.T) {
	used := map[string]bool{}
	for _, part := range emitted(t) {
		for key := range part {
			used[key] = true
		}
	}
	for key := range used {
		if !strings.HasPrefix(key, "seqguard.") && attribute.Key(key) != trace.KeyAbout && !slices.Contains(conventions, attribute.Key(key)) {
			t.Errorf("%s is not one of the conventions' keys and not in our namespace", key)
		}
		for other := range used {
			if strings.HasPrefix(other, key+".") {
				t.Errorf("%s is the namespace of %s", key, other)
			}
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "attributes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if s, _ := strconv.Unquote(l.Value); strings.HasPrefix(s, "seqguard.") {
				constants[s] = true
			}
		}
		return true
	})
	for key := range constants {
		if !used[key] {
			t.Errorf("%s has a constant, but no report of these tests has it", key)
		}
	}
	for key := range used {
		if strings.HasPrefix(key, "seqguard.") && !constants[key] {
			t.Errorf("%s has no constant in attributes.go", key)
		}
	}
}

func TestPageAndMetricsAgree(t *testing.T) {
	k := newKit()
	if err := k.rec.Start(); err != nil {
		t.Fatal(err)
	}
	defer k.rec.Close()
	connect(t, mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{})).DSN(""))
	for range 11 {
		r := stalled(context.Background())
		k.rec.Report(r.Context, r)
	}
	pool := trace.NewPool(k.meters, "shop")
	pool.Created(t.Context(), time.Second)
	pool.Used(t.Context(), time.Second)
	reg, err := pool.Observe(func() (trace.PoolState, bool) { return trace.PoolState{Used: 1, Max: 2}, true })
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Unregister()
	_, doc := page(t)
	code := collect(t, k.reader)
	for name, m := range code {
		row := doc[name]
		if row == nil {
			t.Errorf("docs/telemetry.md does not have the metric %s", name)
			continue
		}
		kind, attributes := kindOf(name, m.Data)
		if name == trace.MetricDropped {
			if _, others := kindOf(name, code[trace.MetricViolations].Data); attributes == others {
				attributes = "the same"
			}
		}
		if got, want := fmt.Sprint(row[1:4]), fmt.Sprint([]string{kind, m.Unit, attributes}); got != want || m.Description == "" {
			t.Errorf("%s: docs/telemetry.md says %s, want %s; description %q", name, got, want, m.Description)
		}
	}
	for name := range doc {
		if _, ok := code[name]; !ok {
			t.Errorf("docs/telemetry.md has the metric %s, the code has not", name)
		}
	}
}

// kindOf is what the page says of an instrument, and the keys of its first point.
func kindOf(name string, data metricdata.Aggregation) (kind, attributes string) {
	var set attribute.Set
	monotonic := false
	switch d := data.(type) {
	case metricdata.Histogram[float64]:
		return "histogram", names(d.DataPoints[0].Attributes)
	case metricdata.Sum[int64]:
		set, monotonic = d.DataPoints[0].Attributes, d.IsMonotonic
	case metricdata.Sum[float64]:
		set, monotonic = d.DataPoints[0].Attributes, d.IsMonotonic
	}
	kind = "observable counter"
	switch {
	case !monotonic:
		kind = "observable up-down counter"
	case name == trace.MetricViolations || name == trace.MetricDropped:
		kind = "counter"
	}
	return kind, names(set)
}

func names(set attribute.Set) string {
	var list []string
	for _, a := range set.ToSlice() {
		list = append(list, "`"+string(a.Key)+"`")
	}
	return cmp.Or(strings.Join(list, ", "), "none")
}
