package stale_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// stale is what is injected, in full or without its end.
var stale = map[string][]byte{
	"OK":              mysqltest.Packet(1, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0)),
	"result set":      resultSet("4711"),
	"half a packet":   resultSet("4711")[:2],
	"half an answer":  resultSet("4711")[:20],
	"a big answer":    resultSet(strings.Repeat("x", 100_000)),
	"answer and half": append(resultSet("4711"), 1, 0, 0),
}

// TestStaleWhileIdle lets a stale answer come while the connection is idle, in a pool or held by a transaction: the next command is
// not sent, and the pool runs it elsewhere.
func TestStaleWhileIdle(t *testing.T) {
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		for name, bytes := range stale {
			t.Run(name, func(t *testing.T) {
				for _, when := range []string{"behind the answer", "a while after"} {
					sent, answered := make(chan error, 1), make(chan struct{})
					if when == "behind the answer" {
						close(answered)
					}
					var once sync.Once
					sockets := new(kit.Sockets)
					db, reports := kit.ScriptedSockets(t, secure, sockets, kit.Echo(func(s *mysqltest.Session, _ string) (err error) {
						once.Do(func() {
							<-answered
							err = s.WriteRaw(bytes)
							sent <- err
						})
						return err
					}))
					db.SetMaxOpenConns(1)
					tx, err := db.Begin()
					if err != nil {
						t.Fatal(err)
					}
					var got int
					err = tx.QueryRow("SELECT 1").Scan(&got)
					if err == nil && got != 1 {
						t.Fatalf("%s: asked for 1, got %d", when, got)
					}
					if err != nil && (when == "a while after" || !isDoubt(err)) {
						t.Fatalf("%s: %v", when, err)
					}
					if when == "a while after" {
						close(answered)
					}
					if err := <-sent; err != nil {
						t.Fatal(err)
					}
					switch {
					case when == "a while after":
						sockets.Await(t)
					case err == nil: // it is there, or was read together with the answer
						sockets.AwaitFor(20 * time.Millisecond)
					}
					again := tx.QueryRow("SELECT 2").Scan(&got)
					if again == nil {
						t.Fatalf("%s: the second command was sent, and got %d", when, got)
					}
					if err == nil && !isIntegrity(again) {
						t.Errorf("%s: %v", when, again)
					}
					if err := tx.Rollback(); err == nil {
						t.Errorf("%s: the transaction is lost, but its rollback succeeded", when)
					}
					// The pool has a new connection.
					if err := db.QueryRow("SELECT 3").Scan(&got); err != nil || got != 3 {
						t.Errorf("%s, on another connection: %d, %v", when, got, err)
					}
					_ = db.Close()
					if r := reports.Only(t); r.Cause.Severity != cause.DataIntegrity {
						t.Errorf("%s: severity %s: %s", when, r.Cause.Severity, r)
					}
				}
			})
		}
	})
}

// isDoubt reports whether err says that the answer may be another's, after the command was sent.
func isDoubt(err error) bool { return isIntegrity(err) && !errors.Is(err, driver.ErrBadConn) }

func isIntegrity(err error) bool {
	var pe *seqguard.ProtocolError
	return errors.As(err, &pe) && pe.Report.Cause.Severity == cause.DataIntegrity
}

// TestStaleInThePool is the same for the next user of the connection, who does not get to see anything of it.
func TestStaleInThePool(t *testing.T) {
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		const trials = 200
		sent, answered := make(chan error, 1), make(chan struct{}, 1)
		sockets := new(kit.Sockets)
		db, reports := kit.ScriptedSockets(t, secure, sockets, kit.Echo(func(s *mysqltest.Session, n string) error {
			if n[len(n)-1]%2 == 0 { // else the two may arrive together
				<-answered
			}
			err := s.WriteRaw(resultSet("4711"))
			sent <- err
			return err
		}))
		db.SetMaxOpenConns(1)
		for n := range trials {
			var got int
			err := db.QueryRow(fmt.Sprint("SELECT ", n)).Scan(&got)
			if (n%2 == 0 || !isDoubt(err)) && (err != nil || got != n) {
				t.Fatalf("asked for %d, got %d, %v", n, got, err)
			}
			if n%2 == 0 {
				answered <- struct{}{}
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			switch {
			case n%2 == 0:
				sockets.Await(t)
			case err == nil:
				sockets.AwaitFor(20 * time.Millisecond)
			}
		}
		_ = db.Close()
		if all := reports.All(); len(all) != trials {
			t.Errorf("%d reports of %d stale answers", len(all), trials)
		}
	})
}

// TestLateAnswerAfterCancel has a proxy that keeps the answer to a cancelled query and gives it to the next client.
func TestLateAnswerAfterCancel(t *testing.T) {
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		slow, kept := make(chan struct{}), make(chan struct{})
		var mu sync.Mutex
		var late []byte
		answered, given := make(chan struct{}), make(chan struct{})
		serve := mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
			switch string(body) {
			case "SELECT slow":
				close(slow)
				<-kept
				return nil
			case "SELECT 1":
				if err := s.WriteResultSet(mysqltest.Next, []mysqltest.Column{{Name: "n"}}, []any{1}); err != nil {
					return err
				}
				<-answered // or the two may be read together
				mu.Lock()
				defer mu.Unlock()
				defer close(given)
				return s.WriteRaw(late)
			}
			n := strings.TrimPrefix(string(body), "SELECT ")
			return s.WriteResultSet(mysqltest.Next, []mysqltest.Column{{Name: "n"}}, []any{n})
		})
		sockets := new(kit.Sockets)
		db, reports := kit.ScriptedSockets(t, secure, sockets, serve)
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-slow; cancel() }()
		var got string
		if err := db.QueryRowContext(ctx, "SELECT slow").Scan(&got); err != context.Canceled {
			t.Fatalf("cancelled: %v", err)
		}
		mu.Lock()
		late = resultSet("slow")
		mu.Unlock()
		close(kept)
		c := kit.Pin(t, db)
		if err := c.QueryRowContext(context.Background(), "SELECT 1").Scan(&got); err != nil || got != "1" {
			t.Fatalf("asked for 1, got %q, %v", got, err)
		}
		close(answered)
		<-given
		sockets.Await(t)
		if err := c.QueryRowContext(context.Background(), "SELECT 2").Scan(&got); err == nil {
			t.Fatalf("asked for 2, got %q", got)
		} else if !errors.Is(err, driver.ErrBadConn) {
			t.Errorf("nothing was written, but it is not driver.ErrBadConn: %v", err)
		}
		_ = c.Close()
		if err := db.QueryRow("SELECT 3").Scan(&got); err != nil || got != "3" {
			t.Errorf("on another connection: %q, %v", got, err)
		}
		if r := reports.Only(t); r.Cause.Severity != cause.DataIntegrity {
			t.Errorf("severity %s: %s", r.Cause.Severity, r)
		}
	})
}

// TestStaleOvertakes states the limit. A stale answer that comes after the command was written, and is read before the first byte of
// the command's own, cannot be told from it by anybody: nothing in an answer says which question it belongs to. As soon as the own
// answer comes the connection is given up and reported, so the shift is of one answer and ends there.
func TestStaleOvertakes(t *testing.T) {
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		var once sync.Once
		overtaken, answered := make(chan struct{}), make(chan struct{})
		sockets := new(kit.Sockets)
		db, reports := kit.ScriptedSockets(t, secure, sockets, mysqltest.ServeForever(func(s *mysqltest.Session, _ byte, body []byte) (err error) {
			n := strings.TrimPrefix(string(body), "SELECT ")
			once.Do(func() {
				err = s.WriteRaw(resultSet("4711"))
				<-overtaken
			})
			if err != nil {
				return err
			}
			err = s.WriteResultSet(mysqltest.Next, []mysqltest.Column{{Name: "n"}}, []any{n})
			if n == "1" {
				close(answered)
			}
			return err
		}))
		var got string
		if err := db.QueryRow("SELECT 1").Scan(&got); err != nil || got != "4711" {
			t.Fatalf("got %q, %v: if this can be told now, say so above", got, err)
		}
		close(overtaken)
		<-answered
		sockets.Await(t)
		for n := 2; n < 5; n++ {
			if err := db.QueryRow(fmt.Sprint("SELECT ", n)).Scan(&got); err != nil || got != fmt.Sprint(n) {
				t.Errorf("asked for %d, got %q, %v", n, got, err)
			}
		}
		if r := reports.Only(t); r.Cause.Severity != cause.DataIntegrity {
			t.Errorf("severity %s: %s", r.Cause.Severity, r)
		}
	})
}

// TestTwoAnswersAtOnce: when both have come by the end of the operation, it fails, although the driver is content.
func TestTwoAnswersAtOnce(t *testing.T) {
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		uses := map[string]func(c *sql.Conn) error{
			"query": func(c *sql.Conn) error {
				var got string
				return c.QueryRowContext(context.Background(), "SELECT 1").Scan(&got)
			},
			"exec":  func(c *sql.Conn) error { _, err := c.ExecContext(context.Background(), "DO 1"); return err },
			"ping":  func(c *sql.Conn) error { return c.PingContext(context.Background()) },
			"begin": func(c *sql.Conn) error { _, err := c.BeginTx(context.Background(), nil); return err },
		}
		for name, use := range uses {
			t.Run(name, func(t *testing.T) {
				handler := mysqltest.ServeForever(func(s *mysqltest.Session, _ byte, body []byte) error {
					ok := mysqltest.Packet(1, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0))
					return s.WriteRaw(append(resultSetOr(string(body), ok), ok...))
				})
				db, reports := kit.Scripted(t, secure, handler)
				if err := use(kit.Pin(t, db)); !isDoubt(err) {
					t.Errorf("two answers to one command: %v", err)
				}
				if r := reports.Only(t); r.Cause.Severity != cause.DataIntegrity {
					t.Errorf("severity %s: %s", r.Cause.Severity, r)
				}
			})
		}
	})
}

func resultSetOr(query string, ok []byte) []byte {
	if strings.Contains(query, "SELECT") {
		return resultSet("4711")
	}
	return ok
}

// TestStaleObserved: in Observe mode the same is reported, and nothing is refused.
func TestStaleObserved(t *testing.T) {
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		sent, answered := make(chan error, 1), make(chan struct{})
		var once sync.Once
		sockets := new(kit.Sockets)
		db, reports := kit.ScriptedSockets(t, secure, sockets, kit.Echo(func(s *mysqltest.Session, _ string) (err error) {
			once.Do(func() {
				<-answered
				err = s.WriteRaw(resultSet("4711"))
				sent <- err
			})
			return err
		}), seqguard.WithMode(seqguard.Observe))
		c := kit.Pin(t, db)
		var got string
		if err := c.QueryRowContext(context.Background(), "SELECT 1").Scan(&got); err != nil || got != "1" {
			t.Fatalf("%q, %v", got, err)
		}
		close(answered)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		sockets.Await(t)
		// As with the plain driver: somebody else's answer, and then its own error for it.
		if err := c.QueryRowContext(context.Background(), "SELECT 2").Scan(&got); err != nil || got != "4711" {
			t.Errorf("%q, %v", got, err)
		}
		_, err := c.ExecContext(context.Background(), "DO 1")
		var pe *seqguard.ProtocolError
		if errors.As(err, &pe) {
			t.Errorf("an error of the guard's in Observe mode: %v", err)
		}
		if err != nil && err != mysql.ErrBusyBuffer && err != mysql.ErrInvalidConn && err != driver.ErrBadConn && err != mysql.ErrPktSync {
			t.Errorf("not the driver's own error: %v", err)
		}
		if r := reports.Only(t); r.Cause.Severity != cause.DataIntegrity {
			t.Errorf("severity %s: %s", r.Cause.Severity, r)
		}
	})
}
