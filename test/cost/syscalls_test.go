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
	for range operations {
		if err := run(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

// looks are the looks into the socket that a client had.
type looks struct {
	driver int // of go-sql-driver: it reads one byte
	guard  int // of the guard: it peeks
}

var (
	oneByte = regexp.MustCompile(`(?m)read(\(| resumed).*, 1\) += `)
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
	return looks{len(oneByte.FindAll(log, -1)), len(peeked.FindAll(log, -1))}
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
		{"mysql", "pool", "", looks{1, 0}},
		{"mysql-seqguard", "pool", "", looks{0, 1}},
		{"mysql-seqguard", "pool", "?readTimeout=10s", looks{0, 1}},
		{"mysql-seqguard", "pool", "?checkConnLiveness=false", looks{0, 0}},
		{"mysql-seqguard", "pool", "?seqguardMode=observe", looks{0, 1}},
		{"mysql", "tx", "", looks{0, 0}},
		{"mysql-seqguard", "tx", "", looks{0, 1}},
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
