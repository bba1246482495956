package cost_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"

	_ "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// clientEnv makes this program a client: driver, way and DSN, separated by
// spaces.
const clientEnv = "SEQGUARD_TEST_COST_CLIENT"

// operations is how many the client does.
const operations = 200

// client does operations in the way asked for, for strace to watch.
func client() int {
	var driver, way, dsn string
	if _, err := fmt.Sscan(os.Getenv(clientEnv), &driver, &way, &dsn); err != nil {
		fmt.Println(err)
		return 2
	}
	ctx := context.Background()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		fmt.Println(err)
		return 2
	}
	run := func() error { _, err := db.ExecContext(ctx, "DO 1"); return err }
	if way == "tx" {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			fmt.Println(err)
			return 2
		}
		run = func() error { _, err := tx.ExecContext(ctx, "DO 1"); return err }
	}
	times := operations
	if way == "scan" {
		times = 1
		run = func() error {
			rows, err := db.QueryContext(ctx, "SELECT v")
			if err != nil {
				return err
			}
			n := 0
			for rows.Next() {
				n++
			}
			if n != scanned && rows.Err() == nil {
				return fmt.Errorf("%d rows", n)
			}
			return rows.Err()
		}
	}
	for range times {
		if err := run(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

// scanned is how many rows the result of a scan has, and row one of them: 2 MB.
const scanned = 20000

var row = strings.Repeat("x", 100)

// answerRows is a handler that answers a SELECT with them.
func answerRows(s *mysqltest.Session, cmd byte, body []byte) error {
	if !strings.HasPrefix(string(body), "SELECT v") {
		return mysqltest.AnswerOK(s, cmd, body)
	}
	b := append(mysqltest.Packet(1, []byte{1}), mysqltest.Packet(2, mysqltest.ColumnPayload(mysqltest.Column{Name: "v"}))...)
	for i := range scanned {
		b = append(b, mysqltest.Packet(byte(3+i), mysqltest.TextRowPayload(row))...)
	}
	b = append(b, mysqltest.Packet(byte((3+scanned)%256), mysqltest.ResultEndPayload(mysqltest.StatusAutocommit, 0))...)
	_, err := s.Conn.Write(b)
	return err
}

// looks are the looks into the socket that a client had.
type looks struct {
	driver int // of go-sql-driver: it reads one byte
	guard  int // of the guard: it peeks
	reads  int // of more than a byte
}

var (
	oneByte = regexp.MustCompile(`(?m)read(\(| resumed).*, 1\) += `)
	reading = regexp.MustCompile(`(?m)read(\(| resumed).*, \d{3,}\) += \d`)
	peeked  = regexp.MustCompile(`(?m)recvfrom(\(| resumed).*MSG_PEEK`)
)

func count(t *testing.T, driver, way, dsn string) looks {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "strace")
	cmd := exec.Command("strace", "-f", "-q", "-e", "trace=read,recvfrom", "-o", out, self)
	cmd.Env = append(os.Environ(), clientEnv+"="+strings.Join([]string{driver, way, dsn}, " "))
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	log, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return looks{len(oneByte.FindAll(log, -1)), len(peeked.FindAll(log, -1)), len(reading.FindAll(log, -1))}
}

// The guard looks into the socket before every command; the driver's own look,
// which it has when a connection comes from the pool, is answered by the guard's.
func TestLooksPerOperation(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("system calls were not counted: that takes strace")
	}
	s := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(mysqltest.AnswerOK))
	dsn := "user@tcp(" + s.Addr + ")/"
	for _, tt := range []struct {
		driver, way, params string
		want                looks // each operation
	}{
		{"mysql", "pool", "", looks{driver: 1}},
		{"mysql-seqguard", "pool", "", looks{guard: 1}},
		{"mysql-seqguard", "pool", "?readTimeout=10s", looks{guard: 1}},
		{"mysql-seqguard", "pool", "?checkConnLiveness=false", looks{}},
		{"mysql-seqguard", "pool", "?seqguardMode=observe", looks{guard: 1}},
		{"mysql", "tx", "", looks{}},
		{"mysql-seqguard", "tx", "", looks{guard: 1}},
	} {
		t.Run(tt.driver+" "+tt.way+" "+tt.params, func(t *testing.T) {
			got := count(t, tt.driver, tt.way, dsn+tt.params)
			// A connection that is new, or a transaction that begins, has a look
			// more or less. A look that holds for the command behind it holds
			// for 100 µs: under strace that may pass.
			spare := 5
			if d := got.driver - operations*tt.want.driver; d < -spare || d > spare {
				t.Errorf("the driver looked %d times in %d operations", got.driver, operations)
			}
			if least := operations*tt.want.guard - spare; got.guard < least {
				t.Errorf("the guard looked %d times in %d operations, want %d at least", got.guard, operations, least)
			}
			if tt.want.guard == 0 && got.guard != 0 {
				t.Errorf("%d looks of a guard that is not there, or must not look", got.guard)
			}
			t.Logf("%d operations: %+v", operations, got)
		})
	}
}

// A large result takes the guard a fraction of the reads that it takes the driver.
func TestReadsOfLargeResult(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("system calls were not counted: that takes strace")
	}
	s := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(answerRows))
	dsn := "user@tcp(" + s.Addr + ")/"
	plain, guarded := count(t, "mysql", "scan", dsn).reads, count(t, "mysql-seqguard", "scan", dsn).reads
	t.Logf("reads: %d of the plain driver, %d guarded", plain, guarded)
	if least := scanned * len(row) / 4096; plain < least {
		t.Fatalf("%d reads of the plain driver, which must be %d at least: they are not counted", plain, least)
	}
	if guarded > plain/3 {
		t.Errorf("%d reads guarded, %d of the plain driver", guarded, plain)
	}
}
