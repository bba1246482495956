//go:build linux

package testimony_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// poolPoints are the points of the metrics of pools: the value, or of a histogram how
// many it has and whether all of them are below a minute.
func poolPoints(t *testing.T, r *sdkmetric.ManualReader) (out []string) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	add := func(name string, set attribute.Set, value any) {
		out = append(out, fmt.Sprintf("%s{%s} %v", name, set.Encoded(attribute.DefaultEncoder()), value))
	}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if !strings.HasPrefix(m.Name, "db.client.") && !strings.HasPrefix(m.Name, "seqguard.pool.") {
				continue
			}
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					add(m.Name, p.Attributes, p.Value)
				}
			case metricdata.Sum[float64]:
				for _, p := range d.DataPoints {
					add(m.Name, p.Attributes, p.Value > 0.1 && p.Value < 10)
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					add(m.Name, p.Attributes, fmt.Sprint(p.Count, ", ", p.Sum > 0 && p.Sum < 30))
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func wantPoints(t *testing.T, r *sdkmetric.ManualReader, want ...string) {
	t.Helper()
	slices.Sort(want)
	var got []string
	defer func() {
		if t.Failed() {
			t.Logf("points\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}()
	kit.Eventually(t, func() bool { // it is recorded in the background
		got = poolPoints(t, r)
		return slices.Equal(got, want)
	}, "the points are not as they should be")
}

// The metrics of a pool under the standard names: nothing without the option, what
// the guard measures with it, and what database/sql tells where the pool is watched.
func TestPoolMetrics(t *testing.T) {
	for _, name := range real {
		t.Run(name, func(t *testing.T) {
			ctx := kit.Timeout(t, 30*time.Second)
			reader := sdkmetric.NewManualReader()
			meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
			server := mysqltest.Shared(t, name)

			silent, _ := kit.Open(t, server.DSN(""), nil, seqguard.WithMeterProvider(meters))
			stop, err := seqguard.WatchPool(ctx, silent)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			wantPoints(t, reader)

			db, _ := kit.Open(t, server.DSN(""), nil, seqguard.WithMeterProvider(meters), seqguard.WithPoolMetrics("shop"))
			db.SetMaxOpenConns(2)
			const pool = "db.client.connection.pool.name=shop"
			for range 3 {
				if err := db.PingContext(ctx); err != nil {
					t.Fatal(err)
				}
			}
			wantPoints(t, reader, "db.client.connection.create_time{"+pool+"} 1, true", "db.client.connection.use_time{"+pool+"} 3, true")

			var stops []func()
			for range 2 { // one of them observes
				stop, err := seqguard.WatchPool(ctx, db)
				if err != nil {
					t.Fatal(err)
				}
				stops = append(stops, stop)
			}
			held := make([]*sql.Rows, 2)
			for i := range held {
				held[i] = listSlowly(t, ctx, db)
			}
			waiting, cancel := context.WithTimeout(ctx, time.Second)
			if err := db.PingContext(waiting); err == nil {
				t.Error("there was a third connection")
			}
			cancel()
			observed := func(used, idle, uses int) []string {
				return []string{
					fmt.Sprintf("db.client.connection.count{%s,db.client.connection.state=used} %d", pool, used),
					fmt.Sprintf("db.client.connection.count{%s,db.client.connection.state=idle} %d", pool, idle),
					"db.client.connection.max{" + pool + "} 2",
					"db.client.connection.create_time{" + pool + "} 2, true",
					fmt.Sprintf("db.client.connection.use_time{%s} %d, true", pool, uses),
					"seqguard.pool.waits{" + pool + "} 1",
					"seqguard.pool.wait_duration{" + pool + "} true",
				}
			}
			wantPoints(t, reader, observed(2, 0, 5)...) // three pings, and one of each watch
			held[0].Close()
			wantPoints(t, reader, observed(1, 1, 6)...)
			// A connection that breaks while it is used is closed and was used, too.
			c, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			broken, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if _, err := c.ExecContext(broken, "DO SLEEP(20)"); err == nil {
				t.Error("no error")
			}
			c.Close()
			held[1].Close()
			wantPoints(t, reader, observed(0, 1, 8)...)
			for _, stop := range stops {
				stop()
			}
			wantPoints(t, reader, "db.client.connection.create_time{"+pool+"} 2, true", "db.client.connection.use_time{"+pool+"} 8, true")
			stop, err = seqguard.WatchPool(ctx, db) // it can be watched again
			if err != nil {
				t.Fatal(err)
			}
			wantPoints(t, reader, observed(0, 1, 9)...)
			stop()
		})
	}
}

// Without a name, a pool has that of the semantic conventions.
func TestPoolName(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	server := mysqltest.Shared(t, "mysql9")
	db, _ := kit.Open(t, server.DSN(""), nil, seqguard.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))), seqguard.WithPoolMetrics(""))
	if err := db.PingContext(kit.Timeout(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	set := "{db.client.connection.pool.name=" + server.Addr + "/gotest}"
	wantPoints(t, reader, "db.client.connection.create_time"+set+" 1, true", "db.client.connection.use_time"+set+" 1, true")
}
