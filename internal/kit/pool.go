package kit

import (
	"context"
	"database/sql"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
)

// Collector keeps the reports of a test.
type Collector struct {
	mu      sync.Mutex
	reports []*seqguard.Report
}

// Add is for seqguard.WithOnReport.
func (c *Collector) Add(_ context.Context, r *seqguard.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = append(c.reports, r)
}

// All returns the reports so far, oldest first, when all that have been made are
// delivered.
func (c *Collector) All() []*seqguard.Report {
	_ = seqguard.Flush(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*seqguard.Report(nil), c.reports...)
}

// Reset forgets the reports so far.
func (c *Collector) Reset() {
	_ = seqguard.Flush(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = nil
}

// Only returns the one report that there must be.
func (c *Collector) Only(t *testing.T) *seqguard.Report {
	t.Helper()
	all := c.All()
	if len(all) != 1 {
		for _, r := range all {
			t.Logf("%s\n%s", r, r.Timeline())
		}
		t.Fatalf("%d reports, want 1", len(all))
	}
	return all[0]
}

// None fails the test if there is a report.
func (c *Collector) None(t *testing.T) {
	t.Helper()
	for _, r := range c.All() {
		t.Errorf("unexpected report: %s\n%s", r, r.Timeline())
	}
}

// Open opens a guarded pool whose reports are collected. change may be nil.
func Open(t *testing.T, dsn string, change func(*mysql.Config), opts ...seqguard.Option) (*sql.DB, *Collector) {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = &mysql.NopLogger{}
	if change != nil {
		change(cfg)
	}
	c := &Collector{}
	connector, err := seqguard.NewConnector(cfg, append(opts, seqguard.WithOnReport(c.Add))...)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db, c
}

// Timeout returns a context that ends after d, or with the test.
func Timeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// Stall makes this process stop for a while in front of its nth write: the
// driver sets a write deadline before each, because the configuration has a
// WriteTimeout.
func Stall(cfg *mysql.Config, nth int, d time.Duration) {
	cfg.WriteTimeout = time.Minute
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var nd net.Dialer
		c, err := nd.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &stallConn{Conn: c, left: nth, d: d}, nil
	}
}

type stallConn struct {
	net.Conn
	left int
	d    time.Duration
}

func (c *stallConn) SetWriteDeadline(t time.Time) error {
	if c.left--; c.left == 0 {
		time.Sleep(c.d) // the fault
		t = t.Add(c.d)
	}
	return c.Conn.SetWriteDeadline(t)
}

// OpenPipe opens a pool whose first connection is c; there is no second one.
func OpenPipe(t testing.TB, cfg *mysql.Config, c net.Conn) (*sql.DB, *Collector) {
	t.Helper()
	var once sync.Once
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		var out net.Conn
		once.Do(func() { out = c })
		if out == nil {
			return nil, net.ErrClosed
		}
		return out, nil
	}
	col := &Collector{}
	connector, err := seqguard.NewConnector(cfg, seqguard.WithOnReport(col.Add))
	if err != nil {
		t.Fatal(err)
	}
	return sql.OpenDB(connector), col
}
