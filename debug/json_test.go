package debug_test

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/debug"
	"github.com/seqguard/mysql-seqguard/internal/version"
)

// The keys of the JSON are an interface: what is here stays.
var schema = struct{ top, process, now, pool, holder, connection, operation, packet, report, abandoned []string }{
	top: []string{
		"time", "process", "totals", "now", "pools", "holders", "servers", "connections_total", "connections_from", "connections_shown",
		"connections", "reports", "abandoned",
	},
	process: []string{"host", "pid", "version", "go"},
	now:     []string{"open", "busy", "free", "running", "rows_open", "idle_in_transaction", "idle", "connecting", "in_transaction"},
	pool:    []string{"name", "open", "in_use", "idle", "limit", "waits", "waited_ms", "waits_since_last_look", "held"},
	holder:  []string{"count", "state", "state_ms", "pool", "longest_ms", "operation", "function", "file", "line"},
	connection: []string{
		"server", "network", "database", "id", "server_version", "phase", "sequence_expected", "command", "commands",
		"pending_answers", "in_transaction", "state", "use", "use_ms", "owner", "tls", "compression", "bytes_received", "bytes_sent",
		"age_ms", "idle_ms", "packets", "packets_forgotten",
	},
	operation: []string{"operation", "age_ms", "function", "file", "line"},
	packet:    []string{"at_ms", "direction", "sequence_first", "sequence_last", "label", "kind", "count", "bytes"},
	report: []string{
		"time", "first_time", "count", "trace_id", "span_id", "alternatives", "server", "connection", "cause", "severity", "title", "explanation", "advice", "documentation",
		"executed", "phase", "owner", "intruder", "packets", "packets_forgotten", // and retry_safe, but not of a misuse
	},
	abandoned: []string{
		"time", "first_time", "count", "server", "connection", "how", "command", "after_ms", "answer_started", "delivery", "in_transaction", "owner",
		"explanation", "packets", "packets_forgotten",
	},
}

func TestJSON(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	db := open(t, serve(t, "9.7.4"), "json-db:3306", 1, seqguard.WithTracerProvider(tracers))
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conn.QueryContext(t.Context(), "SELECT secret FROM vault")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if err := conn.PingContext(t.Context()); err == nil {
		t.Fatal("an interleaved ping was let through")
	}
	giveUp(t, serve(t, "9.7.4"), "json-db:3306")
	if err := seqguard.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	body := ask(t, debug.Handler(debug.WithDB("shop", db)), of("json-db:3306"), "application/json").Body.String()
	var v map[string]any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	at := func(v any, path ...any) any {
		for _, p := range path {
			switch p := p.(type) {
			case string:
				v = v.(map[string]any)[p]
			case int:
				v = v.([]any)[p]
			}
		}
		return v
	}
	keys := func(what string, v any, want []string) {
		t.Helper()
		var got []string
		for k := range v.(map[string]any) {
			got = append(got, k)
		}
		want = slices.Sorted(slices.Values(want))
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: keys\n%v, want\n%v", what, got, want)
		}
	}
	keys("top", v, append(slices.Clone(schema.top), "filter"))
	keys("process", at(v, "process"), schema.process)
	keys("now", at(v, "now"), schema.now)
	keys("pool", at(v, "pools", 0), schema.pool)
	keys("holder", at(v, "holders", 0), schema.holder)
	keys("connection", at(v, "connections", 0), schema.connection)
	keys("owner", at(v, "connections", 0, "owner"), schema.operation)
	keys("packet", at(v, "connections", 0, "packets", 0), schema.packet)
	keys("report", at(v, "reports", 0), schema.report)
	keys("abandoned", at(v, "abandoned", 0), schema.abandoned)
	for path, want := range map[string]any{
		"server": "json-db:3306", "network": "tcp", "database": "shop", "server_version": "9.7.4",
		"commands": 1.0, "state": "leased", "use": "rows open", "tls": "none", "compression": false, "command": "COM_QUERY",
	} {
		if got := at(v, "connections", 0, path); !reflect.DeepEqual(got, want) {
			t.Errorf("connection: %s is %v, want %v", path, got, want)
		}
	}
	if id, ok := at(v, "connections", 0, "id").(float64); !ok || id <= 4710 {
		t.Errorf("id %v", at(v, "connections", 0, "id"))
	}
	span := spans.Ended()[0].SpanContext()
	for _, tt := range []struct{ got, want any }{
		{at(v, "reports", 0, "trace_id"), span.TraceID().String()}, {at(v, "reports", 0, "span_id"), span.SpanID().String()},
		{at(v, "reports", 0, "count"), 1.0}, {at(v, "process", "version"), version.Version}, {at(v, "process", "pid"), float64(os.Getpid())},
		{at(v, "holders", 0, "pool"), "shop"}, {at(v, "holders", 0, "state"), "rows open"}, {at(v, "pools", 0, "in_use"), 1.0}, {at(v, "pools", 0, "limit"), 1.0},
		{at(v, "now", "rows_open"), 1.0}, {at(v, "now", "busy"), 1.0},
	} {
		if tt.got != tt.want {
			t.Errorf("%v, want %v", tt.got, tt.want)
		}
	}
	if got := at(v, "pools", 0, "held").(string); !strings.HasPrefix(got, "1 of 1 held, 1 by debug/json_test.go:") || !strings.Contains(got, " (rows open), oldest ") {
		t.Errorf("held: %q", got)
	}
	if got := at(v, "reports", 0, "cause"); got != "result_still_open" {
		t.Errorf("cause %v", got)
	}
	if age, ok := at(v, "connections", 0, "age_ms").(float64); !ok || age <= 0 || age > float64(time.Minute.Milliseconds()) {
		t.Errorf("age_ms %v", at(v, "connections", 0, "age_ms"))
	}
	for _, secret := range []string{"SELECT", "vault", "payload that nobody"} {
		if strings.Contains(body, secret) {
			t.Errorf("the JSON shows %q", secret)
		}
	}
}

// Empty lists are lists.
func TestJSONEmpty(t *testing.T) {
	body := get(t, of("json-none:1"), "application/json").Body.String()
	contains(t, body, `"pools":[]`, `"holders":[]`, `"connections":[]`, `"reports":[]`, `"abandoned":[]`)
}
