// Package jaeger_test sends spans to a real Jaeger and reads them back.
package jaeger_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) { mysqltest.Main(m) }

// traces is what Jaeger's query API answers.
type traces struct {
	Data []struct {
		Spans []struct {
			SpanID        string
			OperationName string
			StartTime     int64 // µs
			Duration      int64
			References    []struct{ RefType, SpanID string }
			Tags          []tag
			Logs          []struct {
				Timestamp int64
				Fields    []tag
			}
		}
	}
}

type tag struct {
	Key, Type string
	Value     any
}

func value(tags []tag, key string) any {
	for _, t := range tags {
		if t.Key == key {
			return t.Value
		}
	}
	return nil
}

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
			if err := provider.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}

			var got traces
			if err := json.Unmarshal(jaeger.WaitTrace(t, request.SpanContext().TraceID().String()), &got); err != nil {
				t.Fatal(err)
			}
			found := false
			for _, s := range got.Data[0].Spans {
				if s.OperationName != "seqguard.violation" {
					continue
				}
				found = true
				if len(s.References) != 1 || s.References[0].RefType != "CHILD_OF" || s.References[0].SpanID != request.SpanContext().SpanID().String() {
					t.Errorf("references %v, want the request's span as the parent", s.References)
				}
				for key, want := range map[string]any{
					"seqguard.cause": "login_delayed_on_the_way", "error.type": "login_delayed_on_the_way", "seqguard.phase": "authentication",
					"seqguard.sequence.expected": 2.0, "seqguard.sequence.actual": 1.0, "db.response.status_code": "1159",
					"seqguard.server_error.code": 1159.0, "db.system.name": "mysql", "span.kind": "client", "error": true,
					"otel.status_code": "ERROR", "seqguard.owner.operation": "connect", "seqguard.executed": "no",
				} {
					if v := value(s.Tags, key); v != want {
						t.Errorf("%s is %v (%T), want %v", key, v, v, want)
					}
				}
				var story []any
				last := int64(0)
				for _, l := range s.Logs {
					story = append(story, value(l.Fields, "seqguard.packet.label"))
					if l.Timestamp < last {
						t.Error("the packets are out of order")
					}
					last = l.Timestamp
				}
				if len(story) != 3 || story[0] != "greeting" || story[1] != "login" || story[2] != "ERR 1159" {
					t.Errorf("the packets are %v", story)
				}
				if d := time.Duration(s.Duration) * time.Microsecond; d < 2*time.Second || d > 10*time.Second {
					t.Errorf("the span lasted %v, want the length of the connect, about 3 s", d)
				}
			}
			if !found {
				t.Fatalf("no span seqguard.violation in %+v", got)
			}
		})
	}
}
