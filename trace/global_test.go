package trace_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"

	"go.opentelemetry.io/otel"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Global providers that are set after the driver was opened must be found. It
// is tried in a process of its own: what stands in for the global providers
// passes on to the first ones that are set, for good.
func TestGlobalProvidersAreFoundLate(t *testing.T) {
	const child = "SEQGUARD_TEST_GLOBAL"
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	defer wrapconn.New(a, wrapconn.Options{}).Close()
	rec := trace.New(trace.Config{})
	if err := rec.Start(); err != nil {
		t.Fatal(err)
	}
	r := stalled(context.Background())
	rec.Report(r.Context, r) // to nobody

	spans, reader, records := tracetest.NewSpanRecorder(), sdkmetric.NewManualReader(), &logs{}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	otel.SetMeterProvider(meters)
	otel.SetLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(records)))
	rec.Report(r.Context, r)
	rec.Report(r.Context, r)
	if n := len(spans.Ended()); n != 2 {
		t.Errorf("%d spans, want 2", n)
	}
	if n := len(records.records); n != 2 {
		t.Errorf("%d log records, want 2", n)
	}

	// Others that come to the same provider, by itself or as the global one,
	// share the registration.
	for _, cfg := range []trace.Config{{}, {MeterProvider: meters}} {
		other := trace.New(cfg)
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
	}
	got := sums(t, reader)
	if got[trace.MetricViolations] != 2 {
		t.Errorf("%d violations, want 2", got[trace.MetricViolations])
	}
	if got[trace.MetricConnections] != 1 {
		t.Errorf("%d connections, want 1", got[trace.MetricConnections])
	}
}
