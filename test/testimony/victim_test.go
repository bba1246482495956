//go:build linux

package testimony_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// orders are what a process is told that is to be held up.
type orders struct {
	DSN   string
	Where string // "dial", "login", "rows", "answer"
	Hold  string // what it does there: a key of holds
}

// verdict is what it says in the end.
type verdict struct {
	Cause, Stall, Text, Err string
}

const victimEnv = "SEQGUARD_TEST_VICTIM"

// victim reports whether this process is one that a test started to be held up,
// and does what such a process does.
func victim() bool {
	text := os.Getenv(victimEnv)
	if text == "" {
		return false
	}
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	fmt.Println("started") // the test puts it where it is to run
	if !goOn() {
		return true
	}
	if err := json.NewEncoder(os.Stdout).Encode(o.obey()); err != nil {
		panic(err)
	}
	return true
}

var stdin = bufio.NewReader(os.Stdin)

// goOn waits until the test says so.
func goOn() bool {
	_, err := stdin.ReadString('\n')
	return err == nil
}

// holds are the ways in which a process is late, each for about three seconds.
var holds = map[string]func(){
	"sleep":  fillCache,
	"lock":   func() { cache.Lock(); time.AfterFunc(3*time.Second, cache.Unlock); readCache() },
	"burn":   func() { burn(150 * time.Millisecond) },
	"starve": func() { burn(45 * time.Millisecond) },
	"signal": func() { fmt.Println("stop me"); goOn() }, // somebody stops it meanwhile
	"gc": func() { // with asyncpreemptoff: the collector waits for the loop
		spinning(3 * time.Second)
		runtime.GC()
	},
	"scheduler": func() { spinning(3 * time.Second) }, // with asyncpreemptoff and one P
	"callback":  nil,                                  // in a callback of TLS
}

// Functions of an application, to be named.

//go:noinline
func fillCache() { time.Sleep(3 * time.Second) }

var cache sync.Mutex

//go:noinline
func readCache() {
	cache.Lock()
	defer cache.Unlock()
}

//go:noinline
func askDirectory() { time.Sleep(3 * time.Second) }

// burn uses so much CPU time of this process.
func burn(d time.Duration) {
	used := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for end := used() + d; used() < end; {
	}
}

var sink atomic.Uint64

// loop is one without a point at which it could be stopped, not even a call.
func loop(n int) {
	x := uint64(1)
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
	}
	sink.Store(x)
}

// perSecond is how far loop gets.
var perSecond = sync.OnceValue(func() float64 {
	const trial = 1 << 27
	start := time.Now()
	loop(trial)
	return trial / time.Since(start).Seconds()
})

func spin(d time.Duration) { loop(int(d.Seconds() * perSecond())) }

// spinning returns when another goroutine has begun to spin: with one P, when that is over.
func spinning(d time.Duration) {
	begun := make(chan struct{})
	go func() {
		close(begun)
		spin(d)
	}()
	<-begun
}

// lateConn holds its process up in front of the first write: between the
// greeting and the login.
type lateConn struct {
	net.Conn
	hold func()
}

func (c *lateConn) SetWriteDeadline(t time.Time) error {
	if c.hold != nil {
		c.hold()
		c.hold = nil
		t = time.Now().Add(time.Minute)
	}
	return c.Conn.SetWriteDeadline(t)
}

func (o *orders) obey() (v verdict) {
	cfg, err := mysql.ParseDSN(o.DSN)
	if err != nil {
		return verdict{Err: err.Error()}
	}
	cfg.Logger, cfg.WriteTimeout = &mysql.NopLogger{}, time.Minute
	hold := holds[o.Hold]
	if o.Hold == "gc" || o.Hold == "scheduler" {
		perSecond()
	}
	if o.Hold == "callback" {
		cfg.TLS = &tls.Config{InsecureSkipVerify: true, VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error {
			askDirectory()
			return nil
		}}
	} else if o.Where == "login" {
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, network, addr)
			return &lateConn{Conn: c, hold: hold}, err
		}
	} else if o.Where == "dial" {
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, network, addr)
			hold()
			return c, err
		}
	}
	told := make(chan *wrapconn.Report, 8)
	if o.Where == "answer" {
		v.Err = fmt.Sprint(readLate(cfg, hold, told))
		v.judge(told)
		return v
	}
	connector, err := seqguard.NewConnector(cfg, seqguard.WithOnReport(func(_ context.Context, r *wrapconn.Report) { told <- r }))
	if err != nil {
		return verdict{Err: err.Error()}
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	switch o.Where {
	case "rows":
		err = readSlowly(db, hold)
	default:
		c, cerr := connector.Connect(context.Background())
		if err = cerr; cerr == nil {
			_ = c.Close()
		}
	}
	v.Err = fmt.Sprint(err)
	v.judge(told)
	return v
}

// judge is what is said of the victim.
func (v *verdict) judge(told <-chan *wrapconn.Report) {
	select {
	case r := <-told:
		v.Cause, v.Stall, v.Text = string(r.Cause.Slug), r.Evidence.Stall.Cause(r.Evidence.Pause()).String(), r.String()
	case <-time.After(5 * time.Second):
	}
}

// lateReader holds its process up in front of a read, when the time limit for it
// has been set.
type lateReader struct {
	net.Conn
	socket *net.TCPConn
	hold   *atomic.Pointer[func()]
}

func (c *lateReader) Read(p []byte) (int, error) {
	if hold := c.hold.Swap(nil); hold != nil {
		kit.AwaitReadable(c.socket, 10*time.Second)
		(*hold)()
	}
	return c.Conn.Read(p)
}

// readLate does not come to read an answer until its time limit is over.
func readLate(cfg *mysql.Config, hold func(), told chan<- *wrapconn.Report) error {
	var armed atomic.Pointer[func()]
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		inner, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := wrapconn.New(inner, wrapconn.Options{Operations: true, CallSites: true, Network: network, Server: addr, OnReport: func(_ context.Context, r *wrapconn.Report) { told <- r }})
		if _, err := c.Begin(ctx, wrapconn.OpConnect); err != nil {
			return nil, err
		}
		return &lateReader{c.NetConn(), inner.(*net.TCPConn), &armed}, nil
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	c, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer c.Close()
	armed.Store(&hold)
	_, err = c.ExecContext(context.Background(), "DO 1")
	return err
}

// readSlowly reads one row, is held up, and reads on.
func readSlowly(db *sql.DB, hold func()) error {
	c, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.ExecContext(context.Background(), "SET SESSION net_write_timeout = 1"); err != nil {
		return err
	}
	rows, err := c.QueryContext(context.Background(), "SELECT REPEAT('x', 1000000) FROM information_schema.columns LIMIT 60")
	if err != nil {
		return err
	}
	defer rows.Close()
	rows.Next()
	hold()
	for rows.Next() {
	}
	return rows.Err()
}
