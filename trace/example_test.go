package trace_test

import (
	"context"
	"fmt"
	"net"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// A connection that is guarded without the driver, in a proxy or under another
// client, is told about in the same way.
func ExampleRecorder() {
	rec := trace.New(trace.Config{})
	if err := rec.Start(); err != nil {
		panic(err)
	}
	defer rec.Close()
	socket, server := net.Pipe()
	defer server.Close()
	reports := wrapconn.NewDelivery(wrapconn.Receiver{Report: rec.Report, Lost: rec.Lost})
	conn := wrapconn.New(socket, wrapconn.Options{Server: "db.internal:3306", OnReport: reports.Report})
	defer conn.Close()
	// Output:
}

// The names are for what picks something out by them, such as a view that keeps
// one attribute of a metric. (stalled is the report of a test.)
func Example_view() {
	reader := sdkmetric.NewManualReader()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Name: trace.MetricViolations},
		sdkmetric.Stream{AttributeFilter: attribute.NewAllowKeysFilter(trace.KeyCause)},
	)))
	rec := trace.New(trace.Config{MeterProvider: meters})

	rec.Report(context.Background(), stalled(context.Background())) // a connection does this

	var out metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &out); err != nil {
		panic(err)
	}
	m := out.ScopeMetrics[0].Metrics[0]
	point := m.Data.(metricdata.Sum[int64]).DataPoints[0]
	fmt.Println(m.Name, point.Value, point.Attributes.Encoded(attribute.DefaultEncoder()))
	// Output: seqguard.violations 1 seqguard.cause=login_stalled_locally
}
