// Package telemetry sets up the OpenTelemetry SDK for the examples. The library
// itself knows only the API.
package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Endpoint returns where the environment wants spans to go, or nothing.
func Endpoint() string {
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
}

// Start sets the global tracer provider. Spans are written to w if it is not
// nil, and sent to the endpoint of the environment if there is one. stop sends
// what is left.
func Start(ctx context.Context, service string, w io.Writer) (stop func(context.Context) error, err error) {
	var exporters []sdktrace.TracerProviderOption
	if w != nil {
		e, err := stdouttrace.New(stdouttrace.WithWriter(w), stdouttrace.WithPrettyPrint())
		if err != nil {
			return nil, err
		}
		exporters = append(exporters, sdktrace.WithBatcher(e))
	}
	if Endpoint() != "" {
		e, err := otlp(ctx)
		if err != nil {
			return nil, err
		}
		exporters = append(exporters, sdktrace.WithBatcher(e))
	}
	if len(exporters) == 0 {
		return func(context.Context) error { return nil }, nil
	}
	// The environment (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) wins.
	res, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName(service)), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, err
	}
	p := sdktrace.NewTracerProvider(append(exporters, sdktrace.WithResource(res))...)
	otel.SetTracerProvider(p)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	return p.Shutdown, nil
}

// otlp makes the exporter; the rest of its settings it reads from the
// environment by itself.
func otlp(ctx context.Context) (sdktrace.SpanExporter, error) {
	protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf")
	switch protocol {
	case "http/protobuf":
		return otlptracehttp.New(ctx)
	case "grpc":
		return otlptracegrpc.New(ctx)
	}
	return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q; this program has http/protobuf and grpc", protocol)
}
