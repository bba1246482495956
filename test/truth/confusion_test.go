package truth_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestConfusion has everything that ends connections happen to a real server, each in company of each, in random order, on several
// pools, proxies and states of a connection at once, and judges every report by what was done to its connection. A round has each
// event once, with another company each; as many rounds as there are events make all pairs. SEQGUARD_CONFUSION=50 is the number of rounds
// (scripts/confusion.sh); SEQGUARD_CONFUSION_EVENTS is a regular expression that chooses among the events.
func TestConfusion(t *testing.T) {
	rounds := 1
	if v := os.Getenv("SEQGUARD_CONFUSION"); v != "" {
		var err error
		if rounds, err = strconv.Atoi(v); err != nil {
			t.Fatalf("SEQGUARD_CONFUSION: %v", err)
		}
	}
	for _, name := range []string{"mysql9", "mariadb1011"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newConfusion(t, name)
			c.run(t, rounds)
			c.tally.log(t, fmt.Sprintf("%s: %d rounds of %d events; %d statements that were called not executed, and were not", name, rounds, len(c.events), c.unrun))
			for _, v := range []verdict{isRight, isVague} {
				if c.tally.total[v] == 0 && os.Getenv(chosenEvents) == "" {
					t.Errorf("nothing is %s", v)
				}
			}
		})
	}
}

const chosenEvents = "SEQGUARD_CONFUSION_EVENTS"

// confusion is one server to which much happens.
type confusion struct {
	server  *mysqltest.Instance
	admin   *sql.DB
	pidFile string
	events  []*event
	nonce   atomic.Int64
	tally   tally
	unrun   int // statements that were called not executed
}

// meeting is two events, or one, that happen at about the same time.
type meeting struct {
	*testing.T
	*confusion
	ctx     context.Context
	event   *event // of this part of it
	company *event // the other one; nil: none
	struck  chan struct{}
	victims *sync.WaitGroup
	*record
}

// record is what was done and said in a meeting.
type record struct {
	mu      sync.Mutex
	owners  map[uint32]*event
	begun   []int                // connections on which a statement is to be under way when it all begins
	all     []doing              // of events that everybody meets
	over    map[*event]time.Time // when all victims of an event of its own were ended
	reports []*seqguard.Report
	errs    []*seqguard.Report
	notRun  []int64
}

type doing struct {
	is   happening
	from time.Time
}

func newConfusion(t *testing.T, name string) *confusion {
	c := &confusion{server: mysqltest.Start(t, name, "--max-allowed-packet=1M", "--performance-schema=ON")} // MySQL counts memory with it
	c.admin, _ = kit.Open(t, c.server.RootDSN(""), nil)
	chosen := regexp.MustCompile(os.Getenv(chosenEvents))
	for i := range events {
		if slices.Contains(events[i].on, c.server.Kind) && chosen.MatchString(events[i].name) {
			c.events = append(c.events, &events[i])
		}
	}
	for _, q := range []string{
		"CREATE TABLE confusion (n BIGINT PRIMARY KEY)",
		"CREATE USER app@'%' IDENTIFIED BY 'secret'", // offline_mode and limits are for those who have no such rights
		"GRANT SELECT, INSERT ON gotest.* TO app@'%'",
	} {
		if _, err := c.admin.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.admin.QueryRow("SELECT @@pid_file").Scan(&c.pidFile); err != nil {
		t.Fatal(err)
	}
	return c
}

// run makes rounds. In each, an event meets the one that is as far behind it in the list as the number of the round; none but itself, in
// the first: it is alone.
func (c *confusion) run(t *testing.T, rounds int) {
	shift := rand.IntN(len(c.events))
	for round := range rounds {
		for _, i := range rand.Perm(len(c.events)) {
			a, b := c.events[i], c.events[(i+round+shift)%len(c.events)]
			if a == b {
				b = nil
			}
			t.Run("meeting", func(t *testing.T) { c.meet(t, a, b) })
		}
	}
}

// meet lets two events happen.
func (c *confusion) meet(t *testing.T, a, b *event) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var victims sync.WaitGroup
	rec := &record{owners: map[uint32]*event{}, over: map[*event]time.Time{}}
	struck := make(chan struct{})
	part := func(e, company *event) *meeting {
		return &meeting{T: t, confusion: c, ctx: ctx, event: e, company: company, struck: struck, victims: &victims, record: rec}
	}
	first := part(a, b)
	stop := first.bystanders()
	strikes := []func(){first.strike()}
	company := "alone"
	if b != nil {
		company = "with " + b.name
		strikes = append(strikes, part(b, a).strike())
	}
	first.awaitBegun()
	var all sync.WaitGroup
	for i, strike := range strikes {
		delay := time.Duration(i*rand.IntN(600)) * time.Millisecond
		all.Go(func() {
			time.Sleep(delay) // how far apart the two are
			strike()
		})
	}
	all.Wait()
	close(struck)
	quiet := time.AfterFunc(6*time.Second, cancel) // what nothing has happened to, or not yet
	if a.gone || b != nil && b.gone {
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond) // for how long the server is gone
		c.server.Restart(t)
	}
	victims.Wait()
	quiet.Stop()
	close(stop)
	cancel()
	if err := seqguard.Flush(context.Background()); err != nil {
		t.Error(err)
	}
	first.conclude(a.name, company)
}

// strike prepares an event, and returns what makes it happen.
func (m *meeting) strike() func() {
	what := m.event.prepare(m)
	return func() {
		if m.event.all && !m.event.gone {
			m.does(m.event.is)
		}
		what()
		if m.event.instant {
			m.mu.Lock()
			m.over[m.event] = time.Now()
			m.mu.Unlock()
		}
	}
}

// does notes what happens to all from now on. To a server that has gone, nothing does.
func (m *meeting) does(is happening) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.record.all = append(m.record.all, doing{is, time.Now()})
}

// awaitBegun waits until the server is at work on the statements of those who are to be busy.
func (m *meeting) awaitBegun() {
	m.Helper()
	for _, id := range m.begun {
		kit.AwaitStatement(m.T, m.server, id)
	}
}

// pool is a pool on an address, under the name of the server.
func (m *meeting) pool(addr string) *sql.DB {
	m.Helper()
	cfg, err := mysql.ParseDSN("app:secret@tcp(" + m.server.Addr + ")/gotest?maxAllowedPacket=67108864&timeout=10s")
	if err != nil {
		m.Fatal(err)
	}
	if rand.IntN(3) == 0 {
		cfg.TLSConfig = "skip-verify"
	}
	cfg.Logger = &mysql.NopLogger{}
	cfg.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	connector, err := seqguard.NewConnector(cfg, seqguard.WithOnReport(m.report))
	if err != nil {
		m.Fatal(err)
	}
	db := sql.OpenDB(connector)
	m.Cleanup(func() { _ = db.Close() })
	return db
}

func (m *meeting) report(_ context.Context, r *seqguard.Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports = append(m.reports, r)
}

// own notes whose connection that is.
func (m *meeting) own(id int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owners[uint32(id)] = m.event
}

// bystanders use the server as an application does meanwhile: one connection is used again and again, and others are made.
func (m *meeting) bystanders() chan struct{} {
	stop := make(chan struct{})
	every := func(pause time.Duration, what func(db *sql.DB)) {
		db := m.pool(m.server.Addr)
		m.victims.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-m.struck:
					return
				case <-time.After(pause):
					what(db)
				}
			}
		})
	}
	every(10*time.Millisecond, func(db *sql.DB) {
		_, err := db.ExecContext(m.ctx, "DO 1")
		m.note(nil, 0, err)
	})
	if rand.IntN(3) > 0 {
		every(40*time.Millisecond, func(db *sql.DB) {
			if c, err := db.Conn(m.ctx); err == nil {
				_ = c.Raw(func(any) error { return nil })
				_ = c.Close()
			}
			db.SetMaxIdleConns(-1)
		})
	}
	return stop
}

// happened is what was done to the connection of a report.
func (r *record) happened(rep *seqguard.Report) (out []happening) {
	e := r.owners[rep.Connection]
	if e != nil && !e.all { // what happens to all has its time below
		out = append(out, e.is)
	}
	for _, d := range r.all {
		if at, ok := r.over[e]; ok && at.Before(d.from) {
			continue // it had ended before
		}
		if rep.Time.After(d.from) && !slices.Contains(out, d.is) {
			out = append(out, d.is)
		}
	}
	return out
}

func (m *meeting) conclude(name, company string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for which, list := range map[string][]*seqguard.Report{"report": m.reports, "error": m.errs} {
		for _, r := range list {
			happened := m.happened(r)
			v, why := judge(r, happened)
			read(m.T, v, happened, r)
			m.tally.add(fmt.Sprintf("%s, %v", which, happened), v, r.Cause.Slug)
			if v == isWrong {
				m.Errorf("%s %s: a wrong %s (%s; happened: %v): %s", name, company, which, why, happened, r)
			}
		}
	}
	for _, n := range m.notRun {
		m.unrun++
		var there int
		if err := m.admin.QueryRow("SELECT COUNT(*) FROM confusion WHERE n BETWEEN ? AND ? + 1", n, n).Scan(&there); err != nil {
			m.Error(err)
		} else if there != 0 {
			m.Errorf("%s %s: an error said that a statement was not executed, and it was", name, company)
		}
	}
}
