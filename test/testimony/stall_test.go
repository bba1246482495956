//go:build linux

package testimony_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// stall is one way in which a process is late, and what must be said of it.
type stall struct {
	name string // what happens, for the page
	how  string
	hold string
	want cause.StallCause
	says []string
	env  []string
	wrap []string // a program that starts it
	// place is called when the process runs and has done nothing yet; during
	// when it says so.
	place  func(*testing.T, *os.Process)
	during func(*testing.T, *os.Process)
	// tls: with TLS only, and on MariaDB: MySQL 9 waits for longer than its
	// connect_timeout while TLS is set up.
	tls bool
}

var stalls = []stall{
	{
		name: "the container's CPU limit is used up", how: "a control group with a quota of 5 ms in 100 ms, and 150 ms of work",
		hold: "burn", want: cause.StallThrottled, says: []string{"Its container was throttled for", "(CPU limit 0.05)", "Raise the CPU limit"}, place: throttle,
	},
	{
		name: "the machine is busy", how: "`nice 19` beside a loop, both on one CPU, and 45 ms of work",
		hold: "starve", want: cause.StallNoCPU, says: []string{"ready to run and waited for a CPU for", "others on this machine had them"},
		wrap: []string{"nice", "-n", "19", "taskset", "-c", "1"}, place: hog,
	},
	{
		name: "the process is stopped", how: "SIGSTOP, and SIGCONT after 3 s",
		hold: "signal", want: cause.StallStopped, says: []string{"It did not run for", "the process was stopped (SIGSTOP"}, during: pause,
	},
	{
		name: "the garbage collector stops the program", how: "asyncpreemptoff=1, a loop of 3 s and runtime.GC",
		hold: "gc", want: cause.StallGC, says: []string{"The garbage collector had stopped the program for"}, env: []string{"GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=2"}, place: first,
	},
	{
		name: "the Go scheduler has nothing free", how: "asyncpreemptoff=1, GOMAXPROCS=1 and a loop of 3 s",
		hold: "scheduler", want: cause.StallScheduler, says: []string{"goroutines that were ready to run were not"}, env: []string{"GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1"}, place: first,
	},
	{
		name: "the program waits for something else", how: "a sleep between two steps",
		hold: "sleep", want: cause.StallOwn, says: []string{"The process could run all the time", "look at your own code: the goroutine that began this was in", "testimony_test.fillCache (testimony/victim_test.go:", "in time.Sleep"},
	},
	{
		name: "the program waits for a lock of its own", how: "a `sync.Mutex` that another goroutine has",
		hold: "lock", want: cause.StallOwn, says: []string{"The process could run all the time", "testimony_test.readCache (testimony/victim_test.go:", "in sync.(*Mutex).Lock"},
	},
	{
		name: "a callback of TLS waits", how: "a VerifyPeerCertificate that takes 3 s",
		hold: "callback", want: cause.StallOwn, says: []string{"The process could run all the time", "testimony_test.askDirectory (testimony/victim_test.go:"}, tls: true,
	},
}

// TestStalledLogin is the case that this project began with, in a container-like
// control group and otherwise.
func TestStalledLogin(t *testing.T) {
	for _, name := range real {
		server := mysqltest.Start(t, name, "--connect-timeout=2")
		for i := range stalls {
			s := &stalls[i]
			for _, mode := range []string{"plaintext", "TLS"} {
				if s.tls && (mode != "TLS" || server.Kind != mysqltest.MariaDB) {
					continue
				}
				t.Run(s.hold+"/"+name+"/"+mode, func(t *testing.T) {
					s.beside(t)
					for range *runs {
						params := ""
						if mode == "TLS" && s.hold != "callback" {
							params = "tls=skip-verify"
						}
						s.check(t, orders{DSN: server.DSN(params), Where: "login", Hold: s.hold}, "login_stalled_locally")
					}
				})
			}
		}
	}
}

// TestLateDial is the same in a dial that returns late: the server has greeted, and by
// the time at which this process learns of the connection it has given up.
func TestLateDial(t *testing.T) {
	for _, name := range real {
		server := mysqltest.Start(t, name, "--connect-timeout=2")
		for i := range stalls {
			s := stalls[i]
			if s.hold != "starve" && s.hold != "signal" && s.hold != "sleep" {
				continue
			}
			if s.hold == "sleep" {
				s.says = s.says[:1] // there is no connection yet of which somebody could look where its goroutine is
			}
			s.says = append(slices.Clone(s.says), "by the kernel's clock the greeting had been here for")
			for _, mode := range []string{"plaintext", "TLS"} {
				if mode == "TLS" && s.hold != "starve" {
					continue // there is no TLS yet
				}
				t.Run(s.hold+"/"+name+"/"+mode, func(t *testing.T) {
					s.beside(t)
					for range *runs {
						params := ""
						if mode == "TLS" {
							params = "tls=skip-verify"
						}
						s.check(t, orders{DSN: server.DSN(params), Where: "dial", Hold: s.hold}, "login_stalled_locally")
					}
				})
			}
		}
	}
}

// TestBlockingBeforeConnect: a callback that blocks before there is a connection keeps
// no server waiting, and nobody is accused of it.
func TestBlockingBeforeConnect(t *testing.T) {
	for _, name := range real {
		server := mysqltest.Start(t, name, "--connect-timeout=2")
		for _, mode := range []string{"", "tls=skip-verify"} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				db, c := kit.Open(t, server.DSN(mode), func(cfg *mysql.Config) {
					if err := cfg.Apply(mysql.BeforeConnect(func(context.Context, *mysql.Config) error { askDirectory(); return nil })); err != nil {
						t.Fatal(err)
					}
				})
				if err := db.PingContext(t.Context()); err != nil {
					t.Error(err)
				}
				short, cancel := context.WithTimeout(t.Context(), time.Second)
				if conn, err := db.Conn(short); err == nil {
					if _, err := db.Conn(short); err == nil { // a second one is made
						t.Error("no error")
					}
					_ = conn.Close()
				}
				cancel()
				_ = db.Close()
				if err := seqguard.Flush(kit.Timeout(t, 20*time.Second)); err != nil {
					t.Fatal(err)
				}
				c.None(t)
			})
		}
	}
}

// TestSlowReader is the same between two rows.
func TestSlowReader(t *testing.T) {
	for i := range stalls {
		s := &stalls[i]
		if s.tls || s.hold == "starve" {
			continue
		}
		t.Run(s.hold, func(t *testing.T) {
			server := mysqltest.Shared(t, "mysql9")
			s.beside(t)
			for range *runs {
				s.check(t, orders{DSN: server.DSN(""), Where: "rows", Hold: s.hold}, "slow_reader")
			}
		})
	}
}

// TestReadTooLate is the same in front of a read: the answer has come, and the
// time limit of this side is over when it is read.
func TestReadTooLate(t *testing.T) {
	for _, name := range real {
		for i := range stalls {
			s := stalls[i]
			if s.tls || s.hold == "starve" {
				continue
			}
			s.says = s.says[:1] // it waits above the guard, where nobody looks for it
			t.Run(s.hold+"/"+name, func(t *testing.T) {
				server := mysqltest.Shared(t, name)
				s.beside(t)
				for range *runs {
					s.check(t, orders{DSN: server.DSN("readTimeout=1s"), Where: "answer", Hold: s.hold}, "read_too_late")
				}
			})
		}
	}
}

// beside lets a stall that takes no CPU, or hardly any, be produced beside others.
func (s *stall) beside(t *testing.T) {
	switch s.hold {
	case "signal", "sleep", "lock", "callback", "burn":
		t.Parallel()
	}
}

func (s *stall) check(t *testing.T, o orders, slug string) {
	t.Helper()
	var v verdict
	for range 3 {
		// On a machine that is very busy the server may be as late as its client.
		if v = s.start(t, o); v.Cause != "" || t.Failed() || t.Skipped() {
			break
		}
		t.Logf("not produced: %s", v.Err)
	}
	if t.Skipped() {
		return
	}
	if v.Cause != slug || v.Stall != s.want.String() {
		t.Errorf("named %s, %s; want %s, %s\n%s\n%s", v.Cause, v.Stall, slug, s.want, v.Text, v.Err)
	}
	for _, says := range s.says {
		if !strings.Contains(v.Text, says) {
			t.Errorf("it does not say %q:\n%s", says, v.Text)
		}
	}
	t.Log(v.Text)
}

// start runs a victim.
func (s *stall) start(t *testing.T, o orders) (v verdict) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	args := append(append([]string(nil), s.wrap...), self)
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skipf("NOT TESTED: %v. Get it with: apt-get install util-linux coreutils", err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), victimEnv+"="+string(text)), s.env...)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	timer := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch line := lines.Text(); line {
		case "started":
			if s.place != nil {
				s.place(t, cmd.Process)
			}
			if _, err := io.WriteString(in, "go\n"); err != nil {
				t.Fatal(err)
			}
		case "stop me":
			s.during(t, cmd.Process)
			if _, err := io.WriteString(in, "go on\n"); err != nil {
				t.Fatal(err)
			}
		default:
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			return v
		}
	}
	t.Fatal("the victim has said nothing")
	return v
}

// pause stops a process for three seconds.
func pause(t *testing.T, p *os.Process) {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // the fault
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// hog computes on the CPU of the victim for as long as that lives.
func hog(t *testing.T, _ *os.Process) {
	cmd := exec.Command("timeout", "20", "taskset", "-c", "1", "sh", "-c", "while :; do :; done")
	if err := cmd.Start(); err != nil {
		t.Skipf("NOT TESTED: %v. Get it with: apt-get install util-linux coreutils", err)
	}
	t.Cleanup(sync.OnceFunc(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() }))
}

// throttle puts a process into a control group with a quota of a twentieth of a
// CPU, which it gets at once, so that only the quota holds it up.
func throttle(t *testing.T, p *os.Process) {
	group(t, p, map[string]string{"cpu.weight": "10000", "cpu.shares": "262144", "cpu.max": "5000 100000", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "5000"})
}

// first lets a process that computes do so on a machine that is busy besides.
func first(t *testing.T, p *os.Process) {
	group(t, p, map[string]string{"cpu.weight": "10000", "cpu.shares": "262144"})
}

// group puts a process into a control group of its own, of version 2 or 1, with
// those of the settings that there are.
func group(t *testing.T, p *os.Process, settings map[string]string) {
	t.Helper()
	dir := "/sys/fs/cgroup/cpu/"
	if b, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers"); err == nil && strings.Contains(string(b), "cpu") {
		dir = "/sys/fs/cgroup/"
		enableCPU()
	}
	dir += fmt.Sprintf("seqguard-%d-%d", os.Getpid(), time.Now().UnixNano())
	if err := os.Mkdir(dir, 0o755); err != nil {
		unavailable(t, err)
	}
	t.Cleanup(func() {
		_ = p.Kill()
		// It is busy until the last process has gone.
		kit.Eventually(t, func() bool { return os.Remove(dir) == nil }, "%s is left behind", dir)
	})
	// The files of a control group are there; none is made.
	write := func(name, value string) error {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(value)
		return errors.Join(err, f.Close())
	}
	written := 0
	for name, value := range settings {
		err := write(name, value)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if err == nil {
			written++
		}
	}
	if written == 0 {
		unavailable(t, errors.New("the group has no cpu controller"))
	}
	if err := write("cgroup.procs", fmt.Sprint(p.Pid)); err != nil {
		t.Fatal(err)
	}
}

// enableCPU has the groups below the root of a version 2 hierarchy get the cpu
// controller. In a container the root has processes of its own, which keeps it
// from that: they move to a group beside those of the tests.
var enableCPU = sync.OnceFunc(func() {
	const root = "/sys/fs/cgroup/"
	enable := func() error {
		return os.WriteFile(root+"cgroup.subtree_control", []byte("+cpu"), 0)
	}
	if enable() == nil || os.MkdirAll(root+"seqguard-others", 0o755) != nil {
		return
	}
	b, _ := os.ReadFile(root + "cgroup.procs")
	for pid := range strings.FieldsSeq(string(b)) {
		_ = os.WriteFile(root+"seqguard-others/cgroup.procs", []byte(pid), 0)
	}
	_ = enable() // if not, the group has no cpu.max, and the test says so
})

// unavailable skips a test, loudly: what is not tested, and how to get what it
// takes. With SEQGUARD_REQUIRE_KERNEL=1 it fails.
func unavailable(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("SEQGUARD_REQUIRE_KERNEL") == "1" {
		t.Fatal(err)
	}
	t.Skipf("NOT TESTED in a control group: %v. It takes root and the cpu controller, writable: in a container, --privileged", err)
}
