package causes_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// togetherCases are about several connections that end at once: on each of them a crash, a KILL and a limit look the same.
var togetherCases = []causeCase{
	{slug: "server_shutdown", name: "3.4 killed under four commands", by: byServer, on: onBoth, modes: everyMode, alone: true, many: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"connecting to ", " was refused", "check before you run it again", "OOM killer"},
		run: func(r *causeRun) error { return r.crash(4) }},
	{slug: "ended_together", name: "3.1 four KILLs, the server up", by: byServer, on: onBoth, modes: everyMode, many: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"Three others to ", "a KILL of each", "or another one behind the same address, ", "check before you run it again"},
		run: func(r *causeRun) error { return r.killFour() }},
	{slug: "ended_together", name: "3.3 a limit on the time of statements", by: byRelay, on: onBoth, modes: []causeMode{plain}, many: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"a limit on the time of a statement does that too"},
		run: func(r *causeRun) error { return r.limitFour() }},
	{slug: "ended_together", by: byScript, modes: everyMode, many: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"Three others to ", "a crash", "or a KILL of each"},
		run: func(r *causeRun) error {
			end := make(chan struct{})
			db := r.serve("", mysqltest.ExpectPacket(), mysqltest.WaitFor(end), mysqltest.Close())
			return r.oneOf(r.four(func(n int) error {
				c := kit.Pin(r.T, db)
				if n == 3 {
					time.AfterFunc(300*time.Millisecond, func() { close(end) })
				}
				_, err := c.ExecContext(r.ctx(), "DO 1")
				return err
			}))
		}},
}

// four runs what on four goroutines, begun one after the other, and returns their errors.
func (r *causeRun) four(what func(n int) error) (all [4]error) {
	errs := make(chan error, 4)
	for n := range 4 {
		go func() { errs <- what(n) }()
		time.Sleep(20 * time.Millisecond) // one after the other
	}
	for i := range all {
		all[i] = <-errs
	}
	return all
}

// oneOf is the error of one of four: each must have one.
func (r *causeRun) oneOf(errs [4]error) error {
	r.Helper()
	for _, err := range errs {
		if err == nil {
			r.Error("a connection that was ended gave no error")
		}
	}
	return errs[3]
}

// killFour kills four connections within a second. Where the server answers one of them first (kit.AnsweredKill), three have ended together: that is
// another case, and it is done again, under another name, as the first three would be company.
func (r *causeRun) killFour() error {
	host := r.host
	for try := range 5 {
		r.host = fmt.Sprintf("%d-%s", try, host)
		r.reports.Reset()
		errs := r.killFourOnce()
		if !slices.ContainsFunc(errs[:], func(err error) bool { return reportOf(r, err) == nil && kit.AnsweredKill(r.server, err) }) {
			return r.oneOf(errs)
		}
		r.Logf("answered: %v", errs)
	}
	return errors.New("the server answered five times")
}

// killFourOnce kills two connections that are busy, one among rows, and one that is held and idle in a transaction. A fifth is used all the while.
func (r *causeRun) killFourOnce() [4]error {
	db := r.direct("", nil)
	ids, last := make(chan int, 3), make(chan int)
	begun, idle := make(chan struct{}), make(chan struct{})
	alive := kit.Pin(r.T, db)
	stop := make(chan struct{})
	beside := make(chan struct{})
	go func() {
		defer close(beside)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				_, _ = alive.ExecContext(context.Background(), "DO 1")
			}
		}
	}()
	r.Cleanup(func() { close(stop); <-beside }) // when the reports have been delivered
	go func() {
		admin, _ := kit.Open(r.T, r.server.RootDSN(""), nil)
		_ = admin.Ping() // its login is not between the last one's idleness and the KILL
		var kills []string
		for range 3 {
			id := <-ids
			kills = append(kills, fmt.Sprintf("KILL %d", id))
			kit.AwaitStatement(r.T, r.server, id)
		}
		close(begun)
		kills = append(kills, fmt.Sprintf("KILL %d", <-last))
		for _, k := range kills {
			if _, err := admin.Exec(k); err != nil {
				r.Error(err)
			}
		}
		close(idle)
	}()
	return r.four(func(n int) error {
		c := kit.Pin(r.T, db)
		var id int
		if err := c.QueryRowContext(r.ctx(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
			return err
		}
		switch n {
		case 3: // the last, so that it has not been idle for long
			<-begun
			r.must(c, "START TRANSACTION")
			last <- id
			<-idle
			_, err := c.ExecContext(r.ctx(), "DO 1")
			return err
		case 1:
			ids <- id
			return toEnd(c.QueryContext(r.ctx(), "SELECT SEQ, SLEEP(0.01) FROM (SELECT 1 AS SEQ"+strings.Repeat(" UNION ALL SELECT 2", 2000)+") AS t"))
		}
		ids <- id
		_, err := c.ExecContext(r.ctx(), kit.LongStatement)
		return err
	})
}

// limitFour has four statements cut off by something in between, each when it has run for five seconds. They count as having run for the same time if
// that differs by a tenth at most: a busy machine needs some of it.
func (r *causeRun) limitFour() error {
	limit := func(p mysqltest.RelayPacket) mysqltest.Action {
		if p.From == mysqltest.FromClient && strings.Contains(string(p.Bytes), "BENCHMARK") {
			return mysqltest.Action{Hold: 5 * time.Second, Drop: true, End: mysqltest.Cut}
		}
		return mysqltest.Action{}
	}
	db := r.relayed("", limit)
	var conns [4]*sql.Conn
	for i := range conns {
		conns[i] = kit.Pin(r.T, db)
	}
	return r.oneOf(r.four(func(n int) error {
		_, err := conns[n].ExecContext(r.ctx(), kit.LongStatement)
		return err
	}))
}
