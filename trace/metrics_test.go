package trace_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

func TestViolationsAreCounted(t *testing.T) {
	k := newKit(attribute.String("shard", "7"))
	for _, r := range []*wrapconn.Report{stalled(context.Background()), stalled(context.Background()), idle(context.Background())} {
		k.rec.Report(r.Context, r)
	}
	var got []string
	for _, p := range collect(t, k.reader)[trace.MetricViolations].Data.(metricdata.Sum[int64]).DataPoints {
		got = append(got, fmt.Sprint(p.Value, " ", p.Attributes.Encoded(attribute.DefaultEncoder())))
	}
	slices.Sort(got)
	want := []string{
		"1 seqguard.cause=idle_timeout,seqguard.severity=notice,server.address=/run/mysqld.sock,shard=7",
		"2 seqguard.cause=login_stalled_locally,seqguard.severity=error,server.address=db.internal,server.port=3306,shard=7",
	}
	if !slices.Equal(got, want) {
		t.Errorf("points\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestStormIsLimitedAndTold(t *testing.T) {
	k := newKit()
	report := func(server string) {
		r := stalled(context.Background())
		if server != "" {
			r.Server = server
		}
		k.rec.Report(r.Context, r)
	}
	dropped := func() int64 {
		s := k.violations()
		v, _ := get(s[len(s)-1].Attributes(), trace.KeyDroppedReports)
		return v.AsInt64()
	}
	const storm = 1000
	for range storm {
		report("")
	}
	if n := len(k.violations()); n != 10 {
		t.Errorf("%d spans, want the burst of 10", n)
	}
	if n := len(k.logs.records); n != 10 {
		t.Errorf("%d log records, want 10", n)
	}
	if n := strings.Count(k.text.String(), "\n"); n != 10 {
		t.Errorf("%d lines, want 10", n)
	}
	report("other:3306") // has its own share
	if n := len(k.violations()); n != 11 || dropped() != 0 {
		t.Errorf("%d spans with another server's, %d dropped there", n, dropped())
	}
	k.clock.advance(time.Second)
	report("")
	report("")
	if n := len(k.violations()); n != 12 || dropped() != storm-10 {
		t.Errorf("after a second %d spans, the last tells of %d dropped, want 12 and %d", n, dropped(), storm-10)
	}
	k.clock.advance(time.Hour)
	for range 11 {
		report("")
	}
	if n := len(k.violations()); n != 22 || dropped() != 0 {
		t.Errorf("after an hour %d spans, want 10 more; %d dropped", n-12, dropped())
	}
	got := sums(t, k.reader)
	if got[trace.MetricViolations] != storm+14 || got[trace.MetricDropped] != storm-10+2 {
		t.Errorf("metrics %v", got)
	}
}

func TestTotals(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	defer wrapconn.New(a, wrapconn.Options{}).Close()

	// Three Recorders, one of them started twice: the totals are seen once.
	recs := []*trace.Recorder{trace.New(trace.Config{MeterProvider: mp}), trace.New(trace.Config{MeterProvider: mp}), trace.New(trace.Config{MeterProvider: mp})}
	for _, r := range append(recs, recs[0]) {
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range recs {
		got := sums(t, reader)
		if want := int64(wrapconn.Stats().Connections); got[trace.MetricOpened] != want || want == 0 {
			t.Errorf("%d Recorders: %d connections made, want %d", len(recs)-i, got[trace.MetricOpened], want)
		}
		if got[trace.MetricConnections] != 1 {
			t.Errorf("%d Recorders: %d connections open, want 1", len(recs)-i, got[trace.MetricConnections])
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal("Close for the second time:", err)
		}
	}
	if got := sums(t, reader); len(got) != 0 {
		t.Errorf("after the last Close the totals are still seen: %v", got)
	}
	if err := recs[0].Start(); err != nil {
		t.Fatal(err)
	}
	if got := sums(t, reader); got[trace.MetricOpened] == 0 {
		t.Error("Start after Close: nothing is seen")
	}
	if err := recs[0].Close(); err != nil {
		t.Fatal(err)
	}
}

// connect holds a connection until the end of the test.
func connect(t *testing.T, dsn string) {
	t.Helper()
	db, err := sql.Open(seqguard.DriverName, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
}

// Open connections are told apart by what lies under their packets, one that
// logs in is not taken for one without TLS, and one that is closed is gone.
func TestConnections(t *testing.T) {
	web := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	defer web.Close()
	plain := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}))
	compressed := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{
		Capabilities: mysqltest.DefaultCapabilities | mysqltest.CapCompress,
	}))
	encrypted := mysqltest.ServeEvery(t,
		mysqltest.Greeting(mysqltest.GreetingOptions{Capabilities: mysqltest.DefaultCapabilities | mysqltest.CapSSL}),
		mysqltest.UpgradeTLS(&tls.Config{Certificates: web.TLS.Certificates}),
		mysqltest.ExpectLogin(), mysqltest.SendOK(mysqltest.Next))
	reader := sdkmetric.NewManualReader()
	rec := trace.New(trace.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	if err := rec.Start(); err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	points := func() (out []string) {
		sum := collect(t, reader)[trace.MetricConnections].Data.(metricdata.Sum[int64])
		for _, p := range sum.DataPoints {
			out = append(out, fmt.Sprint(p.Value, " ", p.Attributes.Encoded(attribute.DefaultEncoder())))
		}
		slices.Sort(out)
		return out
	}

	for _, dsn := range []string{
		plain.DSN(""), plain.DSN(""), compressed.DSN("compress=true"),
		encrypted.DSN("tls=skip-verify"), encrypted.DSN("tls=skip-verify&seqguardTLS=opaque"),
	} {
		connect(t, dsn)
	}
	dialled, b := net.Pipe()
	defer b.Close()
	login := wrapconn.New(dialled, wrapconn.Options{})
	want := []string{
		"1 ",
		"1 seqguard.compression=none,seqguard.tls=opaque",
		"1 seqguard.compression=none,seqguard.tls=visible",
		"1 seqguard.compression=zlib,seqguard.tls=none",
		"2 seqguard.compression=none,seqguard.tls=none",
	}
	if got := points(); !slices.Equal(got, want) {
		t.Errorf("points\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	login.Close()
	if got := points(); !slices.Equal(got, want[1:]) {
		t.Errorf("one is closed: points\n%s", strings.Join(got, "\n"))
	}
}

// Nothing is emitted, and no instrument made, while nothing happens.
func TestSilence(t *testing.T) {
	k := newKit()
	if got := collect(t, k.reader); len(got)+len(k.violations())+len(k.logs.records)+k.text.Len() != 0 {
		t.Errorf("a Recorder without a report emitted %v", got)
	}
}

// A provider of a type that cannot be compared must do no harm.
func TestProviderThatCannotBeCompared(t *testing.T) {
	type provider struct {
		noop.MeterProvider
		_ []int
	}
	rec := trace.New(trace.Config{MeterProvider: provider{}})
	for range 2 {
		r := stalled(context.Background())
		rec.Report(r.Context, r)
		if err := rec.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
}
