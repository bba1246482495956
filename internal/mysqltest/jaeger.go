package mysqltest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// JaegerServer is a Jaeger with memory storage, on ports of its own.
type JaegerServer struct {
	OTLPHTTP string // host:port of the OTLP receiver over HTTP
	OTLPGRPC string // host:port of the OTLP receiver over gRPC
	Query    string // base URL of the query API
}

// Jaeger starts a Jaeger that ends with the test; skips it loudly where there is none.
func Jaeger(t testing.TB) *JaegerServer {
	t.Helper()
	const how = "scripts/jaeger.sh fetch (builds it from its Go module, about 5 minutes)"
	bin, scripts := filepath.Join(cacheDir(), "jaeger", "jaeger"), scriptsDir()
	if _, err := os.Stat(bin); err != nil || scripts == "" {
		missing(t, "Jaeger", how)
	}
	var ports [4]string
	var env []string
	for i, name := range []string{"OTLP_HTTP_PORT", "OTLP_GRPC_PORT", "JAEGER_HTTP_PORT", "JAEGER_GRPC_PORT"} {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = strconv.Itoa(port)
		env = append(env, name+"="+ports[i])
	}
	dir, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	// Its user need not be able to read the checkout.
	config, err := os.ReadFile(filepath.Join(scripts, "jaeger.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "jaeger.yaml")
	if err := os.WriteFile(own, config, 0o644); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "jaeger.log")
	p, err := startProcess(log, env, bin, "--config", own)
	if err != nil {
		t.Fatalf("mysqltest: starting Jaeger: %v", err)
	}
	t.Cleanup(func() {
		p.kill()
		os.RemoveAll(dir)
	})
	j := &JaegerServer{OTLPHTTP: "127.0.0.1:" + ports[0], OTLPGRPC: "127.0.0.1:" + ports[1], Query: "http://127.0.0.1:" + ports[2]}
	err = p.waitUntil(time.Minute, func() error {
		_, err := j.get("/api/services")
		return err
	})
	if err != nil {
		out, _ := os.ReadFile(log)
		t.Fatalf("mysqltest: Jaeger: %v\n%s", err, out)
	}
	return j
}

// WaitTrace reads a trace back through the query API as JSON (an object with "data", an array of traces); it polls, since what
// was exported takes a moment to be found.
func (j *JaegerServer) WaitTrace(t testing.TB, traceID string) []byte {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) { // between two looks
		body, err := j.get("/api/traces/" + traceID)
		if err == nil {
			return body
		}
		if time.Now().After(until) {
			t.Fatalf("mysqltest: trace %s is not in Jaeger: %v", traceID, err)
		}
	}
}

func (j *JaegerServer) get(path string) ([]byte, error) {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(j.Query + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return body, err
}
