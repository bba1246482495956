package delivery_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// ending is a context that ends when the test says so, and as it says. A limit in time that a test sets can be over before the operation is where the
// test wants it.
type ending struct {
	context.Context
	done chan struct{}
	how  cause.Abandon
}

func endingAs(t *testing.T, how cause.Abandon) (ctx *ending, end func()) {
	ctx = &ending{Context: t.Context(), done: make(chan struct{}), how: how}
	end = sync.OnceFunc(func() { close(ctx.done) })
	t.Cleanup(end)
	return ctx, end
}

func (e *ending) Done() <-chan struct{} { return e.done }

func (e *ending) Err() error {
	select {
	case <-e.done:
		return e.err()
	default:
		return nil
	}
}

// err is what the context says once it has ended.
func (e *ending) err() error {
	if e.how == cause.AbandonDeadline {
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// givingUp are operations that the application gives up while the server is at work on them: a moment after atWork was called.
var givingUp = []struct {
	name    string
	how     cause.Abandon
	started bool // a part of the answer has come
	run     func(ctx context.Context, atWork func(), c *sql.Conn) error
}{
	{"deadline", cause.AbandonDeadline, false, func(ctx context.Context, atWork func(), c *sql.Conn) error {
		go atWork()
		_, err := c.ExecContext(ctx, "DO SLEEP(60)")
		return err
	}},
	{"cancelled", cause.AbandonCanceled, false, func(ctx context.Context, atWork func(), c *sql.Conn) error {
		go atWork()
		rows, err := c.QueryContext(ctx, "SELECT SLEEP(60)")
		if err == nil { // MySQL sends the columns before it sleeps
			defer rows.Close()
			for rows.Next() {
			}
			err = rows.Err()
		}
		return err
	}},
	{"a statement", cause.AbandonCanceled, false, func(ctx context.Context, atWork func(), c *sql.Conn) error {
		s, err := c.PrepareContext(ctx, "DO SLEEP(?)")
		if err != nil {
			return err
		}
		defer s.Close()
		go atWork()
		_, err = s.ExecContext(ctx, 60)
		return err
	}},
	{"rows that come", cause.AbandonCanceled, true, func(ctx context.Context, atWork func(), c *sql.Conn) error {
		// Without a limit it would go on for hours.
		rows, err := c.QueryContext(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 1000) SELECT a.i, REPEAT('x', 1000) FROM n a, n b, n c")
		if err != nil {
			return err
		}
		defer rows.Close()
		go atWork()
		for rows.Next() {
		}
		return rows.Err()
	}},
}

// A context that ends while the server is at work left no trace.
func TestAbandoned(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		for _, report := range []bool{false, true} {
			for _, c := range givingUp {
				name := c.name
				if report {
					name += ", reported"
				}
				t.Run(name, func(t *testing.T) {
					col := &kit.Collector{}
					db := pool(t, server.DSN(""), seqguard.WithAbandoned(report), seqguard.WithOnReport(col.Add))
					conn := kit.Pin(t, db)
					var id uint32
					if err := conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
						t.Fatal(err)
					}
					before := seqguard.Stats()
					ctx, end := endingAs(t, c.how)
					err := c.run(ctx, func() {
						defer time.AfterFunc(100*time.Millisecond, end)
						kit.AwaitStatement(t, server, int(id))
					}, conn)
					if want := ctx.err(); !errors.Is(err, want) || strings.Contains(err.Error(), "seqguard") {
						t.Errorf("error %v, want the driver's own about %v", err, want)
					}
					_ = conn.Close()
					var r *wrapconn.Report
					kit.Eventually(t, func() bool { r = abandonedOn(id); return r != nil }, "connection %d is not in the list", id)
					if r == nil {
						return
					}
					t.Log(r.Cause.Explanation)
					if n := seqguard.Stats().Abandoned - before.Abandoned; n != 1 {
						t.Errorf("%d counted, want 1", n)
					}
					site, _ := r.Operation().Site()
					if r.Evidence.Abandoned != c.how || r.Cause.Severity != cause.Notice || !strings.HasSuffix(site.File, "abandoned_test.go") ||
						r.Evidence.SinceCommand < 50*time.Millisecond || c.started && !r.Evidence.AnswerStarted {
						t.Errorf("%s: %v, %v, after %v, answer started %v, at %v", r.Cause.Slug, r.Evidence.Abandoned, r.Cause.Severity, r.Evidence.SinceCommand, r.Evidence.AnswerStarted, site)
					}
					if r.Cause.RetrySafe || r.Cause.Executed == cause.ExecutedNo {
						t.Errorf("executed %v, retry safe %v", r.Cause.Executed, r.Cause.RetrySafe)
					}
					if !report {
						col.None(t)
						return
					}
					if told := col.Only(t); told.Cause.Slug != "abandoned" {
						t.Errorf("told of %s", told.Cause.Slug)
					}
				})
			}
		}
	})
}

// givenUpLogin is a server that keeps quiet in the login until the client is gone, and says when it has come to that.
func givenUpLogin(t *testing.T, before ...mysqltest.Step) (dsn string, quiet chan struct{}) {
	quiet = make(chan struct{}, 1)
	return mysqltest.ServeEvery(t, append(before, mysqltest.Do("keep quiet", func(s *mysqltest.Session) error {
		quiet <- struct{}{}
		_, _ = io.Copy(io.Discard, s.Conn)
		return nil
	}))...).DSN("seqguardAbandoned=true"), quiet
}

// A context that ends while a connection is being made: counted and told as an operation that is given up, with no word of a statement.
func TestAbandonedLogin(t *testing.T) {
	for name, before := range map[string][]mysqltest.Step{
		"before the greeting": nil,
		"before the answer":   {mysqltest.Greeting(mysqltest.GreetingOptions{ThreadID: 4711}), mysqltest.ExpectLogin()},
	} {
		for _, how := range []cause.Abandon{cause.AbandonCanceled, cause.AbandonDeadline} {
			t.Run(name+", "+how.String(), func(t *testing.T) {
				col := &kit.Collector{}
				dsn, quiet := givenUpLogin(t, before...)
				db := pool(t, dsn, seqguard.WithOnReport(col.Add))
				before := seqguard.Stats().Abandoned
				ctx, end := endingAs(t, how)
				go func() {
					// The server may have the connection before the client does, whose dial would then be what is given up.
					defer end()
					<-quiet
					server := parse(t, dsn).Addr
					kit.Eventually(t, func() bool { all, _ := wrapconn.Connections(server, 0); return len(all) == 1 }, "there is no connection to %s", server)
				}()
				if err, want := db.PingContext(ctx), ctx.err(); !errors.Is(err, want) || strings.Contains(err.Error(), "seqguard") {
					t.Errorf("error %v, want the driver's own about %v", err, want)
				}
				r := col.Only(t)
				says := "before the login was over"
				if name == "before the greeting" {
					says = "before the server had greeted"
				}
				if r.Cause.Slug != "abandoned" || r.Evidence.Abandoned != how || r.Cause.Severity != cause.Notice || r.Cause.Executed != cause.ExecutedNo ||
					!strings.Contains(r.Cause.Explanation, says) || strings.Contains(r.Summary(), "KILL") {
					t.Errorf("%s, %v: %s", r.Cause.Slug, r.Cause.Executed, r)
				}
				if n := seqguard.Stats().Abandoned - before; n != 1 {
					t.Errorf("%d counted, want 1", n)
				}
			})
		}
	}
}

// abandonedOn is the operation that was given up on a connection with that number: each is used once.
func abandonedOn(id uint32) *wrapconn.Report {
	for _, r := range wrapconn.LastAbandoned() {
		if r.Connection == id {
			return r.Report
		}
	}
	return nil
}

// What is none: an answer that was complete, a context that ends afterwards, a pool that is closed, a connection that is lost, a
// time limit of the driver.
func TestNotAbandoned(t *testing.T) {
	server := mysqltest.Shared(t, "mysql9")
	before := seqguard.Stats().Abandoned
	db := pool(t, server.DSN(""))
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := db.ExecContext(ctx, "DO 1"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = tx.Rollback()

	if err := kit.KillRunning(t.Context(), t, server, db); err == nil {
		t.Error("a killed statement succeeded")
	}
	limited := pool(t, server.DSN("readTimeout=1s")) // the login's, too
	if _, err := limited.ExecContext(t.Context(), "DO SLEEP(5)"); !errors.Is(err, mysql.ErrInvalidConn) {
		t.Errorf("after the driver's time limit: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if n := seqguard.Stats().Abandoned - before; n != 0 {
		t.Errorf("%d counted as given up, want none", n)
	}
}
