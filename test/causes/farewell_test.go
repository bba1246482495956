package causes_test

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// crossing answers the first command with an ERR that was said before it was read.
func (r *causeRun) crossing(seq int, code uint16, words string) error {
	return r.exec(r.serve("", mysqltest.ExpectPacket(), mysqltest.SendERR(seq, code, "HY000", words), mysqltest.Close()), "DO 1")
}

// behindLogin sends steps while nothing is outstanding, and then tries a command. Sent at once, what they send might be read
// together with the end of the login.
func (r *causeRun) behindLogin(steps ...mysqltest.Step) error {
	later, happen := mysqltest.Later(steps...)
	c := kit.Pin(r.T, r.serve("", later))
	happen()
	time.Sleep(200 * time.Millisecond) // who has just got a connection from the pool hears nothing of its end
	_, err := c.ExecContext(r.ctx(), "DO 1")
	return err
}

// farewellCases are about a server that ends the connection of its own accord.
var farewellCases = []causeCase{
	{slug: "idle_timeout", by: byServer, on: onMySQL, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"4031", "idle for ", "No limit of the pool closes such a connection", "wait_timeout"},
		run: idleTooLong},
	{slug: "idle_timeout", name: "in a transaction", by: byServer, on: onMySQL, modes: []causeMode{plain},
		severity: cause.Error, executed: cause.ExecutedNo, safe: false, says: []string{"4031", "transaction that was open"},
		run: func(r *causeRun) error {
			c := kit.Pin(r.T, r.direct("", nil))
			tx, err := c.BeginTx(r.ctx(), nil)
			if err != nil {
				r.Fatal(err)
			}
			defer func() { _ = tx.Rollback() }()
			kit.AwaitIdleEnd(r.T, r.server, tx, "wait_timeout = 1")
			_, err = tx.ExecContext(r.ctx(), "DO 1")
			return err
		}},
	{slug: "closed_while_idle", name: "3.13 wait_timeout, as a balancer would do it", by: byServer, on: onMariaDB, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"after its last byte", "wait_timeout", "load balancer", "No limit of the pool closes such a connection"},
		run: idleTooLong},
	{slug: "closed_while_idle", name: "idle_transaction_timeout", by: byServer, on: onMariaDB, modes: []causeMode{plain, secure},
		severity: cause.Error, executed: cause.ExecutedNo, safe: false, says: []string{"idle_transaction_timeout", "transaction that was open"},
		run: func(r *causeRun) error {
			c := kit.Pin(r.T, r.direct("", nil))
			r.must(c, "START TRANSACTION")
			kit.AwaitIdleEnd(r.T, r.server, c, "idle_transaction_timeout = 1")
			_, err := c.ExecContext(r.ctx(), "DO 1")
			return err
		}},
	{slug: "idle_timeout", name: "crossing a command", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"4031", "crossed the command"},
		run: func(r *causeRun) error { return r.crossing(0, 4031, "The client was disconnected by the server") }},
	{slug: "idle_timeout", name: "with number 2, as of MySQL Router", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"4031", "crossed the command"},
		run: func(r *causeRun) error { return r.crossing(2, 4031, "The client was disconnected by the server") }},
	{slug: "server_shutdown", name: "crossing a command", by: byScript, modes: []causeMode{plain, secure},
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1053", "shutting down"},
		run: func(r *causeRun) error { return r.crossing(0, 1053, "Server shutdown in progress") }},
	{slug: "server_shutdown", name: "while idle", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1053", "shutting down"},
		run: func(r *causeRun) error {
			return r.behindLogin(mysqltest.SendERR(0, 1053, "08S01", "Server shutdown in progress"), mysqltest.Close())
		}},
	{slug: "connection_killed", name: "while idle", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"3169", "ran KILL"},
		run: func(r *causeRun) error {
			return r.behindLogin(mysqltest.SendERR(0, 3169, "HY000", "The session was killed"), mysqltest.Close())
		}},
	// MaxScale passes a KILL of its own connection on with number 0, also in the middle of a statement.
	{slug: "connection_killed", name: "crossing a command", by: byScript, modes: []causeMode{plain, secure},
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"1927", "ran KILL"},
		run: func(r *causeRun) error { return r.crossing(0, 1927, "Connection was killed") }},
	{slug: "server_farewell", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"9001", "no backend left", "server's words"},
		run: func(r *causeRun) error {
			return r.behindLogin(mysqltest.SendERR(0, 9001, "HY000", "no backend left"), mysqltest.Close())
		}},
	{slug: "closed_while_idle", name: "KILL", by: byServer, on: onBoth, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"Nothing of the command was sent", "shorter than usual idle limits|No limit of the pool closes such a connection", "KILL"},
		run: func(r *causeRun) error {
			c := kit.Pin(r.T, r.direct("", nil))
			var id int
			if err := c.QueryRowContext(r.ctx(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
				r.Fatal(err)
			}
			kit.Kill(r.T, r.server, id)
			_, err := c.ExecContext(r.ctx(), "DO 1")
			return err
		}},
	{slug: "closed_while_idle", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"Nothing of the command was sent"},
		run: func(r *causeRun) error { return r.behindLogin(mysqltest.Close()) }},
}

func idleTooLong(r *causeRun) error {
	c := kit.Pin(r.T, r.direct("", nil))
	// Not 1, which is the least that an idle limit is taken to be: the server's clock begins when it has answered, this side's when it has
	// read that.
	kit.AwaitIdleEnd(r.T, r.server, c, "wait_timeout = 2")
	_, err := c.ExecContext(r.ctx(), "DO 1")
	return err
}

// crash kills the server's process under n commands, is refused by nobody, starts it again, and returns the error of one of them.
func (r *causeRun) crash(n int) error {
	// The name is given 300 ms after the first report, so that the refused dial
	// must have come by then. On a busy machine it may not have: that is another case.
	for {
		refused, err := r.crashOnce(n)
		first := refused
		for _, rep := range r.reports.All() {
			if rep.Time.Before(first) {
				first = rep.Time
			}
		}
		took := refused.Sub(first)
		if took < 200*time.Millisecond || r.Failed() {
			return err
		}
		r.Logf("the dial was refused only %v after the first end: once more", took)
		r.reports.Reset()
	}
}

// crashOnce returns when a dial was refused.
func (r *causeRun) crashOnce(n int) (refused time.Time, err error) {
	db := r.direct("", nil)
	errs := make(chan error, n)
	var ids []int
	for range n {
		c := kit.Pin(r.T, db)
		ids = append(ids, kit.ID(r.T, c))
		go func() {
			_, err := c.ExecContext(r.ctx(), kit.LongStatement)
			errs <- err
		}()
	}
	for _, id := range ids {
		kit.AwaitStatement(r.T, r.server, id)
	}
	r.server.Kill()
	for range n {
		if err = <-errs; err == nil || err == driver.ErrBadConn {
			r.Errorf("a command that was out ended with %v", err)
		}
	}
	if err := r.connect(db); !errors.Is(err, syscall.ECONNREFUSED) {
		r.Errorf("connecting to nobody: %v", err)
	}
	refused = time.Now()
	r.server.Restart(r.T)
	return refused, err
}

// misuseCases are about who uses the connection.
var misuseCases = []causeCase{
	{slug: "concurrent_use", by: byServer, on: onBoth, modes: everyMode,
		severity: cause.Misuse, executed: cause.ExecutedNo, safe: true, says: []string{"exec at ", "ping at ", "causes/farewell_test.go:", "Share *sql.DB"},
		run: func(r *causeRun) error {
			lock := fmt.Sprintf("('both_%d', 60)", time.Now().UnixNano())
			plain := kit.PlainPool(r.T, r.server.DSN(""))
			r.Cleanup(func() { _ = plain.Close() })
			holder := kit.Pin(r.T, plain)
			r.must(holder, "DO GET_LOCK"+lock)
			return r.both(r.direct("", nil), "DO GET_LOCK"+lock, func() { r.must(holder, "DO RELEASE_ALL_LOCKS()") })
		}},
	{slug: "concurrent_use", by: byScript, modes: everyMode,
		severity: cause.Misuse, executed: cause.ExecutedNo, safe: true, says: []string{"exec at ", "ping at ", "Share *sql.DB"},
		run: func(r *causeRun) error {
			refused := make(chan struct{})
			return r.both(r.serve("", mysqltest.ExpectPacket(), mysqltest.WaitFor(refused), mysqltest.SendOK(mysqltest.Next)), "DO 1", func() { close(refused) })
		}},
	{slug: "more_results_unread", by: byServer, on: onBoth, modes: everyMode,
		severity: cause.Misuse, executed: cause.ExecutedNo, safe: true, says: []string{"SERVER_MORE_RESULTS_EXISTS", "NextResultSet", "query at "},
		run: func(r *causeRun) error {
			return r.during(r.direct("multiStatements=true", nil), "SELECT 1; SELECT 2", true)
		}},
	{slug: "more_results_unread", by: byScript, modes: everyMode,
		severity: cause.Misuse, executed: cause.ExecutedNo, safe: true, says: []string{"SERVER_MORE_RESULTS_EXISTS", "NextResultSet"},
		run: func(r *causeRun) error {
			one := []mysqltest.Column{{Name: "one"}}
			return r.during(r.serve("multiStatements=true", mysqltest.ExpectPacket(), mysqltest.SendResultSetMore(mysqltest.Next, one, []any{1}),
				mysqltest.SendResultSet(mysqltest.Next, one, []any{2})), "SELECT 1; SELECT 2", true)
		}},
	{slug: "result_still_open", by: byServer, on: onBoth, modes: everyMode,
		severity: cause.Misuse, executed: cause.ExecutedNo, safe: true, says: []string{"exec at ", "query at ", "rows.Close()"},
		run: func(r *causeRun) error { return r.during(r.direct("", nil), "SELECT 1 UNION SELECT 2", false) }},
	{slug: "result_still_open", by: byScript, modes: everyMode,
		severity: cause.Misuse, executed: cause.ExecutedNo, safe: true, says: []string{"exec at ", "query at ", "rows.Close()"},
		run: func(r *causeRun) error {
			return r.during(r.serve("", mysqltest.ExpectPacket(), mysqltest.SendResultSet(mysqltest.Next, []mysqltest.Column{{Name: "one"}}, []any{1}, []any{2})), "SELECT 1", false)
		}},
}

// both pings a connection while a statement runs on it, which ends when it is told to, and returns the ping's error.
func (r *causeRun) both(db *sql.DB, statement string, end func()) (err error) {
	kit.Raw(r.T, kit.Pin(r.T, db), func(dc kit.RawConn) {
		first := make(chan error)
		go func() {
			_, err := dc.ExecContext(r.ctx(), statement, nil)
			first <- err
		}()
		kit.Eventually(r.T, func() bool {
			all, _ := wrapconn.Connections("", 0)
			return slices.ContainsFunc(all, func(s wrapconn.Snapshot) bool {
				return strings.HasPrefix(s.Server, r.host) && s.Owner != nil && s.Owner.Kind == wrapconn.OpExec && s.Pending == 1
			})
		}, "the statement does not begin")
		err = dc.Ping(r.ctx())
		end()
		if e := <-first; e != nil {
			r.Errorf("the first user was hurt: %v", e)
		}
	})
	return err
}

// during runs a statement while the rows of a query are open, and returns its error; to the first result's end if firstOnly.
func (r *causeRun) during(db *sql.DB, query string, firstOnly bool) error {
	c := kit.Pin(r.T, db)
	rows, err := c.QueryContext(r.ctx(), query)
	if err != nil {
		r.Fatal(err)
	}
	for rows.Next() && firstOnly {
	}
	_, refused := c.ExecContext(r.ctx(), "DO 1")
	for rows.NextResultSet() {
	}
	if err := fmt.Sprint(rows.Err(), rows.Close()); err != "<nil> <nil>" {
		r.Errorf("the open rows were hurt: %v", err)
	}
	return refused
}
