package trace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

var update = flag.Bool("update", false, "write the golden files anew")

var epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// stalled is a login that came too late.
func stalled(ctx context.Context) *wrapconn.Report {
	e := cause.Evidence{
		Violation: session.MisnumberedError, Phase: session.PhaseAuth, Kind: session.KindERR, Expected: 2, Actual: 1, Length: 50,
		ServerError:   &session.ServerError{Code: 1159, SQLState: "08S01", Message: "Got timeout reading communication packets"},
		ServerVersion: "9.7.4", Network: "tcp", Age: 3001 * time.Millisecond, GreetingAfter: time.Millisecond,
		LoginAfter: 3 * time.Second, SinceLogin: time.Millisecond, OwnPause: 3 * time.Second,
	}
	op := &wrapconn.Operation{
		Kind: wrapconn.OpConnect, Started: epoch, Age: 3001 * time.Millisecond, Context: ctx,
		Stack: []wrapconn.Frame{{Function: "main.handle", File: "/src/main.go", Line: 42}},
	}
	return &wrapconn.Report{
		Time: epoch.Add(3001 * time.Millisecond), Cause: cause.Diagnose(&e), Evidence: e,
		Server: "db.internal:3306", Network: "tcp", Database: "shop", Connection: 77, Connected: epoch,
		Peer:  &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 3306},
		Local: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 50000},
		Owner: op, Goroutine: "9", Context: ctx, Forgotten: 3,
		History: []wrapconn.HistoryEntry{
			{Time: epoch.Add(time.Millisecond), Kind: session.KindGreeting, Count: 1, Bytes: 75},
			{Time: epoch.Add(3 * time.Second), Direction: session.FromClient, Kind: session.KindLogin, First: 1, Last: 1, Count: 1, Bytes: 191},
			{Time: epoch.Add(3001 * time.Millisecond), Kind: session.KindERR, First: 1, Last: 1, Count: 1, Bytes: 50, ErrorCode: 1159, Violation: session.MisnumberedError},
		},
	}
}

// idle is a server's farewell, seen while the pool looked at the connection.
func idle(ctx context.Context) *wrapconn.Report {
	e := cause.Evidence{
		Violation: session.Unsolicited, Phase: session.PhaseReady, Kind: session.KindERR, Length: 145, BeforeCommand: true, NothingWritten: true,
		ServerError:   &session.ServerError{Code: 4031, SQLState: "HY000", Message: "The client was disconnected by the server because of inactivity."},
		ServerVersion: "9.7.4", Network: "tcp", TLS: cause.TLSVisible, Commands: 5, Age: time.Minute, Idle: 30 * time.Second,
	}
	return &wrapconn.Report{
		Time: epoch.Add(time.Minute), Cause: cause.Diagnose(&e), Evidence: e, Server: "/run/mysqld.sock", Network: "unix",
		Peer: &net.UnixAddr{Name: "/run/mysqld.sock", Net: "unix"}, Connection: 8, Connected: epoch, Context: ctx,
	}
}

// conflict is a call while the rows of a query are open.
func conflict(owner, intruder context.Context) *wrapconn.Report {
	e := cause.Evidence{
		Phase: session.PhaseRows, Command: session.ComQuery, Pending: 1, Ownership: cause.OwnershipInterleaving, NothingWritten: true,
		Owner:         cause.Party{Operation: "query", Site: "shop/list.go:10", Age: time.Second},
		Intruder:      cause.Party{Operation: "exec", Site: "shop/list.go:14"},
		ServerVersion: "5.5.5-10.11.19-MariaDB", MariaDB: true, Network: "tcp", Commands: 9, Age: time.Hour, AnswerStarted: true, InTransaction: true,
	}
	return &wrapconn.Report{
		Time: epoch.Add(time.Hour), Cause: cause.Diagnose(&e), Evidence: e, Server: "db.internal:3306", Connection: 9, Connected: epoch,
		Owner: &wrapconn.Operation{Kind: wrapconn.OpQuery, Started: epoch.Add(time.Hour - time.Second), Age: time.Second, Context: owner,
			Stack: []wrapconn.Frame{{Function: "shop.list", File: "/src/shop/list.go", Line: 10}}},
		Intruder: &wrapconn.Operation{Kind: wrapconn.OpExec, Started: epoch.Add(time.Hour), Context: intruder,
			Stack: []wrapconn.Frame{{Function: "shop.mark", File: "/src/shop/list.go", Line: 14}}},
		Conflict: wrapconn.Interleaving, Goroutine: "12", Context: intruder,
	}
}

// notMySQL is a peer that speaks something else: nothing is known of a server.
func notMySQL(ctx context.Context) *wrapconn.Report {
	e := cause.Evidence{Violation: session.NotMySQL, Phase: session.PhaseGreeting, FirstBytes: []byte("SSH-2.0"), Age: time.Millisecond, Actual: 0x2d, Length: 0x485353}
	return &wrapconn.Report{Time: epoch, Cause: cause.Diagnose(&e), Evidence: e, Server: "db.internal:22", Connected: epoch, Context: ctx}
}

type logs struct {
	mu      sync.Mutex
	records []sdklog.Record
}

func (l *logs) OnEmit(_ context.Context, r *sdklog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r.Clone())
	return nil
}
func (l *logs) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (l *logs) Shutdown(context.Context) error                         { return nil }
func (l *logs) ForceFlush(context.Context) error                       { return nil }

type bench struct {
	spans  *tracetest.SpanRecorder
	tracer oteltrace.Tracer
	reader *sdkmetric.ManualReader
	logs   *logs
	text   *bytes.Buffer
	rec    *trace.Recorder
}

func newBench() *bench {
	b := &bench{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader(), logs: &logs{}, text: &bytes.Buffer{}}
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(b.spans))
	b.tracer = tp.Tracer("test")
	b.rec = trace.New(trace.Config{
		TracerProvider: tp,
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(b.reader)),
		LoggerProvider: sdklog.NewLoggerProvider(sdklog.WithProcessor(b.logs)),
		Logger:         slog.New(slog.NewJSONHandler(b.text, nil)),
		Attributes:     []attribute.KeyValue{attribute.String("deployment.environment.name", "test")},
	})
	return b
}

// violation returns the one span of that name.
func (b *bench) violation(t *testing.T) sdktrace.ReadOnlySpan {
	t.Helper()
	var out sdktrace.ReadOnlySpan
	for _, s := range b.spans.Ended() {
		if s.Name() == trace.SpanName {
			if out != nil {
				t.Fatal("two spans")
			}
			out = s
		}
	}
	if out == nil {
		t.Fatal("no span")
	}
	return out
}

func TestGolden(t *testing.T) {
	for name, make := range map[string]func(b *bench) *wrapconn.Report{
		"login_stalled_locally": func(*bench) *wrapconn.Report { return stalled(context.Background()) },
		"idle_timeout":          func(*bench) *wrapconn.Report { return idle(context.Background()) },
		"not_mysql":             func(*bench) *wrapconn.Report { return notMySQL(context.Background()) },
		"result_still_open": func(*bench) *wrapconn.Report {
			return conflict(context.Background(), context.Background())
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench()
			r := make(b)
			if string(r.Cause.Slug) != name {
				t.Fatalf("cause %s", r.Cause.Slug)
			}
			b.rec.Report(r.Context, r)
			got := normalise(b.violation(t))
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the span is\n%s\nwant\n%s\n(go test ./trace -update writes it anew)", got, want)
			}
		})
	}
}

// normalise prints all of a span that does not differ from run to run.
func normalise(s sdktrace.ReadOnlySpan) []byte {
	kvs := func(in []attribute.KeyValue) map[string]any {
		out := map[string]any{}
		for _, a := range in {
			out[string(a.Key)] = map[string]any{a.Value.Type().String(): a.Value.AsInterface()}
		}
		return out
	}
	var events []any
	for _, e := range s.Events() {
		events = append(events, map[string]any{"name": e.Name, "at": e.Time.Sub(epoch).String(), "attributes": kvs(e.Attributes)})
	}
	out, _ := json.MarshalIndent(map[string]any{
		"name": s.Name(), "kind": s.SpanKind().String(), "status": s.Status().Code.String(), "description": s.Status().Description,
		"start": s.StartTime().Sub(epoch).String(), "end": s.EndTime().Sub(epoch).String(),
		"scope": s.InstrumentationScope().Name, "schema": s.InstrumentationScope().SchemaURL,
		"attributes": kvs(s.Attributes()), "events": events,
	}, "", "  ")
	return append(out, '\n')
}

func TestParentAndLinks(t *testing.T) {
	b := newBench()
	owner, ownerSpan := b.tracer.Start(context.Background(), "list")
	intruder, intruderSpan := b.tracer.Start(context.Background(), "mark")
	r := conflict(owner, intruder)
	b.rec.Report(r.Context, r)
	s := b.violation(t)
	if s.Parent().SpanID() != intruderSpan.SpanContext().SpanID() {
		t.Error("the parent must be the span of the operation that met the violation")
	}
	if l := s.Links(); len(l) != 1 || l[0].SpanContext.SpanID() != ownerSpan.SpanContext().SpanID() {
		t.Errorf("links %v, want one to the owner's span", l)
	}
}

func TestStatus(t *testing.T) {
	b := newBench()
	r := idle(context.Background())
	b.rec.Report(r.Context, r)
	if c := b.violation(t).Status().Code; c != codes.Unset {
		t.Errorf("a notice has status %v, want none", c)
	}
}

func TestLogs(t *testing.T) {
	b := newBench()
	r := stalled(context.Background())
	b.rec.Report(r.Context, r)
	if len(b.logs.records) != 1 {
		t.Fatalf("%d log records", len(b.logs.records))
	}
	rec := b.logs.records[0]
	if rec.EventName() != trace.EventName || rec.Severity() != log.SeverityWarn || rec.SpanID() != b.violation(t).SpanContext().SpanID() {
		t.Errorf("record %q of severity %v, span %v", rec.EventName(), rec.Severity(), rec.SpanID())
	}
	if rec.AttributesLen() != len(b.violation(t).Attributes()) {
		t.Errorf("%d attributes, the span has %d", rec.AttributesLen(), len(b.violation(t).Attributes()))
	}
	var line map[string]any
	if err := json.Unmarshal(b.text.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["msg"] != r.Cause.Title+": "+r.Cause.Explanation || line["level"] != "WARN" || line["seqguard.sequence.actual"] != 1.0 {
		t.Errorf("slog line %v", line)
	}
}

func TestStormIsLimitedAndTold(t *testing.T) {
	b := newBench()
	const storm = 10000
	for range storm {
		r := stalled(context.Background())
		b.rec.Report(r.Context, r)
	}
	n := len(b.spans.Ended())
	if n != 10 {
		t.Errorf("%d spans, want the burst of 10", n)
	}
	r := stalled(context.Background())
	r.Time = r.Time.Add(time.Second)
	b.rec.Report(r.Context, r)
	last := b.spans.Ended()[len(b.spans.Ended())-1]
	told := false
	for _, a := range last.Attributes() {
		if a.Key == trace.KeyDroppedReports {
			told = true
			if a.Value.AsInt64() != storm-10 {
				t.Errorf("%d dropped reports told, want %d", a.Value.AsInt64(), storm-10)
			}
		}
	}
	if !told {
		t.Error("the dropped reports are not told")
	}
	sums := b.sums(t)
	if sums[trace.MetricViolations] != storm+1 || sums[trace.MetricDropped] != storm-10 {
		t.Errorf("metrics %v", sums)
	}
}

func (b *bench) sums(t *testing.T) map[string]int64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := b.reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if m.Unit == "" || m.Description == "" {
				t.Errorf("%s has no unit or no description", m.Name)
			}
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				out[m.Name] += p.Value
			}
		}
	}
	return out
}

func TestTotals(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	reg, err := trace.RegisterTotals(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	wrapconn.New(a, wrapconn.Options{})
	if got := (&bench{reader: reader}).sums(t)[trace.MetricConnections]; got != int64(wrapconn.Stats().Connections) {
		t.Errorf("%d connections, want %d", got, wrapconn.Stats().Connections)
	}
	if err := reg.Unregister(); err != nil {
		t.Error(err)
	}
}

// A global provider that is set after the driver was opened must be found.
func TestGlobalProviderIsFoundLate(t *testing.T) {
	rec := trace.New(trace.Config{})
	r := stalled(context.Background())
	rec.Report(r.Context, r) // to nobody
	spans := tracetest.NewSpanRecorder()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	defer otel.SetTracerProvider(before)
	rec.Report(r.Context, r)
	if n := len(spans.Ended()); n != 1 {
		t.Errorf("%d spans", n)
	}
}

func TestConcurrentReports(t *testing.T) {
	b := newBench()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				r := idle(context.Background())
				b.rec.Report(r.Context, r)
			}
		})
	}
	wg.Wait()
	if got := b.sums(t)[trace.MetricViolations]; got != 400 {
		t.Errorf("%d violations counted, want 400", got)
	}
}

// The page about telemetry and the code must name the same keys.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench()
	for _, r := range []*wrapconn.Report{
		stalled(context.Background()), idle(context.Background()), notMySQL(context.Background()),
		conflict(context.Background(), context.Background()),
	} {
		b.rec.Report(r.Context, r)
	}
	emitted := map[attribute.Key]bool{}
	for _, s := range b.spans.Ended() {
		for _, a := range s.Attributes() {
			emitted[a.Key] = true
		}
		for _, e := range s.Events() {
			for _, a := range e.Attributes {
				emitted[a.Key] = true
			}
		}
	}
	for k := range emitted {
		if !strings.Contains(string(page), "`"+string(k)+"`") && k != "deployment.environment.name" {
			t.Errorf("docs/telemetry.md does not have %s", k)
		}
	}
	source, err := os.ReadFile("attributes.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(page), "\n") {
		if key, ok := strings.CutPrefix(line, "| `seqguard."); ok {
			key, _, _ = strings.Cut(key, "`")
			if !strings.Contains(string(source), `"seqguard.`+key+`"`) && !strings.Contains(metricNames, "seqguard."+key) {
				t.Errorf("docs/telemetry.md has seqguard.%s, the code has not", key)
			}
		}
	}
}

var metricNames = fmt.Sprint(trace.MetricViolations, trace.MetricDropped, trace.MetricConnections, trace.MetricUntracked, trace.MetricOpaque, trace.KeyLinkRole)

// What must never leave the process: here, that no attribute holds the error of
// the driver, which may quote a statement.
func TestNoStatementLeaves(t *testing.T) {
	b := newBench()
	r := stalled(context.Background())
	r.Err = errors.New("near 'SELECT card_number FROM customers'")
	b.rec.Report(r.Context, r)
	for _, a := range b.violation(t).Attributes() {
		if strings.Contains(fmt.Sprint(a.Value.AsInterface()), "card_number") {
			t.Errorf("%s holds the statement", a.Key)
		}
	}
	if strings.Contains(b.text.String(), "card_number") {
		t.Error("the log holds the statement")
	}
}

func BenchmarkReport(b *testing.B) {
	for name, rec := range map[string]*trace.Recorder{"noop": trace.New(trace.Config{}), "sdk": newBench().rec} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r := stalled(context.Background())
			for b.Loop() {
				r.Time = r.Time.Add(2 * time.Second)
				rec.Report(r.Context, r)
			}
		})
	}
}
