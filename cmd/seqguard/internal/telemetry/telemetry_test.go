package telemetry

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
)

// TestSend: the environment says where to, and a violation becomes a span under the
// client's own.
func TestSend(t *testing.T) {
	got := make(chan []byte, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/v1/traces" {
			got <- b
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_SERVICE_NAME", "shop-proxy")
	s, err := FromEnvironment(context.Background())
	if err != nil || s == nil {
		t.Fatalf("%v, %v", s, err)
	}
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	s.Send(&report.Violation{
		Cause: cause.Diagnosis{Slug: "concurrent_use", Severity: cause.Misuse, Title: "title", Explanation: "what happened"},
		Finding: conversation.Finding{
			Time: time.Now(), Evidence: cause.Evidence{Client: cause.Client{Address: "10.0.0.7:4711", User: "shop", Program: "billing", Name: "pymysql", Version: "1.0.2"}, Network: "tcp", Vantage: cause.VantageProxy}, Connection: 7,
		},
		Local: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 50002}, Peer: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 3306},
		Server: "db:3306", Started: time.Now().Add(-time.Second), TraceID: trace, ParentID: span, Sampled: true,
	})
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	b := <-got
	id, _ := hex.DecodeString(trace)
	parent, _ := hex.DecodeString(span)
	for _, want := range [][]byte{id, parent, []byte("seqguard.violation concurrent_use"), []byte("shop-proxy"), []byte("what happened"),
		[]byte("client.address"), []byte("10.0.0.7"), []byte("client.port"), []byte("user.name"), []byte("shop"), []byte("seqguard.client.program"), []byte("billing"),
		[]byte("seqguard.client.library"), []byte("pymysql"), []byte("seqguard.vantage"), []byte("proxy"),
		[]byte("network.local.address"), []byte("10.0.0.9"), []byte("network.peer.address"), []byte("10.0.0.1"),
	} {
		if !bytes.Contains(b, want) {
			t.Errorf("the span lacks %q", want)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	for _, c := range []struct {
		endpoint, protocol, traces, disabled string
		sends, fails                         bool
	}{
		{}, {endpoint: "http://127.0.0.1:1", sends: true}, {endpoint: "http://127.0.0.1:1", disabled: "true"},
		{endpoint: "http://127.0.0.1:1", protocol: "grpc", fails: true},
		{endpoint: "http://127.0.0.1:1", traces: "grpc", protocol: "http/protobuf", fails: true},
		{endpoint: "http://127.0.0.1:1", traces: "http/protobuf", protocol: "grpc", sends: true}, // of the other signals
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.endpoint)
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", c.protocol)
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", c.traces)
		t.Setenv("OTEL_SDK_DISABLED", c.disabled)
		s, err := FromEnvironment(context.Background())
		if (s != nil) != c.sends || (err != nil) != c.fails {
			t.Errorf("%+v: %v, %v", c, s, err)
		}
	}
}

// TestSampled: a trace that the client does not record has no span of the proxy either,
// unless the environment asks for all.
// https://opentelemetry.io/docs/specs/otel/trace/sdk/#parentbased
func TestSampled(t *testing.T) {
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for _, c := range []struct {
		sampler        string
		child, sampled bool
		want           bool
	}{
		{"", true, true, true}, {"", true, false, false}, {"", false, false, true},
		{"always_on", true, false, true},
		{"parentbased_always_off", true, true, true}, {"parentbased_always_off", false, false, false},
	} {
		got := make(chan struct{}, 1)
		collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got <- struct{}{} }))
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
		t.Setenv("OTEL_TRACES_SAMPLER", c.sampler)
		s, err := FromEnvironment(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		v := &report.Violation{Cause: cause.Diagnosis{Slug: "concurrent_use"}, Finding: conversation.Finding{Time: time.Now()}, Server: "db:3306", Started: time.Now()}
		if c.child {
			v.TraceID, v.ParentID, v.Sampled = trace, span, c.sampled
		}
		s.Send(v)
		if err := s.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		collector.Close()
		if sent := len(got) > 0; sent != c.want {
			t.Errorf("%+v: sent %t", c, sent)
		}
	}
}
