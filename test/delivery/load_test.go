package delivery_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/trace"
)

const (
	loadWorkers  = 40 // whose operations are healthy
	loadFailing  = 10 // who provoke failures in the same pool
	loadDeadline = 2 * time.Second
	loadLate     = 50 * time.Millisecond
)

// TestFailuresUnderLoad lets a thousand operations fail in a pool of 50 connections while the callback takes 10 s for each report and the
// exporter 3 s, and compares the healthy operations beside them with those of the plain driver under the same failures.
func TestFailuresUnderLoad(t *testing.T) {
	failures, length := 1000, 10*time.Second
	switch {
	case testing.Short():
		failures, length = 100, time.Second
	case mysqltest.Race: // no time that is measured there is a driver's
		failures, length = 300, 10*time.Second // a login in TLS takes the detector long
	}
	for _, name := range []string{"mysql9", "mariadb118"} {
		// What was cut ends on the server only when it wants to answer.
		server := mysqltest.Start(t, name, "--max-connections=1200")
		for _, params := range []string{"", "tls=skip-verify"} {
			t.Run(name+" "+params, func(t *testing.T) {
				// Both at once, each in a pool of its own: what else the machine has to do changes from second to second.
				var plain, guarded outcome
				var failing sync.WaitGroup
				failing.Add(2)
				t.Run("both", func(t *testing.T) {
					t.Run("plain", func(t *testing.T) {
						t.Parallel()
						l := newLoad(server.DSN(params), failures, length, &failing)
						defer l.over()
						plain = l.through(t, func(cfg *mysql.Config) (driver.Connector, error) { return mysql.NewConnector(cfg) })
					})
					t.Run("guarded", func(t *testing.T) {
						t.Parallel()
						l := newLoad(server.DSN(params), failures, length, &failing)
						defer l.over()
						guarded = l.guarded(t)
					})
				})
				if plain.n == 0 || guarded.n == 0 {
					t.Fatal("one of the two has not run")
				}
				plain.sum()
				guarded.sum()
				t.Logf("plain   %v", plain)
				t.Logf("guarded %v", guarded)
				t.Logf("ratio: operations %.3f, median %.3f, 99%% %.3f", guarded.rate()/plain.rate(),
					float64(guarded.median)/float64(plain.median), float64(guarded.p99)/float64(plain.p99))
				// A machine that stands still for a moment makes operations late with any driver. One on which those of the plain driver are late by
				// the hundred says less about the other.
				if slack := plain.n/1000 + plain.late/4; guarded.late > plain.late+slack {
					t.Errorf("%d operations passed their deadline by more than %v, with the plain driver %d", guarded.late, loadLate, plain.late)
				}
				// What a receiver holds up takes seconds. The ratio itself is for a quiet machine.
				if guarded.median > 10*plain.median+50*time.Millisecond {
					t.Error("the healthy operations suffer")
				}
				if guarded.unexpected > plain.unexpected+plain.n/1000+plain.unexpected/4 {
					t.Errorf("%d healthy operations failed, with the plain driver %d", guarded.unexpected, plain.unexpected)
				}
			})
		}
	}
}

// load is what both drivers are put to.
type load struct {
	dsn      string
	failures int
	length   time.Duration
	over     func()          // its failures are
	failing  *sync.WaitGroup // until those of both are: one alone on the machine would be faster

	mu    sync.Mutex
	conns map[string]*cutConn // by their own port, as the server's list has it
}

func newLoad(dsn string, failures int, length time.Duration, failing *sync.WaitGroup) *load {
	return &load{dsn: dsn, failures: failures, length: length, over: sync.OnceFunc(failing.Done), failing: failing, conns: map[string]*cutConn{}}
}

// outcome is what came of the healthy operations.
type outcome struct {
	n, late, unexpected int
	failed, unprovoked  int
	took                time.Duration
	all                 []time.Duration // how long each took

	median, p99 time.Duration
}

func (o *outcome) sum() {
	slices.Sort(o.all)
	o.median, o.p99 = o.all[len(o.all)/2], o.all[len(o.all)*99/100]
}

// rate is operations a second.
func (o outcome) rate() float64 { return float64(o.n) / o.took.Seconds() }

func (o outcome) String() string {
	return fmt.Sprintf("%d operations in %v (%.0f/s), median %v, 99%% %v, %d late, %d failed unexpectedly; %d failures provoked",
		o.n, o.took.Round(time.Millisecond), o.rate(), o.median.Round(time.Microsecond), o.p99.Round(time.Microsecond), o.late, o.unexpected, o.failed)
}

// cutConn is a connection that a test can end as a peer would.
type cutConn struct {
	*net.TCPConn
	cut atomic.Bool
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if c.cut.Load() {
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return n, err
}

func (c *cutConn) reset() {
	c.cut.Store(true)
	_ = c.TCPConn.CloseRead()
}

func (l *load) through(t *testing.T, connector func(*mysql.Config) (driver.Connector, error)) outcome {
	t.Helper()
	cfg := parse(t, l.dsn)
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		cut := &cutConn{TCPConn: c.(*net.TCPConn)}
		_, port, _ := net.SplitHostPort(c.LocalAddr().String())
		l.mu.Lock()
		l.conns[port] = cut
		l.mu.Unlock()
		return cut, nil
	}
	c, err := connector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	db.SetMaxOpenConns(loadWorkers + loadFailing)
	db.SetMaxIdleConns(loadWorkers + loadFailing)

	var mu sync.Mutex
	var all []time.Duration
	var o outcome
	done := make(chan struct{})
	var healthy, failing sync.WaitGroup
	for range loadWorkers {
		healthy.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
				}
				d, err := operation(db)
				mu.Lock()
				all = append(all, d)
				if d > loadDeadline+loadLate {
					o.late++
				}
				if err != nil {
					o.unexpected++
					if o.unexpected < 5 {
						t.Log(err)
					}
				}
				mu.Unlock()
			}
		})
	}
	start := time.Now()
	var next, failed, unprovoked atomic.Int64
	for range loadFailing {
		failing.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				if i >= l.failures {
					return
				}
				time.Sleep(time.Until(start.Add(l.length * time.Duration(i) / time.Duration(l.failures)))) // the failures are spread over the time
				began, err := time.Now(), l.provoke(db, i)
				for tries := 1; err != nil; tries++ { // a machine that stands still
					t.Logf("failure %d was not provoked: %v", i, err)
					unprovoked.Add(1)
					if tries == 3 {
						break
					}
					began, err = time.Now(), l.provoke(db, i)
				}
				if err != nil {
					continue
				}
				failed.Add(1)
				if time.Since(began) > loadDeadline+loadLate {
					mu.Lock()
					o.late++
					mu.Unlock()
				}
			}
		})
	}
	failing.Wait()
	l.over()
	l.failing.Wait()
	close(done)
	healthy.Wait()
	if n := int(failed.Load()); n < l.failures*9/10 {
		t.Errorf("%d of %d failures were provoked", n, l.failures)
	}
	o.took, o.failed, o.unprovoked, o.n, o.all = time.Since(start), int(failed.Load()), int(unprovoked.Load()), len(all), all
	return o
}

// operation is a healthy one.
func operation(db *sql.DB) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), loadDeadline)
	defer cancel()
	start := time.Now()
	var n int
	err := db.QueryRowContext(ctx, "SELECT ?", 7).Scan(&n)
	if err == nil && n != 7 {
		err = fmt.Errorf("the answer is %d", n)
	}
	return time.Since(start), err
}

// provoke makes one operation fail: a call while rows are open, or the loss of the connection during an answer.
func (l *load) provoke(db *sql.DB, i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), loadDeadline)
	defer cancel()
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if i%50 == 0 { // few, as the plain driver waits for its deadline with these
		rows, err := c.QueryContext(ctx, "SELECT 1 UNION SELECT 2")
		if err != nil {
			return err
		}
		defer rows.Close()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch _, err := c.ExecContext(ctx, "DO 1"); {
		case err == nil:
			return errors.New("a call while rows are open succeeded")
		case errors.Is(err, context.DeadlineExceeded):
			return err
		}
		return nil
	}
	var host string
	if err := c.QueryRowContext(ctx, "SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()").Scan(&host); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		return err
	}
	l.mu.Lock()
	conn := l.conns[port]
	l.mu.Unlock()
	time.AfterFunc(10*time.Millisecond, conn.reset)
	switch _, err := c.ExecContext(ctx, "DO SLEEP(2)"); {
	case err == nil:
		return errors.New("an operation succeeded on a connection that was cut")
	case errors.Is(err, context.DeadlineExceeded):
		return err // its own time was over first: it is not lost but given up
	}
	return nil
}

// guarded is through for the guarded driver, with receivers that take their time, and holds the counts against each other.
func (l *load) guarded(t *testing.T) outcome {
	t.Helper()
	over := make(chan struct{})
	wait := func(d time.Duration) {
		select {
		case <-over: // the rest of a test need not take hours
		case <-time.After(d):
		}
	}
	var told, toldLost atomic.Int64
	exporter := &patientExporter{wait: func() { wait(3 * time.Second) }}
	reader := sdkmetric.NewManualReader()
	before := seqguard.Stats()
	o := l.through(t, func(cfg *mysql.Config) (driver.Connector, error) {
		return seqguard.NewConnector(cfg,
			seqguard.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))),
			seqguard.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
			seqguard.WithOnReport(func(_ context.Context, r *seqguard.Report) {
				wait(10 * time.Second)
				told.Add(1)
				toldLost.Add(int64(r.Lost))
			}))
	})
	close(over)
	flush(t)
	after := seqguard.Stats()
	undelivered := int64(after.Undelivered - before.Undelivered)
	violations, _ := total(t, reader, trace.MetricViolations)
	dropped, _ := total(t, reader, trace.MetricDropped)
	spans := exporter.spans.Load()
	t.Logf("%d violations; told to the callback %d; spans %d, beyond the rate %d; undelivered %d", violations, told.Load(), spans, dropped, undelivered)
	// What was not provoked as it was meant may be a failure of another kind, such as a login that takes longer than its context, and is tried again; as
	// may one of a healthy operation.
	reports := int(after.Reports - before.Reports)
	if reports < o.failed || reports > o.failed+o.unprovoked+o.unexpected {
		t.Errorf("%d failures provoked, %d not, %d unexpected; %d counted", o.failed, o.unprovoked, o.unexpected, reports)
	}
	if int(violations) != reports {
		t.Errorf("%d failures counted, %d in the metrics", reports, violations)
	}
	// Of each failure a span was made, or it was dropped and counted as that.
	if spans+dropped != violations {
		t.Errorf("%d spans and %d dropped of %d violations", spans, dropped, violations)
	}
	if lost := int64(reports) - told.Load(); lost < 0 || lost > undelivered || toldLost.Load() > lost {
		t.Errorf("%d of %d told, %d undelivered, %d of them told", told.Load(), reports, undelivered, toldLost.Load())
	}
	return o
}

// patientExporter is slow until its wait is over.
type patientExporter struct {
	wait  func()
	spans atomic.Int64
}

func (e *patientExporter) ExportSpans(_ context.Context, s []sdktrace.ReadOnlySpan) error {
	e.wait()
	e.spans.Add(int64(len(s)))
	return nil
}
func (e *patientExporter) Shutdown(context.Context) error { return nil }
