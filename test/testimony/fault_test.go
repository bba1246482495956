//go:build linux

package testimony_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/internal/netlab"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// runs is how often each fault is produced. 20 of each take an hour on a machine that
// has nothing else to do.
var runs = flag.Int("runs", proofRuns(), "how often to produce each fault")

// proofRuns is what SEQGUARD_PROOF_RUNS asks for, or 1.
func proofRuns() int {
	n, err := strconv.Atoi(os.Getenv("SEQGUARD_PROOF_RUNS"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// fault is a real fault and what must be said of it.
type fault struct {
	name string // what happens, for the page
	how  string // how it is produced
	slug cause.Slug
	// says are facts that the report must have; never must not be in it.
	says, never []string
	executed    cause.Executed
	on          []string // real servers; none for a scripted one
	run         func(*faultRun) error
}

// faultRun is one run of a fault.
type faultRun struct {
	*testing.T
	lab     *netlab.Lab
	server  *mysqltest.Instance // nil for a scripted one
	reports *kit.Collector
	after   func(*testing.T) // checks more, when the report is there; may be nil
}

// TestFaults produces each fault of the network, in namespaces of its own.
func TestFaults(t *testing.T) {
	// Those about the login take a server that gives up after two seconds.
	hasty := sync.OnceValue(func() *mysqltest.Instance { return mysqltest.Start(t, "mysql9", "--connect-timeout=2") })
	for i := range networkFaults {
		f := &networkFaults[i]
		servers := f.on
		if len(servers) == 0 {
			servers = []string{"scripted"}
		}
		for _, name := range servers {
			t.Run(f.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				for range *runs {
					f.check(t, name, hasty)
				}
			})
		}
	}
}

func (f *fault) check(t *testing.T, server string, hasty func() *mysqltest.Instance) {
	t.Helper()
	r := &faultRun{T: t, lab: netlab.New(t), reports: &kit.Collector{}}
	switch {
	case server == "scripted":
	case strings.HasPrefix(string(f.slug), "login_"):
		mysqltest.Require(t, "mysql9")
		r.server = hasty()
	default:
		r.server = mysqltest.Shared(t, server)
	}
	var text string
	var rep *seqguard.Report
	for range 3 {
		err := f.run(r)
		if t.Failed() {
			return
		}
		if f.slug == "login_unanswered" && errors.Is(err, context.DeadlineExceeded) && len(r.reports.All()) == 0 {
			// That is told of a connection that is older than a second, and a dial may be late.
			t.Logf("not produced: %v", err)
			r = &faultRun{T: t, lab: netlab.New(t), server: r.server, reports: &kit.Collector{}}
			continue
		}
		rep = r.reports.Only(t)
		text = rep.String()
		// Where the machine is so busy that a round trip takes long, the kernel waits
		// for longer before it sends again than the test does, and what is to come
		// behind a command comes before it.
		early := f.slug == "stale_answer" && strings.Contains(text, "Before the next command was written")
		if !early && !strings.Contains(text, "too short to tell a dead path from a slow one") {
			kit.WantCause(t, err, r.reports, f.slug)
			break
		}
		rep = nil
		t.Logf("not produced: %s", text)
		r = &faultRun{T: t, lab: netlab.New(t), server: r.server, reports: &kit.Collector{}}
	}
	if rep == nil {
		t.Error("three times not produced")
		return
	}
	t.Log(text)
	for _, s := range f.says {
		if !strings.Contains(text, s) {
			t.Errorf("it does not say %q", s)
		}
	}
	for _, s := range f.never {
		if strings.Contains(text, s) {
			t.Errorf("it says %q", s)
		}
	}
	if rep.Cause.Executed != f.executed {
		t.Errorf("executed: %s, want %s", rep.Cause.Executed, f.executed)
	}
	if r.after != nil {
		r.after(t)
	}
}

// pool is a guarded pool whose connections are made in the client's namespace.
func (r *faultRun) pool(addr, params string) *sql.DB {
	r.Helper()
	return r.poolWith(addr, params, nil)
}

func (r *faultRun) poolWith(addr, params string, change func(*mysql.Config)) *sql.DB {
	r.Helper()
	db, c := kit.Open(r.T, "gotest:secret@tcp("+addr+")/gotest?"+params, func(cfg *mysql.Config) {
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return r.lab.Dial(ctx, network, addr)
		}
		if change != nil {
			change(cfg)
		}
	})
	r.reports = c
	db.SetMaxOpenConns(1)
	return db
}

// conn is a connection of the pool, which holds on to it.
func (r *faultRun) conn(db *sql.DB) *sql.Conn {
	r.Helper()
	c, err := db.Conn(kit.Timeout(r.T, 20*time.Second))
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = c.Close() })
	return c
}

// script is a MySQL server in the server's namespace, on one connection.
func (r *faultRun) script(run func(*mysqltest.Session) error) string {
	r.Helper()
	ln := r.lab.Listen(r.T)
	done := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			done <- nil
			return
		}
		done <- run(&mysqltest.Session{Conn: c})
	}()
	r.Cleanup(func() {
		ln.Close()
		// Who has not read all when he closes resets the connection.
		if err := <-done; err != nil && !errors.Is(err, syscall.ECONNRESET) {
			r.Errorf("the scripted server: %v", err)
		}
	})
	return ln.Addr().String()
}

func login(s *mysqltest.Session) error { return mysqltest.Login(mysqltest.GreetingOptions{}).Run(s) }

// answered reads a command and says OK.
func answered(s *mysqltest.Session) error {
	if err := s.ReadPacket(); err != nil {
		return err
	}
	return mysqltest.SendOK(mysqltest.Next).Run(s)
}

var real = []string{"mysql9", "mariadb1011"}

const port = "tcp dport 1-65535"
