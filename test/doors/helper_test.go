package doors

import (
	"context"
	"database/sql"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) { kit.Main(m) }

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return c
}

func open(t testing.TB, name, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(name, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func works(t testing.TB, db *sql.DB) {
	t.Helper()
	if _, err := db.ExecContext(ctx(t), "DO 1"); err != nil {
		t.Fatal(err)
	}
}

// guards fails the test unless use opens n guarded connections and no report is made.
func guards(t testing.TB, n uint64, use func()) {
	t.Helper()
	before := seqguard.Stats()
	use()
	after := seqguard.Stats()
	if got := after.Connections - before.Connections; got != n {
		t.Errorf("%d guarded connections, want %d", got, n)
	}
	if after.Reports != before.Reports || after.Untracked != before.Untracked {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// answersOK is a server of the tests that says OK to everything, on any number of connections.
func answersOK(t testing.TB) *mysqltest.Server {
	return mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(mysqltest.AnswerOK))
}

// registerDial registers a dial function and removes it after the test.
func registerDial(t testing.TB, network string, dial mysql.DialContextFunc) {
	mysql.RegisterDialContext(network, dial)
	t.Cleanup(func() { mysql.DeregisterDialContext(network) })
}

// trap is an address at which nobody should connect; it counts who does.
type trap struct {
	net.Listener
	hits atomic.Int32
}

func setTrap(t testing.TB) *trap {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &trap{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.hits.Add(1)
			_, _ = io.WriteString(c, "\x00")
			_ = c.Close()
		}
	}()
	return s
}
