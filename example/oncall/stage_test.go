package oncall

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// stage is where a failure is provoked.
type stage struct {
	*testing.T
	ctx      context.Context // with the request's span
	server   *mysqltest.Instance
	root     *sql.DB
	host     string // a name of its own: failures of one server within a second are told together
	provider *sdktrace.TracerProvider
	reports  kit.Collector
	log      buffer

	known map[*sql.Conn]int
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

// seen is what there is to see of a failure.
type seen struct {
	*failure
	server string
	host   string // what it was called in the end
	err    error
	report *seqguard.Report
	log    string
	page   string
	trace  trace.TraceID
}

func (s *stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stage) pool(params string) *sql.DB { return s.poolOn(s.server.Addr, params, nil) }

func (s *stage) poolOn(addr, params string, change func(*mysql.Config)) *sql.DB {
	cfg, err := mysql.ParseDSN("gotest:secret@tcp(" + addr + ")/gotest?" + params)
	s.must(err)
	cfg.Logger = &mysql.NopLogger{}
	if change != nil {
		change(cfg)
	}
	dial := cfg.DialFunc
	cfg.Addr = s.host
	cfg.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		if dial != nil {
			return dial(ctx, network, addr)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	handler := slog.NewTextHandler(&s.log, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}})
	connector, err := seqguard.NewConnector(cfg, seqguard.WithTracerProvider(s.provider), seqguard.WithLogger(slog.New(handler)),
		seqguard.WithOnReport(s.reports.Add), seqguard.WithAbandoned(true))
	s.must(err)
	db := sql.OpenDB(connector)
	s.Cleanup(func() { _ = db.Close() })
	return db
}

// conn is a connection that the application holds.
func (s *stage) conn(db *sql.DB) *sql.Conn {
	s.Helper()
	c, err := db.Conn(s.ctx)
	s.must(err)
	s.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *stage) exec(c *sql.Conn, statement string) {
	s.Helper()
	_, err := c.ExecContext(s.ctx, statement)
	s.must(err)
}

func (s *stage) admin(statement string) {
	s.Helper()
	_, err := s.root.Exec(statement)
	s.must(err)
}

// until provokes a failure again, on a server of another name, where chance has made another one of it: right says what must hold of the report, which
// is nil if the error has none.
func (s *stage) until(right func(r *seqguard.Report) bool, provoke func() error) error {
	for range 5 {
		err := provoke()
		var pe *seqguard.ProtocolError
		var r *seqguard.Report
		if errors.As(err, &pe) {
			r = pe.Report
		}
		if right(r) {
			return err
		}
		s.Logf("once more: %v", err)
		s.host = "db9" + strings.TrimPrefix(s.host, "db")
		s.reports.Reset()
		s.log.Reset()
	}
	return errors.New("five times another failure")
}

// told is for a failure that a server may answer: MySQL does so with one of 300 statements that it is told to kill (kit.AnsweredKill).
func told(r *seqguard.Report) bool { return r != nil }

// soonAfter is for an end that must be found before the connection has been idle for as long as a limit may be.
func soonAfter(r *seqguard.Report) bool { return r != nil && r.Evidence.Idle < time.Second }

// firstEnd is when the first of what was reported happened.
func (s *stage) firstEnd() (first time.Time) {
	for _, r := range s.reports.All() {
		if first.IsZero() || r.Time.Before(first) {
			first = r.Time
		}
	}
	return first
}

// ids are those of the connections, asked for once, while they are free.
func (s *stage) ids(conns []*sql.Conn) (out []int) {
	s.Helper()
	for _, c := range conns {
		if s.known[c] == 0 {
			var id int
			s.must(c.QueryRowContext(s.ctx, "SELECT connection_id()").Scan(&id))
			if s.known == nil {
				s.known = map[*sql.Conn]int{}
			}
			s.known[c] = id
		}
		out = append(out, s.known[c])
	}
	return out
}

// only is the id of the one connection that there is, without a question, which would be seen.
func (s *stage) only() int {
	s.Helper()
	all, _ := wrapconn.Connections(s.host, 0)
	if len(all) != 1 {
		s.Fatalf("%d connections to %s", len(all), s.host)
	}
	return int(all[0].Connection)
}

func (s *stage) kill(c *sql.Conn) { s.killID(s.ids([]*sql.Conn{c})[0]) }

func (s *stage) killID(id int) {
	s.admin(fmt.Sprintf("KILL %d", id))
	time.Sleep(300 * time.Millisecond) // the page says that it has been idle for so long
	kit.AwaitEnd(s.T, s.server, id)
}

func (s *stage) killSoon(c *sql.Conn) {
	id := s.ids([]*sql.Conn{c})[0]
	done := make(chan struct{})
	s.Cleanup(func() { <-done })
	time.AfterFunc(300*time.Millisecond, func() {
		defer close(done)
		kit.AwaitStatement(s.T, s.server, id)
		if _, err := s.root.Exec(fmt.Sprintf("KILL %d", id)); err != nil {
			s.Error(err)
		}
	})
}
