package simulation

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	driver "github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// world is a scenario that runs: the server, and what is recorded.
type world struct {
	s      *scenario
	ops    map[int]*op
	start  time.Time
	peers  sync.WaitGroup
	stalls bool // a client stalls in a login, which no context ends
	late   bool // there is an op whose answer is to be read too late

	mu       sync.Mutex
	conns    []*peer
	dialed   time.Time
	served   map[*op]bool
	ran      map[ran]int // how often the peer ran a statement
	hits     map[int][]hit
	refused  time.Time // until then nobody listens
	offline  time.Time // until then logins are refused with ERR 3032
	reports  []*seqguard.Report
	fails    []failure // errors that carry a report
	problems []string
	reached  map[string]int
	count    int         // operations
	overdue  []time.Time // when contexts ended whose operations were under way
}

// ran says which connection a statement ran on.
type ran struct{ conn, token int }

// hit is a fault that a connection has met.
type hit struct {
	fault string
	names []cause.Slug
	at    time.Time
}

type failure struct {
	report *seqguard.Report
	token  int
	err    error
}

// outcome is what a run came to.
type outcome struct {
	problems []string
	reached  map[string]int
	ops      int
	reports  int
}

// run runs a scenario in a bubble of its own.
func run(t *testing.T, s *scenario) (out outcome) {
	w := &world{s: s, ops: map[int]*op{}, served: map[*op]bool{}, ran: map[ran]int{}, hits: map[int][]hit{}, reached: map[string]int{}}
	s.all(func(o *op) {
		w.ops[o.token] = o
		w.late = w.late || o.fault == fLateRead
	})
	for _, l := range s.logins {
		w.stalls = w.stalls || l.stall
	}
	before := seqguard.Stats()
	// By the clock outside: a bubble stands still while a goroutine in it waits for a lock whose holder sleeps.
	still := time.AfterFunc(2*time.Minute, func() { panic(fmt.Sprintf("this scenario stands still: %s", s)) })
	defer still.Stop()
	synctest.Test(t, func(*testing.T) { w.live() })
	after := seqguard.Stats()
	w.check(before, after)
	return outcome{w.problems, w.reached, w.count, len(w.reports)}
}

var registerReader = sync.OnceFunc(func() {
	driver.RegisterReaderHandler("simulation", func() io.Reader { return strings.NewReader(loadFile) })
	driver.RegisterReaderHandler("simulation-broken", func() io.Reader {
		return io.MultiReader(strings.NewReader(loadFile), brokenReader{})
	})
})

var loadFile = strings.Repeat("a row of the file\n", 40)

type brokenReader struct{}

var errDisk = fmt.Errorf("disk read error")

func (brokenReader) Read([]byte) (int, error) { return 0, errDisk }

// pass lets time go by, which in a bubble takes none.
func pass(d time.Duration) { time.Sleep(d) }

// live is what happens in the bubble.
func (w *world) live() {
	registerReader()
	w.start = time.Now()
	cfg := driver.NewConfig()
	cfg.User, cfg.Net, cfg.Passwd = "u", "mem", "p"
	// A name of its own: what a process knows of a server outlives a bubble, and all bubbles begin at the same time.
	cfg.Addr = "simulated-" + strconv.FormatUint(w.s.seed, 10) + "-" + strconv.Itoa(int(runs.Add(1))) + ":3306"
	cfg.DialFunc = w.dial
	cfg.Logger = &driver.NopLogger{}
	cfg.ReadTimeout = w.s.readLimit
	cfg.MaxAllowedPacket = 64 << 20
	cfg.MultiStatements = true
	if err := cfg.Apply(driver.EnableCompression(w.s.compressed)); err != nil {
		panic(err)
	}
	if w.s.tls() {
		cfg.TLS, cfg.AllowFallbackToPlaintext = &tls.Config{InsecureSkipVerify: true}, true
	}
	connector, err := seqguard.NewConnector(cfg, seqguard.WithOnReport(w.report), seqguard.WithHeldTooLong(w.s.heldLimit), seqguard.WithAbandoned(w.s.abandoned))
	if err != nil {
		panic(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(w.s.maxOpen)
	db.SetMaxIdleConns(w.s.maxOpen)
	stop := func() {}
	if w.s.watched {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if stop, err = seqguard.WatchPool(ctx, db); err != nil {
			stop = func() {}
			w.explained(nil, 0, err, ctx)
		}
		cancel()
	}
	var all sync.WaitGroup
	for _, e := range w.s.events {
		all.Go(func() {
			time.Sleep(e.at)
			w.plain("event: " + e.kind.name)
			e.kind.run(w, e.kind, rand.New(rand.NewPCG(e.pick, 1)))
		})
	}
	for _, ops := range w.s.clients {
		all.Go(func() { (&client{w: w, db: db}).do(db, ops) })
	}
	all.Wait()
	stop()
	w.mu.Lock()
	w.overdue = append(w.overdue, time.Now()) // the pool ends the context of a connect in reserve
	w.mu.Unlock()
	_ = db.Close()
	time.Sleep(10 * time.Second) // database/sql may be making a connection in reserve
	if err := seqguard.Flush(context.Background()); err != nil {
		w.problem("Flush: %v", err)
	}
	w.peers.Wait()
}

// tls reports whether the pool would use TLS if the server offered it.
func (s *scenario) tls() bool {
	for _, l := range s.logins {
		if l.tls {
			return true
		}
	}
	return false
}

func (w *world) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	// Each connection is made at a time of its own: before the greeting that is all by which it is known.
	w.mu.Lock()
	at := time.Now().Add(10 * time.Microsecond)
	if !at.After(w.dialed) {
		at = w.dialed.Add(10 * time.Microsecond)
	}
	w.dialed = at
	w.mu.Unlock()
	time.Sleep(time.Until(at))
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Now().Before(w.refused) {
		return nil, &net.OpError{Op: "dial", Net: "mem", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	n := len(w.conns) + 1
	c, s := newPipe("client:"+strconv.Itoa(n), "server:"+strconv.Itoa(n))
	p := &peer{w: w, n: n, c: s, rw: s, classic: w.s.classicEOF, stmts: map[uint32]*op{}, made: time.Now()}
	if l := w.s.logins[n]; l != nil && l.stall {
		c.beforeWrite = func([]byte) {
			c.beforeWrite = nil
			time.Sleep(3 * time.Second)
		}
	}
	if w.late {
		w.readsLate(c)
	}
	w.conns = append(w.conns, p)
	w.peers.Add(1)
	go p.serve()
	return c, nil
}

// readsLate makes a connection's client come too late to read the answers that are to be read too late.
func (w *world) readsLate(c *end) {
	before := c.beforeWrite
	var wait time.Duration
	c.beforeWrite = func(b []byte) {
		if before != nil {
			before(b)
		}
		wait = 0
		if i := bytes.Index(b, []byte("/*t=")); i >= 0 {
			if o := w.ops[token(b[i:])]; o != nil && o.fault == fLateRead {
				wait = o.after
			}
		}
	}
	c.beforeRead = func() {
		d := wait
		wait = 0
		if d > 0 {
			time.Sleep(d)
		}
	}
}

func (w *world) report(_ context.Context, r *seqguard.Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reports = append(w.reports, r)
}

func (w *world) op(token int) *op {
	if o := w.ops[token]; o != nil {
		return o
	}
	panic(fmt.Sprintf("nobody has asked %d", token))
}

// first reports whether the fault of a command comes now: it does so once, and not again when the command is repeated.
func (w *world) first(o *op) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.served[o] {
		return false
	}
	w.served[o] = true
	return true
}

func (w *world) execute(p *peer, o *op) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ran[ran{p.n, o.token}]++
}

func (w *world) hit(p *peer, fault string, names ...cause.Slug) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hits[p.n] = append(w.hits[p.n], hit{fault, names, time.Now()})
	w.reached["fault: "+fault]++
}

// plain notes something that is no violation of anything.
func (w *world) plain(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reached["fault: "+what]++
}

func (w *world) reach(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reached[what]++
}

func (w *world) problem(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}
