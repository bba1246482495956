package truth_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// event is something that happens to some connections, or to all.
type event struct {
	name string
	is   happening
	on   []mysqltest.Kind
	// all: every connection of the account meets it, so that who is in its company does, too.
	all bool
	// instant: when strike comes back, its victims are ended.
	instant bool
	// gone: the server has to be started again.
	gone bool
	// prepare opens the victims; strike is called when all are ready, and comes back when it is done.
	prepare func(*meeting) (strike func())
}

var (
	onMySQL = []mysqltest.Kind{mysqltest.MySQL}
	onBoth  = []mysqltest.Kind{mysqltest.MySQL, mysqltest.MariaDB}
)

var events = []event{
	{name: "one KILL", is: killed, instant: true, on: onBoth, prepare: func(m *meeting) func() { return m.kill(m.some(1)) }},
	{name: "four KILLs", is: killed, instant: true, on: onBoth, prepare: func(m *meeting) func() { return m.kill(m.some(4)) }},
	{name: "kill -9", is: crashed, on: onBoth, all: true, gone: true, prepare: func(m *meeting) func() {
		m.some(3)
		return m.crash
	}},
	{name: "SIGTERM", is: stopped, on: onBoth, all: true, gone: true, prepare: func(m *meeting) func() {
		m.some(3)
		return m.stop
	}},
	{name: "offline_mode", is: offline, on: onMySQL, all: true, prepare: func(m *meeting) func() {
		m.some(3)
		return func() {
			m.root("SET GLOBAL offline_mode = ON")
			time.Sleep(time.Duration(rand.IntN(600)) * time.Millisecond) // for how long it is on
			m.root("SET GLOBAL offline_mode = OFF")
		}
	}},
	{name: "balancer closes idle ones", is: idleLimit, instant: true, on: onBoth, prepare: func(m *meeting) func() {
		b := newBalancer(m.T, m.server.Addr, 0)
		for range 3 {
			m.idle(m.connect(b.addr), rand.IntN(2) == 0)
		}
		return func() { b.endIdle(rand.IntN(2) == 0) }
	}},
	{name: "proxy's limit on statements", is: timeLimit, on: onBoth, prepare: func(m *meeting) func() {
		b := newBalancer(m.T, m.server.Addr, time.Duration(600+rand.IntN(600))*time.Millisecond)
		var all []*victim
		for range 1 + rand.IntN(3) {
			all = append(all, m.connect(b.addr))
		}
		b.hold()
		for _, v := range all {
			m.busy(v)
		}
		return func() { time.Sleep(b.limit) } // until the proxy's clock is over
	}},
	{name: "oversized packets in a retry loop", is: tooLarge, on: onBoth, prepare: func(m *meeting) func() {
		v := m.connect(m.server.Addr)
		return func() {
			large := "DO LENGTH('" + strings.Repeat("x", 1_200_000) + "')"
			for range 3 {
				m.do(v, 0, large)
				time.Sleep(20 * time.Millisecond) // between two tries
			}
		}
	}},
	{name: "memory limit", is: memory, on: onMySQL, prepare: func(m *meeting) func() {
		m.root("SET GLOBAL connection_memory_limit = 2097152")
		m.root("SET GLOBAL global_connection_memory_tracking = ON")
		v := m.connect(m.server.Addr)
		m.root("SET GLOBAL connection_memory_limit = DEFAULT")
		return func() {
			for range 2 {
				m.do(v, 0, "SELECT t.c FROM (SELECT GROUP_CONCAT(x ORDER BY x) c FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT REPEAT('x', 1000) x FROM n a, n b LIMIT 20000) u GROUP BY x) t")
				time.Sleep(30 * time.Millisecond) // between two tries
			}
		}
	}},
	{name: "silent server that then dies", is: crashed, on: onBoth, all: true, gone: true, prepare: func(m *meeting) func() {
		m.some(3)
		return func() {
			m.signal("-STOP")
			time.Sleep(1300 * time.Millisecond) // the silence
			// One that is told to stop while it is silent does so when it goes on, unless it dies first.
			if m.company != nil && m.company.is == stopped && rand.IntN(2) == 0 {
				m.signal("-CONT")
				return
			}
			m.crash()
		}
	}},
	{name: "slow reader", is: slowness, on: onBoth, prepare: func(m *meeting) func() {
		v := m.connect(m.server.Addr)
		m.must(v, "SET SESSION net_write_timeout = 1")
		m.victims.Go(func() {
			rows, err := v.conn.QueryContext(m.ctx, bigResult)
			if err == nil && rows.Next() {
				time.Sleep(4 * time.Second) // the slowness
			}
			m.note(v, 0, toEnd(rows, err))
		})
		return func() { time.Sleep(2500 * time.Millisecond) } // until the server's net_write_timeout is over
	}},
}

// crash kills the server, if there is one.
func (m *meeting) crash() {
	if m.alive() {
		m.does(crashed)
	}
	m.server.Kill()
}

// stop has the server stop in good order, if there is one, and waits for that.
func (m *meeting) stop() {
	if m.alive() {
		m.does(stopped)
	}
	m.server.Stop()
}

// bigResult fills every buffer on the way: more than 40 MB.
const bigResult = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 210) SELECT RANDOM_BYTES(1000) FROM n a, n b"

// victim is a connection to which something will happen.
type victim struct {
	conn *sql.Conn
	id   int
}

// connect opens a connection of this event's, held.
func (m *meeting) connect(addr string) *victim {
	m.Helper()
	c, err := m.pool(addr).Conn(m.ctx)
	if err != nil {
		m.Fatalf("%s: %v", m.event.name, err)
	}
	m.Cleanup(func() { _ = c.Close() })
	v := &victim{conn: c}
	if err := c.QueryRowContext(m.ctx, "SELECT CONNECTION_ID()").Scan(&v.id); err != nil {
		m.Fatalf("%s: %v", m.event.name, err)
	}
	m.own(v.id)
	return v
}

func (m *meeting) must(v *victim, q string) {
	m.Helper()
	if _, err := v.conn.ExecContext(m.ctx, q); err != nil {
		m.Fatalf("%s: %s: %v", m.event.name, q, err)
	}
}

// some makes victims of which each does one thing or another.
func (m *meeting) some(n int) (all []*victim) {
	for range n {
		v := m.connect(m.server.Addr)
		all = append(all, v)
		switch rand.IntN(4) {
		case 0:
			m.idle(v, true)
		case 1:
			m.idle(v, false)
		case 2:
			m.busy(v)
		case 3:
			m.rows(v)
		}
	}
	return all
}

// idle has a connection do nothing, in a transaction or not, until something has happened, and be used then.
func (m *meeting) idle(v *victim, tx bool) {
	if tx {
		m.must(v, "START TRANSACTION")
	}
	m.victims.Go(func() {
		<-m.struck
		time.Sleep(time.Duration(rand.IntN(700)) * time.Millisecond) // how much later it is used
		m.insert(v, "INSERT INTO confusion VALUES (?)")
	})
}

// busy has a statement run for long.
func (m *meeting) busy(v *victim) {
	m.begun = append(m.begun, v.id)
	m.victims.Go(func() { m.insert(v, "INSERT INTO confusion SELECT ? + SLEEP(20)") })
}

// rows reads rows that come slowly.
func (m *meeting) rows(v *victim) {
	m.begun = append(m.begun, v.id)
	m.victims.Go(func() {
		m.note(v, 0, toEnd(v.conn.QueryContext(m.ctx, "SELECT SEQ, REPEAT('x', 20000), SLEEP(0.01) FROM (SELECT 1 AS SEQ"+strings.Repeat(" UNION ALL SELECT 2", 1500)+") AS t")))
	})
}

// insert runs a statement that inserts a row of its own, which is looked for when an error has said that it did not run. A SLEEP that
// is killed returns 1, so every tenth number is used.
func (m *meeting) insert(v *victim, q string) {
	n := m.nonce.Add(10)
	m.do(v, n, q, n)
}

func (m *meeting) do(v *victim, row int64, q string, args ...any) {
	_, err := v.conn.ExecContext(m.ctx, q, args...)
	m.note(v, row, err)
}

// note keeps what an error says.
func (m *meeting) note(v *victim, row int64, err error) {
	var pe *seqguard.ProtocolError
	if !errors.As(err, &pe) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errs = append(m.errs, pe.Report)
	if row != 0 && pe.Report.Cause.Executed == cause.ExecutedNo {
		m.notRun = append(m.notRun, row)
	}
}

func (m *meeting) kill(all []*victim) func() {
	return func() {
		for _, v := range all {
			m.root(fmt.Sprintf("KILL %d", v.id))
		}
	}
}

// root runs a statement as root. The server may be gone, or the victim.
func (m *meeting) root(q string) {
	ctx, cancel := context.WithTimeout(m.ctx, 10*time.Second)
	defer cancel()
	_, err := m.admin.ExecContext(ctx, q)
	var me *mysql.MySQLError
	if errors.As(err, &me) && me.Number != 1094 && me.Number != 1053 {
		m.Errorf("%s: %v", q, err)
	}
}

// alive reports whether the server is there.
func (m *meeting) alive() bool { return m.signal("-0") }

// signal sends a signal to the server, and reports whether there was one.
func (m *meeting) signal(s string) bool {
	pid, err := os.ReadFile(m.pidFile)
	if err != nil {
		return false
	}
	return exec.Command("kill", s, strings.TrimSpace(string(pid))).Run() == nil
}
