package trace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// record returns the attributes of the one log record.
func (k *kit) record(t *testing.T) (out []attribute.KeyValue) {
	t.Helper()
	if len(k.logs.records) != 1 {
		t.Fatalf("%d log records, want 1", len(k.logs.records))
	}
	k.logs.records[0].WalkAttributes(func(a attribute.KeyValue) bool {
		out = append(out, a)
		return true
	})
	return out
}

func TestLogRecord(t *testing.T) {
	k := newKit()
	request, parent := k.tracer.Start(context.Background(), "request")
	r := stalled(request)
	k.rec.Report(r.Context, r)
	s, kv := k.violation(t), k.record(t)
	rec := k.logs.records[0]
	if rec.EventName() != trace.EventName || rec.Body().AsString() != r.Summary() || !rec.Timestamp().Equal(r.Time) {
		t.Errorf("record %q at %v: %s", rec.EventName(), rec.Timestamp(), rec.Body().AsString())
	}
	if rec.SpanID() != s.SpanContext().SpanID() || rec.TraceID() != parent.SpanContext().TraceID() {
		t.Error("the record is not in the trace of the violation's span")
	}
	if scope := rec.InstrumentationScope(); scope.Name != trace.ScopeName || scope.Version != trace.Version || scope.SchemaURL != semconv.SchemaURL {
		t.Errorf("scope %+v", scope)
	}
	for _, a := range s.Attributes() {
		if v, ok := get(kv, a.Key); !ok || v.String() != a.Value.String() {
			t.Errorf("%s is %q in the record, %q in the span", a.Key, v.String(), a.Value.String())
		}
	}
	lines, _ := get(kv, trace.KeyHistoryPackets)
	want := []string{
		"+0.001000s ◀ 0 greeting, 75 bytes",
		"+3.000000s ▶ 1 login, 191 bytes",
		"+3.001000s ◀ 1 ERR 1159, 50 bytes: misnumbered ERR, 2 was due",
	}
	if got := lines.AsStringSlice(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("packets\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(kv) != len(s.Attributes())+1 {
		t.Errorf("%d attributes, the span has %d", len(kv), len(s.Attributes()))
	}
}

func TestLogSeverity(t *testing.T) {
	for s, want := range map[cause.Severity]struct {
		log  log.Severity
		text string
	}{
		cause.Notice:        {log.SeverityInfo, "INFO"},
		cause.Error:         {log.SeverityWarn, "WARN"},
		cause.Misuse:        {log.SeverityError, "ERROR"},
		cause.DataIntegrity: {log.SeverityError, "ERROR"},
	} {
		k := newKit()
		r := stalled(context.Background())
		r.Cause.Severity = s
		k.rec.Report(r.Context, r)
		rec := k.logs.records[0]
		if rec.Severity() != want.log || rec.SeverityText() != want.text || !strings.Contains(k.text.String(), `"level":"`+want.text+`"`) {
			t.Errorf("%s is %v %q; slog %s", s, rec.Severity(), rec.SeverityText(), k.text)
		}
	}
}

func TestSlog(t *testing.T) {
	k := newKit(attribute.String("deployment.environment.name", "test"))
	r := stalled(context.Background())
	k.rec.Report(r.Context, r)
	var line map[string]any
	if err := json.Unmarshal(k.text.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	own, _ := line["seqguard"].(map[string]any)
	sc := k.violation(t).SpanContext()
	for name, tt := range map[string]struct{ got, want any }{
		"msg":                         {line["msg"], r.Summary()},
		"trace_id":                    {line["trace_id"], sc.TraceID().String()},
		"span_id":                     {line["span_id"], sc.SpanID().String()},
		"error.type":                  {line["error.type"], "login_stalled_locally"},
		"deployment.environment.name": {line["deployment.environment.name"], "test"},
		"cause":                       {own["cause"], "login_stalled_locally"},
		"explanation":                 {own["explanation"], r.Cause.Explanation},
		"server":                      {own["server"], r.Server},
		"retry_safe":                  {own["retry_safe"], true},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %v, want %v", name, tt.got, tt.want)
		}
	}
	if n := len(own["packets"].([]any)); n != 3 {
		t.Errorf("%d packets", n)
	}
}

// A record of text is one line.
func TestSlogText(t *testing.T) {
	var b bytes.Buffer
	rec := trace.New(trace.Config{TracerProvider: noop.NewTracerProvider(), Logger: slog.New(slog.NewTextHandler(&b, nil))})
	r := conflict(context.Background(), context.Background())
	rec.Report(r.Context, r)
	for _, want := range []string{" seqguard.cause=result_still_open ", " error.type=result_still_open ", "seqguard.refused=", "seqguard.in_use_by=", "level=ERROR"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "trace_id") || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("no trace was recorded, and it must be one line:\n%s", b.String())
	}
}

func TestSlogLevelIsHonoured(t *testing.T) {
	var b bytes.Buffer
	rec := trace.New(trace.Config{Logger: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	r := idle(context.Background())
	rec.Report(r.Context, r)
	if b.Len() > 0 {
		t.Errorf("a notice is logged at level WARN: %s", b.String())
	}
}
