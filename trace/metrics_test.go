package trace_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

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
	wrapconn.New(a, wrapconn.Options{})

	// Three Recorders, one of them started twice: the totals are seen once.
	recs := []*trace.Recorder{trace.New(trace.Config{MeterProvider: mp}), trace.New(trace.Config{MeterProvider: mp}), trace.New(trace.Config{MeterProvider: mp})}
	for _, r := range append(recs, recs[0]) {
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range recs {
		got := sums(t, reader)
		if want := int64(wrapconn.Stats().Connections); got[trace.MetricConnections] != want || want == 0 {
			t.Errorf("%d Recorders: %d connections, want %d", len(recs)-i, got[trace.MetricConnections], want)
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
	if got := sums(t, reader); got[trace.MetricConnections] == 0 {
		t.Error("Start after Close: nothing is seen")
	}
	if err := recs[0].Close(); err != nil {
		t.Fatal(err)
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
