package main

import (
	"database/sql"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/example/internal/embedded"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

var server *embedded.Server

func TestMain(m *testing.M) { embedded.Main(m, func(s *embedded.Server) { server = s }) }

// record makes the global provider keep the spans.
func record(t *testing.T) *tracetest.SpanRecorder {
	t.Helper()
	before := otel.GetTracerProvider()
	r := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r)))
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	return r
}

func TestService(t *testing.T) {
	for name, open := range map[string]func() (*sql.DB, error){
		"otelsql over":  func() (*sql.DB, error) { return openDB(server.DSN("app", "")) },
		"otelsql under": func() (*sql.DB, error) { return openDBUnder(server.DSN("app", "")) },
	} {
		t.Run(name, func(t *testing.T) {
			spans := record(t)
			db, err := open()
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := createTable(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			service := httptest.NewServer(newHandler(db))
			defer service.Close()
			for _, step := range []struct {
				method, item, body string
				status             int
				answer             string
			}{
				{"PUT", "apple", "3", http.StatusNoContent, ""},
				{"GET", "apple", "", http.StatusOK, "3\n"},
				{"PUT", "apple", "many", http.StatusBadRequest, "the body must be a number\n"},
				{"GET", "no such", "", http.StatusNotFound, "404 page not found\n"},
			} {
				status, answer := do(t, step.method, service.URL+"/stock/"+strings.ReplaceAll(step.item, " ", "%20"), step.body)
				if status != step.status || answer != step.answer {
					t.Errorf("%s %s: %d %q, want %d %q", step.method, step.item, status, answer, step.status, step.answer)
				}
			}
			// The spans of the statements are in the request's trace.
			handler := find(spans.Ended(), "PUT /stock/{item}")
			if handler == nil {
				t.Fatalf("no span of the handler among %v", names(spans.Ended()))
			}
			var statements []string
			for _, s := range spans.Ended() {
				if s.SpanContext().TraceID() == handler.SpanContext().TraceID() && strings.HasPrefix(s.Name(), "sql.") {
					statements = append(statements, s.Name())
				}
				if strings.HasPrefix(s.Name(), "seqguard.violation") {
					t.Errorf("a healthy request has a violation: %v", s.Attributes())
				}
			}
			for _, want := range []string{"sql.conn.begin_tx", "sql.tx.commit"} {
				if !slices.Contains(statements, want) {
					t.Errorf("no span %s in the trace of the first request: %v", want, statements)
				}
			}
		})
	}
}

// A server that is full: the trace has the span of otelsql and under it the
// guard's with the cause, and the client is asked to come again.
func TestServiceWithoutDatabase(t *testing.T) {
	spans := record(t)
	addr := full(t)
	server.Broken++
	db, err := openDB("app:@tcp(" + addr + ")/shop")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	service := httptest.NewServer(newHandler(db))
	defer service.Close()
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	if status, answer := do(t, "GET", service.URL+"/stock/apple", ""); status != http.StatusServiceUnavailable || answer != "try again\n" {
		t.Errorf("%d %q", status, answer)
	}
	if err := seqguard.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	handler, connect := find(spans.Ended(), "GET /stock/{item}"), find(spans.Ended(), "sql.connector.connect")
	violation := find(spans.Ended(), "seqguard.violation")
	if handler == nil || connect == nil || violation == nil {
		t.Fatalf("spans %v", names(spans.Ended()))
	}
	if violation.Parent().SpanID() != connect.SpanContext().SpanID() || connect.Parent().SpanID() != handler.SpanContext().SpanID() {
		t.Error("the violation is not under otelsql's span, or that not under the handler's")
	}
	if got := attr(violation, "error.type"); got != "refused_before_greeting" {
		t.Errorf("error.type %q", got)
	}
	// otelsql's span does not lose the driver's error.
	if !strings.Contains(connect.Status().Description, "Too many connections") && len(connect.Events()) == 0 {
		t.Errorf("otelsql's span has no error: %v %v", connect.Status(), connect.Events())
	}
}

// full is a server that has no connection left.
func full(t *testing.T) string {
	t.Helper()
	return mysqltest.Accept(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "\x17\x00\x00\x00\xff\x10\x04Too many connections")
	}).Addr().String()
}

func attr(s sdktrace.ReadOnlySpan, key string) string {
	for _, kv := range s.Attributes() {
		if string(kv.Key) == key {
			return kv.Value.AsString()
		}
	}
	return ""
}

func do(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func find(spans []sdktrace.ReadOnlySpan, name string) sdktrace.ReadOnlySpan {
	for _, s := range spans {
		if strings.HasPrefix(s.Name(), name) {
			return s
		}
	}
	return nil
}

func names(spans []sdktrace.ReadOnlySpan) (out []string) {
	for _, s := range spans {
		out = append(out, s.Name())
	}
	return out
}
