package soak_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
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

// loginGivenUp is kit.LoginGivenUp of a worker's context.
func loginGivenUp(r *seqguard.Report, began, deadline time.Time) bool {
	return kit.LoginGivenUp(r, began, deadline, shortContext)
}

// ofGivenUp reports whether a report is one that a worker has had in its error.
func (s *soak) ofGivenUp(r *seqguard.Report) bool {
	return slices.ContainsFunc(s.givenUp, func(had *seqguard.Report) bool { return kit.Same(had, r) })
}

// lateContext is a context with a deadline that is noticed when it is told, as by a process without a CPU.
type lateContext struct {
	context.Context
	deadline time.Time
	done     chan struct{}
}

func (c *lateContext) Deadline() (time.Time, bool) { return c.deadline, true }
func (c *lateContext) Done() <-chan struct{}       { return c.done }

func (c *lateContext) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// slowLogin is a connection that tells of its first read and of its end.
type slowLogin struct {
	net.Conn
	reads, closes func()
}

func (c *slowLogin) Read(p []byte) (int, error) { c.reads(); return c.Conn.Read(p) }
func (c *slowLogin) Close() error               { defer c.closes(); return c.Conn.Close() }

// A login that is given up after more than a second, in each of its phases: what is said of it, and that the soak knows it as its own
// doing, and nothing that differs from it in anything.
func TestLoginGivenUp(t *testing.T) {
	withTLS := mysqltest.Greeting(mysqltest.GreetingOptions{Capabilities: mysqltest.DefaultCapabilities | mysqltest.CapSSL})
	handshake := mysqltest.Do("handshake", func(s *mysqltest.Session) error {
		_ = tls.Server(s.Conn, kit.SelfSigned(t)).Handshake() // the client hangs up in its course
		return nil
	})
	for slug, script := range map[cause.Slug][]mysqltest.Step{
		"no_greeting":           nil,
		"login_unanswered":      {mysqltest.Greeting(mysqltest.GreetingOptions{}), mysqltest.ExpectLogin()},
		"tls_failed":            {withTLS, mysqltest.ExpectLogin()}, // the SSLRequest is the beginning of a login
		"login_stalled_locally": {withTLS, mysqltest.ExpectLogin(), handshake},
	} {
		t.Run(string(slug), func(t *testing.T) {
			t.Parallel()
			server := mysqltest.ServeEvery(t, script...)
			began := time.Now()
			ctx := &lateContext{context.Background(), began.Add(5 * time.Millisecond), make(chan struct{})}
			closed := make(chan struct{})
			db, c := kit.Open(t, server.DSN(""), func(cfg *mysql.Config) {
				if slug == "tls_failed" || slug == "login_stalled_locally" {
					cfg.TLS = &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error { <-closed; return nil }}
				}
				cfg.DialFunc = func(_ context.Context, network, addr string) (net.Conn, error) {
					inner, err := net.Dial(network, addr)
					return &slowLogin{inner,
						sync.OnceFunc(func() { time.AfterFunc(1100*time.Millisecond, func() { close(ctx.done) }) }),
						sync.OnceFunc(func() { close(closed) })}, err
				}
			})
			err := db.PingContext(ctx)
			r := kit.WantCause(t, err, c, slug)
			var pe *seqguard.ProtocolError
			if !errors.As(err, &pe) {
				t.Fatal("no report in the error")
			}
			// As the soak takes it.
			s := &soak{t: t, done: map[string]int{}, failed: map[string]int{}}
			s.note("ping", began, ctx.deadline, true, err)
			if !s.ofGivenUp(r) || s.failed["ping"] != 1 || s.failures != 0 {
				t.Errorf("not known as the worker's own doing: %s\n%s", r, r.Timeline())
			}
			// A process that stands still leaves in the socket what has come: TestGreetingLayAtDeadline.
			unread := *pe.Report
			unread.Cause.Slug = "read_too_late"
			if !loginGivenUp(&unread, began, ctx.deadline) {
				t.Errorf("not known as the worker's own doing: %s", &unread)
			}
			for what, change := range map[string]func(r *seqguard.Report, began, deadline *time.Time){
				"a context that lasts": func(_ *seqguard.Report, began, _ *time.Time) { *began = began.Add(-20 * time.Second) },
				"a deadline to come":   func(r *seqguard.Report, _, deadline *time.Time) { *deadline = r.Time.Add(time.Millisecond) },
				"an older connection":  func(r *seqguard.Report, began, _ *time.Time) { r.Connected = began.Add(-time.Millisecond) },
				"a younger one":        func(r *seqguard.Report, _, _ *time.Time) { r.Time = r.Connected.Add(time.Second) },
				"another error":        func(r *seqguard.Report, _, _ *time.Time) { r.Err = context.Canceled },
				"the server's end":     func(r *seqguard.Report, _, _ *time.Time) { r.Evidence.Stream = cause.StreamEOF },
				"another cause":        func(r *seqguard.Report, _, _ *time.Time) { r.Cause.Slug = "closed_before_answer" },
				"no operation":         func(r *seqguard.Report, _, _ *time.Time) { r.Owner = nil },
				"another operation":    func(r *seqguard.Report, _, _ *time.Time) { o := *r.Owner; o.Kind = wrapconn.OpQuery; r.Owner = &o },
			} {
				other, began, deadline := *pe.Report, began, ctx.deadline
				change(&other, &began, &deadline)
				if loginGivenUp(&other, began, deadline) {
					t.Errorf("%s is taken for it as well", what)
				}
			}
		})
	}
}
