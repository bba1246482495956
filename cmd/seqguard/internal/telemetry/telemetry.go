// Package telemetry sends violations to OpenTelemetry, as the environment says.
package telemetry

import (
	"context"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Sender sends violations.
type Sender struct {
	provider *sdk.TracerProvider
	recorder *trace.Recorder
}

// FromEnvironment returns a Sender if OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT says where to, nil otherwise.
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
func FromEnvironment(ctx context.Context) (*Sender, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" ||
		strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} { // the signal's own comes first
		v := os.Getenv(name)
		if v == "" {
			continue
		}
		if v != "http/protobuf" {
			return nil, fmt.Errorf("%s=%s: only http/protobuf is supported (set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, mostly http://COLLECTOR:4318/v1/traces; OTEL_TRACES_EXPORTER=none sends nothing)", name, v)
		}
		break
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	// A name of the user's, from OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES, comes last and wins.
	res, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("seqguard-proxy")), resource.WithFromEnv())
	if err != nil {
		return nil, err
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(res))
	return &Sender{provider: p, recorder: trace.New(trace.Config{TracerProvider: p})}, nil
}

// Send makes a span of a violation: under the client's own, if its statements
// carried a traceparent, and a root otherwise.
func (s *Sender) Send(v *report.Violation) {
	ctx := parent(v)
	e := &v.Finding.Evidence
	s.recorder.Report(ctx, &wrapconn.Report{
		Time: v.Finding.Time, Cause: v.Cause, Evidence: *e, Server: v.Server, Network: e.Network,
		Database: e.Client.Database, Local: v.Local, Peer: v.Peer, Connection: v.Finding.Connection,
		Connected: v.Started, OpaqueReason: v.Finding.OpaqueReason, History: v.Finding.History,
		Forgotten: v.Finding.Forgotten, Err: v.Finding.Err, Context: ctx,
	})
}

func parent(v *report.Violation) context.Context {
	ctx := context.Background()
	t, err := oteltrace.TraceIDFromHex(v.TraceID)
	if err != nil {
		return ctx
	}
	span, err := oteltrace.SpanIDFromHex(v.ParentID)
	if err != nil {
		return ctx
	}
	return oteltrace.ContextWithRemoteSpanContext(ctx, oteltrace.NewSpanContext(oteltrace.SpanContextConfig{
		TraceID: t, SpanID: span, TraceFlags: oteltrace.TraceFlags(0).WithSampled(v.Sampled), Remote: true,
	}))
}

// Close sends what is left.
func (s *Sender) Close(ctx context.Context) error { return s.provider.Shutdown(ctx) }
