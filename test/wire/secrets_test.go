package wire_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime/trace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestNoSecretLeaves looks for the secrets of TLS connections, for the keys that are
// derived from them and for texts of statements and rows in everything that leaves the
// package: what the kernel said, where a goroutine was, what the server said when it
// was asked, and the flight recorder's file among it.
func TestNoSecretLeaves(t *testing.T) {
	recorder, recordings := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: 10 * time.Second, MaxBytes: 4 << 20}), t.TempDir()
	if err := recorder.Start(); err != nil {
		t.Fatalf("another flight recorder is running: %v", err)
	}
	defer recorder.Stop()
	tested, where := false, false // where a goroutine was is looked for every ten seconds at most
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.Shared(t, "mysql9")
			tested = true
			log := &keyLog{}
			var out lockedBuffer // the logger writes to it in the background
			spans, logs := tracetest.NewInMemoryExporter(), &logDump{}
			opts := []seqguard.Option{
				seqguard.WithPostMortem(seqguard.PostMortem{Every: time.Millisecond}),
				seqguard.WithFlightRecorder(recorder, recordings),
				seqguard.WithConnectionAttribute(true),
				seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))),
				seqguard.WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(logs)))),
				seqguard.WithLogger(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))),
			}
			errs := violations(t, server, func(m *mysql.Config) {
				m.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, KeyLogWriter: log,
					ClientSessionCache: tls.NewLRUClientSessionCache(4), ServerName: "server.seqguard.test"}
			}, &out, opts)
			if err := seqguard.Flush(t.Context()); err != nil { // the logger writes to out as well
				t.Fatal(err)
			}
			for _, err := range errs {
				fmt.Fprintf(&out, "%v\n%+v\n%#v\n", err, err, err)
			}
			fmt.Fprintf(&out, "%+v\n", seqguard.Stats())
			for _, s := range spans.GetSpans() {
				fmt.Fprintf(&out, "%+v\n", s)
			}
			if len(spans.GetSpans()) == 0 || logs.n == 0 {
				t.Errorf("%d spans, %d log records: the test is wrong", len(spans.GetSpans()), logs.n)
			}
			out.Write(logs.b.Bytes())
			for _, name := range []string{
				"seqguard.server.uptime_ms", "seqguard.server.thread.found", "seqguard.tcp.state", "seqguard.tcp.acknowledged_bytes", "seqguard.stall.cause",
				"seqguard.stall.window_ms", "seqguard.connection.uid",
			} {
				if !bytes.Contains(out.Bytes(), []byte(name)) {
					t.Errorf("no %s: the test is wrong", name)
				}
			}
			where = where || bytes.Contains(out.Bytes(), []byte("seqguard.stall.goroutine_in"))
			files, err := filepath.Glob(filepath.Join(recordings, "*"))
			if err != nil || len(files) == 0 {
				t.Errorf("no flight recording: the test is wrong (%v)", err)
			}
			for _, name := range files {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = out.Write(b)
			}
			for _, text := range []string{"BENCHMARK", "information_schema", rowText} {
				if bytes.Contains(out.Bytes(), []byte(text)) {
					t.Errorf("%q of a statement left", text)
				}
			}
			secrets := derived(t, log.bytes(), version)
			t.Logf("%d bytes left, %d secrets", out.Len(), len(secrets))
			if len(secrets) == 0 {
				t.Fatal("no secrets: the test is wrong")
			}
			for name, secret := range secrets {
				// The search must be able to find one.
				if printed := fmt.Sprintf("%+v", struct{ key []byte }{secret}); !strings.Contains(printed, forms(secret)["%v"]) {
					t.Fatalf("a printed secret is not recognised: %s", name)
				}
				for how, text := range forms(secret) {
					if bytes.Contains(out.Bytes(), []byte(text)) {
						t.Errorf("%s left, as %s", name, how)
					}
				}
			}
		})
	}
	if tested && !where {
		t.Error("no seqguard.stall.goroutine_in: the test is wrong")
	}
}

// violations provokes some on connections of their own, dumps the reports and
// what they hold, and returns the errors.
func violations(t *testing.T, server *mysqltest.Instance, change func(*mysql.Config), out *lockedBuffer, opts []seqguard.Option) (errs []error) {
	t.Helper()
	ctx := kit.Timeout(t, 30*time.Second)
	db, c := kit.Open(t, server.DSN("multiStatements=true"), change, opts...)
	db.SetMaxIdleConns(-1) // sessions are resumed
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	provoke(t, ctx, conn)
	if err := conn.Raw(func(raw any) error {
		fmt.Fprintf(out, "%v\n%+v\n%#v\n", raw, raw, raw) // the connection in use
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	errs = append(errs, conn.Close(), kit.KillRunning(ctx, t, server, db))

	idle, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	kit.AwaitIdleEnd(t, server, idle, "wait_timeout=1")
	_, err = idle.ExecContext(ctx, "DO 1")
	errs = append(errs, err, idle.Close())

	slow, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	errs = append(errs, readSlowly(ctx, t, slow), slow.Close())

	all := c.All()
	if len(all) < 4 {
		t.Errorf("%d reports, want 4", len(all))
	}
	stalled := false
	for _, r := range all {
		if r.Cause.Slug == "slow_reader" {
			stalled = true
			if s := r.Evidence.Stall; !s.Known || !r.Evidence.Transport.Known {
				t.Errorf("the kernel and the runtime were not asked: %s", r)
			}
		}
		fmt.Fprintf(out, "%s\n%s\n%v\n%+v\n%#v\n%#v\n", r, r.Timeline(), *r, *r, *r, r.Evidence)
		if b, err := json.Marshal(r.History); err == nil {
			out.Write(b)
		}
		dump(out, reflect.ValueOf(r), map[uintptr]bool{})
	}
	if !stalled {
		t.Error("no slow_reader")
	}
	return errs
}

// rowText is in rows, and in the text of their statement.
const rowText = "words-of-a-row-"

// readSlowly keeps the server waiting in the middle of an answer until it gives up.
func readSlowly(ctx context.Context, t *testing.T, conn *sql.Conn) error {
	t.Helper()
	if _, err := conn.ExecContext(ctx, "SET SESSION net_write_timeout = 1"); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.QueryContext(ctx, "SELECT REPEAT('"+rowText+"', 60000) FROM information_schema.columns LIMIT 60")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	rows.Next()
	<-time.After(3 * time.Second) // the pause is what this is about
	for rows.Next() {
	}
	if rows.Err() == nil {
		t.Error("the server waited")
	}
	return rows.Err()
}

// dump writes every string and every byte that can be reached from v, in
// unexported fields too.
func dump(out *lockedBuffer, v reflect.Value, seen map[uintptr]bool) {
	switch v.Kind() {
	case reflect.String:
		out.WriteString(v.String() + "\n")
	case reflect.Pointer:
		if !v.IsNil() && !seen[v.Pointer()] {
			seen[v.Pointer()] = true
			dump(out, v.Elem(), seen)
		}
	case reflect.Interface:
		if !v.IsNil() {
			dump(out, v.Elem(), seen)
		}
	case reflect.Struct:
		if strings.HasPrefix(v.Type().String(), "testing.") || strings.HasPrefix(v.Type().String(), "sync") {
			return
		}
		for i := range v.NumField() {
			dump(out, v.Field(i), seen)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			dump(out, it.Key(), seen)
			dump(out, it.Value(), seen)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if e := v.Index(i); e.Kind() == reflect.Uint8 {
				out.WriteByte(byte(e.Uint()))
			} else {
				dump(out, e, seen)
			}
		}
	}
}

// derived reads a key log and adds what TLS 1.3 derives from each secret.
func derived(t *testing.T, log []byte, version uint16) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for n, sc := 0, bufio.NewScanner(bytes.NewReader(log)); sc.Scan(); n++ {
		f := strings.Fields(sc.Text())
		if len(f) != 3 {
			t.Fatalf("a key log line of %d words", len(f))
		}
		secret, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%s %d", f[0], n)
		out[name] = secret
		if version == tls.VersionTLS13 {
			h := func() hash.Hash { return sha256.New() }
			if len(secret) == sha512.Size384 {
				h = sha512.New384
			}
			for label, size := range map[string]int{"key": 16, "iv": 12} {
				if label == "key" && len(secret) == sha512.Size384 {
					size = 32
				}
				out[name+" "+label] = expandLabel(t, h, secret, label, size)
			}
		}
	}
	return out
}

// expandLabel is HKDF-Expand-Label, RFC 8446 section 7.1.
func expandLabel(t *testing.T, h func() hash.Hash, secret []byte, label string, size int) []byte {
	t.Helper()
	info := append([]byte{0, byte(size), byte(6 + len(label))}, "tls13 "+label+"\x00"...)
	b, err := hkdf.Expand(h, secret, string(info), size)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// forms are the ways in which bytes are printed.
func forms(b []byte) map[string]string {
	b = b[:min(len(b), 12)] // a part is bad enough
	trim := func(s string) string { return strings.Trim(s, "[]{}") }
	sharp := fmt.Sprintf("%#v", b)
	return map[string]string{
		"bytes": string(b), "hex": hex.EncodeToString(b), "HEX": fmt.Sprintf("%X", b), "base64": base64.StdEncoding.EncodeToString(b),
		"%v": trim(fmt.Sprint(b)), "%#v": sharp[strings.Index(sharp, "{")+1 : len(sharp)-1], "%q": strings.Trim(fmt.Sprintf("%q", b), `"`),
		"% x": fmt.Sprintf("% x", b),
	}
}

// logDump is an exporter of log records.
type logDump struct {
	b bytes.Buffer
	n int
}

func (l *logDump) Export(_ context.Context, records []sdklog.Record) error {
	for i := range records {
		l.n++
		fmt.Fprintf(&l.b, "%+v\n", records[i])
	}
	return nil
}

func (l *logDump) Shutdown(context.Context) error   { return nil }
func (l *logDump) ForceFlush(context.Context) error { return nil }

// lockedBuffer may be written to by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) WriteString(s string) { _, _ = l.Write([]byte(s)) }

func (l *lockedBuffer) WriteByte(b byte) error {
	_, err := l.Write([]byte{b})
	return err
}

func (l *lockedBuffer) Len() int { return len(l.Bytes()) }

func (l *lockedBuffer) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Bytes()
}
