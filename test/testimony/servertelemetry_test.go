//go:build linux

package testimony_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestServerTelemetry: the spans that MySQL 9.7 itself sends of its sessions (component
// telemetry, in the community's server) have the id of the connection's report.
func TestServerTelemetry(t *testing.T) {
	var mu sync.Mutex
	var got bytes.Buffer // protobuf, in which strings are as they are
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got.Write(b)
	}))
	defer collector.Close()
	server := mysqltest.Start(t, "mysql9", "--performance-schema=ON", "--loose-telemetry.trace_enabled=ON", "--loose-telemetry.query_text_enabled=OFF",
		"--loose-telemetry.otel_exporter_otlp_traces_protocol=http/protobuf", "--loose-telemetry.otel_exporter_otlp_traces_endpoint="+collector.URL+"/v1/traces")
	root, _ := kit.Open(t, server.RootDSN(""), nil)
	if _, err := root.Exec("INSTALL COMPONENT 'file://component_telemetry'"); err != nil {
		t.Skipf("NOT TESTED: MySQL's own telemetry: %v. It takes MySQL 9.7 with component_telemetry", err)
	}
	db, c := kit.Open(t, server.DSN("readTimeout=1s"), nil, seqguard.WithConnectionAttribute(true))
	if _, err := db.Exec("DO SLEEP(2)"); err == nil {
		t.Fatal("no error")
	}
	r := told(t, c)
	all := func(wants ...string) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, w := range wants {
			if !bytes.Contains(got.Bytes(), []byte(w)) {
				return false
			}
		}
		return true
	}
	kit.Within(t, 30*time.Second, func() bool { return all(r.ID, "mysql.session_attr.seqguard_id", "mysql.processlist_id") }, "no span of %q", r.ID)
}
