// Package jaeger_test sends spans to a real Jaeger and reads them back.
package jaeger_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/example/internal/jaegertest"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) { kit.Main(m) }

// The case that the project began with, as somebody on call finds it in Jaeger:
// the violation's span under the request's own, with its attributes and packets.
func TestSpanArrivesInJaeger(t *testing.T) {
	jaeger := mysqltest.Jaeger(t)
	for _, protocol := range []string{"http", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			ctx := context.Background()
			var exporter sdktrace.SpanExporter
			var err error
			if protocol == "http" {
				exporter, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(jaeger.OTLPHTTP), otlptracehttp.WithInsecure())
			} else {
				exporter, err = otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(jaeger.OTLPGRPC), otlptracegrpc.WithInsecure())
			}
			if err != nil {
				t.Fatal(err)
			}
			provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
				sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("shop"))))

			server := mysqltest.Start(t, "mysql9", "--connect-timeout=2")
			relay := mysqltest.NewRelay(t, server.Addr, mysqltest.OnPacket(mysqltest.FromClient, 0, mysqltest.Action{Hold: 3 * time.Second}))
			cfg, err := mysql.ParseDSN(relay.DSN(""))
			if err != nil {
				t.Fatal(err)
			}
			cfg.Logger = &mysql.NopLogger{}
			connector, err := seqguard.NewConnector(cfg, seqguard.WithTracerProvider(provider))
			if err != nil {
				t.Fatal(err)
			}
			db := sql.OpenDB(connector)
			defer db.Close()

			ctx, request := provider.Tracer("shop").Start(ctx, "POST /checkout")
			if err := db.PingContext(ctx); err == nil {
				t.Error("the ping succeeded")
			}
			request.End()
			if err := seqguard.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := provider.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}

			found := false
			for _, s := range jaegertest.Trace(t, jaeger, request.SpanContext().TraceID().String()) {
				if !strings.HasPrefix(s.Name, "seqguard.violation ") {
					continue
				}
				found = true
				if s.ParentSpanID != request.SpanContext().SpanID().String() {
					t.Errorf("parent %s, want the request's span", s.ParentSpanID)
				}
				if len(s.Links) > 0 {
					t.Errorf("links %v, want none", s.Links)
				}
				if s.Kind.String() != "client" || s.Status.Code.String() != "error" {
					t.Errorf("kind %v, status %v", s.Kind, s.Status)
				}
				for key, want := range map[string]any{
					"seqguard.cause": "login_delayed_on_the_way", "error.type": "login_delayed_on_the_way", "seqguard.phase": "authentication",
					"seqguard.sequence.expected": int64(2), "seqguard.sequence.actual": int64(1), "db.response.status_code": "1159",
					"seqguard.server_error.code": int64(1159), "db.system.name": "mysql",
					"seqguard.owner.operation": "connect", "seqguard.executed": "no",
				} {
					if v := jaegertest.Get(s.Attributes, key); v != want {
						t.Errorf("%s is %v (%T), want %v", key, v, v, want)
					}
				}
				var story []any
				var last time.Time
				for _, e := range s.Events {
					story = append(story, jaegertest.Get(e.Attributes, "seqguard.packet.label"))
					if e.Time.Before(last) {
						t.Error("the packets are out of order")
					}
					last = e.Time.Time
				}
				if len(story) != 3 || story[0] != "greeting" || story[1] != "login" || story[2] != "ERR 1159" {
					t.Errorf("the packets are %v", story)
				}
				if d := s.End.Sub(s.Start.Time); d < 2*time.Second || d > 10*time.Second {
					t.Errorf("the span lasted %v, want the length of the connect, about 3 s", d)
				}
			}
			if !found {
				t.Fatal("no span seqguard.violation")
			}
		})
	}
}
