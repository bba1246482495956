package truth_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// TestRandomKills uses two servers with two charsets in the DSN and contexts that end early, kills connections and restarts the servers
// at random, and judges every report by what was done to its connection. SEQGUARD_KILLS=60m makes it longer
// (scripts/random_kills.sh), SEQGUARD_READ=FILE writes what was said into a file, to be read.
func TestRandomKills(t *testing.T) {
	length := mysqltest.Length(t, "SEQGUARD_KILLS", 12*time.Second, 5*time.Second)
	for _, name := range []string{"mysql9", "mariadb1011"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newKills(t, name).run(length)
		})
	}
}

// kills is one server, those who use it, and what was done to it.
type kills struct {
	*testing.T
	server *mysqltest.Instance
	root   *sql.DB
	pools  []*sql.DB
	stop   atomic.Bool
	nonce  atomic.Int64
	tally  tally

	mu      sync.Mutex
	kills   map[uint32][]span // by the number of the connection
	windows []window          // in which the server was not all there
	reports []*seqguard.Report
	errs    []*seqguard.Report // as the operation's error had it
	late    []*seqguard.Report // of those, logins that a short context ended on a machine that stood still
	notRun  []int64            // rows of statements of which an error said that they were not executed
	ops     atomic.Int64
	cut     atomic.Int64
}

// span is when something was done, from when its doing began to when it was seen to be over.
type span struct{ from, to time.Time }

type window struct {
	span // to is zero while it is open
	how  happening
}

func newKills(t *testing.T, name string) *kills {
	k := &kills{T: t, server: mysqltest.Start(t, name), kills: map[uint32][]span{}}
	k.root, _ = kit.Open(t, k.server.RootDSN(""), func(cfg *mysql.Config) { cfg.Addr = k.server.Addr })
	k.root.SetMaxOpenConns(1)
	for _, params := range []string{"", "tls=skip-verify&interpolateParams=true", "compress=true"} {
		cfg, err := mysql.ParseDSN(k.server.DSN("charset=utf8mb4,utf8&timeout=20s&" + params))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Logger = &mysql.NopLogger{}
		c, err := seqguard.NewConnector(cfg, seqguard.WithOnReport(k.report))
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(c)
		db.SetMaxOpenConns(6)
		db.SetMaxIdleConns(3)
		db.SetConnMaxLifetime(5 * time.Second)
		t.Cleanup(func() { _ = db.Close() })
		k.pools = append(k.pools, db)
	}
	if _, err := k.root.Exec("CREATE TABLE kills (n BIGINT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *kills) report(_ context.Context, r *seqguard.Report) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reports = append(k.reports, r)
}

func (k *kills) run(length time.Duration) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(k.work)
	}
	kit.Eventually(k, func() bool { k.killSome(2); return len(k.kills) > 0 || k.Failed() }, "nobody is there to be killed")
	end := time.Now().Add(length)
	nextRestart := time.Now().Add(min(length/3, 20*time.Second))
	for time.Now().Before(end) {
		time.Sleep(time.Duration(200+rand.IntN(1200)) * time.Millisecond) // between two faults
		if time.Now().After(nextRestart) {
			k.restart()
			nextRestart = time.Now().Add(time.Duration(15+rand.IntN(20)) * time.Second)
			continue
		}
		n := 1
		if rand.IntN(4) == 0 {
			n = 4
		}
		k.killSome(n)
	}
	k.stop.Store(true)
	all.Wait()
	for _, db := range k.pools {
		_ = db.Close()
	}
	k.conclude()
}

// killSome kills connections that are there.
func (k *kills) killSome(n int) {
	rows, err := k.root.Query("SELECT id FROM information_schema.processlist WHERE user = 'gotest' ORDER BY RAND() LIMIT ?", n)
	if err != nil {
		k.Errorf("the list of connections: %v", err)
		return
	}
	var ids []uint32
	for rows.Next() {
		var id uint32
		if err := rows.Scan(&id); err != nil {
			k.Error(err)
		}
		ids = append(ids, id)
	}
	_ = rows.Close()
	for _, id := range ids {
		from := time.Now()
		k.mu.Lock()
		k.kills[id] = append(k.kills[id], span{from: from})
		k.mu.Unlock()
		_, err := k.root.Exec(fmt.Sprintf("KILL %d", id))
		var me *mysql.MySQLError
		if err != nil && !errors.As(err, &me) { // 1094: it has gone meanwhile
			k.Errorf("KILL: %v", err)
		}
	}
}

func (k *kills) restart() {
	end, how := k.server.Stop, stopped
	if rand.IntN(2) == 0 {
		end, how = k.server.Kill, crashed
	}
	k.mu.Lock()
	k.windows = append(k.windows, window{span{from: time.Now()}, how})
	k.mu.Unlock()
	end()
	time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond) // for how long the server is gone
	k.server.Restart(k.T)
	k.mu.Lock()
	k.windows[len(k.windows)-1].to = time.Now()
	k.mu.Unlock()
	_ = k.root.Ping() // its connection was ended, too
}

// work does one thing after the other.
func (k *kills) work() {
	for !k.stop.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if rand.IntN(3) == 0 {
			cancel()
			ctx, cancel = context.WithTimeout(context.Background(), time.Duration(rand.Int64N(int64(shortContext))))
		}
		began := time.Now()
		note := func(err error, row int64) {
			deadline, _ := ctx.Deadline()
			k.note(err, row, began, deadline)
		}
		err := k.operation(ctx, k.pools[rand.IntN(len(k.pools))], note)
		k.ops.Add(1)
		if ctx.Err() != nil {
			k.cut.Add(1)
		}
		cancel()
		note(err, 0)
		pause := time.Duration(rand.IntN(20)) * time.Millisecond
		if err != nil && time.Since(began) < time.Millisecond {
			pause += 20 * time.Millisecond // the server may be away
		}
		time.Sleep(pause) // between two operations
	}
}

// shortContext is longer than all contexts that end while an operation is under way on a machine with time.
const shortContext = 12 * time.Millisecond

// note keeps what an error says. row, if it is not 0, is what the statement was to insert; the operation's context was to last from began to deadline.
func (k *kills) note(err error, row int64, began, deadline time.Time) {
	var pe *seqguard.ProtocolError
	var oe *seqguard.OwnershipError
	switch {
	case errors.As(err, &pe):
		k.mu.Lock()
		defer k.mu.Unlock()
		k.errs = append(k.errs, pe.Report)
		if kit.LoginGivenUp(pe.Report, began, deadline, shortContext) {
			k.late = append(k.late, pe.Report)
		}
		if row != 0 && pe.Report.Cause.Executed == cause.ExecutedNo {
			k.notRun = append(k.notRun, row)
		}
	case errors.As(err, &oe):
		k.Errorf("nobody has shared a connection: %v", err)
	}
}

func (k *kills) operation(ctx context.Context, db *sql.DB, note func(error, int64)) error {
	n := k.nonce.Add(10) // a SLEEP that is ended returns 1
	switch rand.IntN(9) {
	case 0, 1:
		var got int64
		if err := db.QueryRowContext(ctx, "SELECT ?", n).Scan(&got); err != nil {
			return err
		}
		if got != n {
			k.Errorf("asked for %d, got %d", n, got)
		}
		return nil
	case 2, 3:
		_, err := db.ExecContext(ctx, "INSERT INTO kills VALUES (?)", n)
		note(err, n)
		return nil
	case 4:
		_, err := db.ExecContext(ctx, "INSERT INTO kills SELECT ? + SLEEP(0.2)", n)
		note(err, n)
		return nil
	case 5:
		return toEnd(db.QueryContext(ctx, "SELECT SLEEP(0.3)"))
	case 6: // rows that take their time
		return toEnd(db.QueryContext(ctx, "SELECT SEQ, SLEEP(0.002) FROM (SELECT 1 AS SEQ"+strings.Repeat(" UNION ALL SELECT 2", 150)+") AS t"))
	case 7: // held, idle in between, in a transaction
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, "INSERT INTO kills VALUES (?)", n); err != nil {
			return err
		}
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond) // idle in a transaction
		return tx.Commit()
	default: // a connection of its own
		c, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		time.Sleep(time.Duration(rand.IntN(700)) * time.Millisecond) // held and idle
		return toEnd(c.QueryContext(ctx, "SELECT "+fmt.Sprint(n)))
	}
}

// toEnd reads rows to their end and returns what ends them.
func toEnd(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// happened is what was done to the connection of a report.
func (k *kills) happened(r *seqguard.Report) (all []happening) {
	for _, s := range k.kills[r.Connection] {
		if r.Connected.Before(s.from) && r.Time.After(s.from) && !k.restarted(s.from, r.Time, r.Connected) {
			all = append(all, killed)
			break
		}
	}
	for _, w := range k.windows {
		if r.Time.After(w.from) && (w.to.IsZero() || r.Connected.Before(w.to)) && !(len(all) > 0 && r.Connected.After(w.from)) {
			all = append(all, w.how)
		}
	}
	if slices.ContainsFunc(k.late, func(late *seqguard.Report) bool { return kit.Same(late, r) }) {
		all = append(all, lateLogin)
	}
	return all
}

// restarted: the server was restarted, so that its numbers began anew, and the connection is younger than that.
func (k *kills) restarted(from, to, connected time.Time) bool {
	for _, w := range k.windows {
		if w.from.After(from) && !w.to.IsZero() && w.to.Before(to) && connected.After(w.from) {
			return true
		}
	}
	return false
}

func (k *kills) conclude() {
	k.Helper()
	if err := seqguard.Flush(context.Background()); err != nil {
		k.Error(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	judgeAll := func(which string, list []*seqguard.Report) {
		for _, r := range list {
			happened := k.happened(r)
			v, why := judge(r, happened)
			read(k.T, v, happened, r)
			k.tally.add(fmt.Sprintf("%s, %v", which, happened), v, r.Cause.Slug)
			if v == isWrong {
				k.Errorf("a wrong %s (%s; happened: %v): %s\n%s", which, why, happened, r, r.Timeline())
			}
		}
	}
	judgeAll("report", k.reports)
	judgeAll("error", k.errs)
	killsDone := 0
	for _, s := range k.kills {
		killsDone += len(s)
	}
	k.tally.log(k.T, fmt.Sprintf("%s: %d operations (%d past their deadline), %d kills, %d restarts, %d reports, %d errors with a report",
		k.server.Name, k.ops.Load(), k.cut.Load(), killsDone, len(k.windows), len(k.reports), len(k.errs)))
	for _, n := range k.notRun {
		var there int
		if err := k.root.QueryRow("SELECT COUNT(*) FROM kills WHERE n = ?", n).Scan(&there); err != nil {
			k.Error(err)
		} else if there != 0 {
			k.Errorf("an error said that the insert of %d was not executed, and it was", n)
		}
	}
	k.Logf("%d inserts that were called not executed are not there", len(k.notRun))
	if len(k.reports) == 0 || killsDone == 0 || len(k.windows) == 0 {
		k.Error("nothing happened")
	}
}
