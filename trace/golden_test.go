package trace_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/seqguard/mysql-seqguard/internal/golden"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Each scenario's span, whole. Every one has a parent; the conflict's owner has
// a span of its own.
func TestGolden(t *testing.T) {
	for name := range all(context.Background()) {
		t.Run(name, func(t *testing.T) {
			k := newKit(attribute.String("deployment.environment.name", "test"))
			request, parent := k.tracer.Start(context.Background(), "request")
			r := all(request)[name]
			spans := map[oteltrace.SpanID]string{parent.SpanContext().SpanID(): "request"}
			if r.Intruder != nil {
				other, span := k.tracer.Start(context.Background(), "other request")
				spans[span.SpanContext().SpanID()] = "other request"
				r = conflict(other, request)
			}
			if string(r.Cause.Slug) != name {
				t.Fatalf("the cause is %s", r.Cause.Slug)
			}
			k.rec.Report(r.Context, r)
			got := normalise(t, k.violation(t), r, spans)
			golden.Compare(t, filepath.Join("testdata", name+".json"), got)
		})
	}
}

// normalise prints all of a span that does not differ from run to run, with
// spans by their names. The texts are the business of package cause: here it
// matters which of them stands where.
func normalise(t *testing.T, s sdktrace.ReadOnlySpan, r *wrapconn.Report, spans map[oteltrace.SpanID]string) []byte {
	t.Helper()
	texts := map[string]string{r.Cause.Title: "(title)", r.Cause.Explanation: "(explanation)", r.Cause.Advice: "(advice)"}
	swap := func(v any) any {
		if s, ok := v.(string); ok && texts[s] != "" {
			return texts[s]
		}
		return v
	}
	kvs := func(in []attribute.KeyValue) map[string]any {
		out := map[string]any{}
		for _, a := range in {
			if _, twice := out[string(a.Key)]; twice {
				t.Errorf("%s is there twice", a.Key)
			}
			out[string(a.Key)] = map[string]any{a.Value.Type().String(): swap(a.Value.AsInterface())}
		}
		return out
	}
	events, links := []any{}, []any{}
	for _, e := range s.Events() {
		events = append(events, map[string]any{"name": e.Name, "at": e.Time.Sub(epoch).String(), "attributes": kvs(e.Attributes)})
	}
	for _, l := range s.Links() {
		links = append(links, map[string]any{"to": spans[l.SpanContext.SpanID()], "attributes": kvs(l.Attributes)})
	}
	out, err := json.MarshalIndent(map[string]any{
		"name": s.Name(), "kind": s.SpanKind().String(), "parent": spans[s.Parent().SpanID()],
		"status": s.Status().Code.String(), "description": swap(s.Status().Description),
		"start": s.StartTime().Sub(epoch).String(), "end": s.EndTime().Sub(epoch).String(),
		"scope":      s.InstrumentationScope().Name + " " + s.InstrumentationScope().Version + " " + s.InstrumentationScope().SchemaURL,
		"attributes": kvs(s.Attributes()), "events": events, "links": links,
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}
