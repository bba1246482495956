package mysqltest_test

import (
	"database/sql"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// open connects the plain driver, quietly.
func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = &mysql.NopLogger{}
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	t.Cleanup(func() { db.Close() })
	return db
}

var columns = []mysqltest.Column{{Name: "name"}, {Name: "n", Type: mysqltest.TypeLongLong}}

func TestScriptedResultSets(t *testing.T) {
	for _, caps := range []uint32{mysqltest.DefaultCapabilities, mysqltest.DefaultCapabilities &^ mysqltest.CapDeprecateEOF} {
		s := mysqltest.Serve(t,
			mysqltest.Login(mysqltest.GreetingOptions{Capabilities: caps}),
			mysqltest.ExpectCommand(mysqltest.ComQuery),
			mysqltest.SendResultSetMore(mysqltest.Next, columns, []any{"a", 1}, []any{nil, 2}),
			mysqltest.SendResultSet(mysqltest.Next, columns, []any{"b", 3}),
			mysqltest.ExpectClose(),
		)
		db := open(t, s.DSN("multiStatements=true"))
		rows, err := db.Query("SELECT")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for more := true; more; more = rows.NextResultSet() {
			for rows.Next() {
				var name sql.NullString
				var n int
				if err := rows.Scan(&name, &n); err != nil {
					t.Fatal(err)
				}
				got = append(got, name.String, string(rune('0'+n)))
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if want := []string{"a", "1", "", "2", "b", "3"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		db.Close()
	}
}

func TestScriptedErrors(t *testing.T) {
	t.Run("refused before the greeting", func(t *testing.T) {
		s := mysqltest.Serve(t, mysqltest.SendERR(0, 1040, "", "Too many connections"), mysqltest.Close())
		var e *mysql.MySQLError
		if err := open(t, s.DSN("")).Ping(); !errors.As(err, &e) || e.Number != 1040 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("wrong sequence id", func(t *testing.T) {
		s := mysqltest.Serve(t, mysqltest.Greeting(mysqltest.GreetingOptions{}), mysqltest.ExpectLogin(),
			mysqltest.SendERR(1, 1159, "08S01", "Got timeout reading communication packets"), mysqltest.Close())
		var e *mysql.MySQLError
		if err := open(t, s.DSN("")).Ping(); !errors.As(err, &e) || e.Number != 1159 || e.SQLState != [5]byte([]byte("08S01")) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		s := mysqltest.Serve(t, mysqltest.Greeting(mysqltest.GreetingOptions{}), mysqltest.ExpectLogin(), mysqltest.Reset())
		if err := open(t, s.DSN("")).Ping(); err == nil {
			t.Error("no error")
		}
	})
	t.Run("half a packet", func(t *testing.T) {
		s := mysqltest.Serve(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ExpectCommand(mysqltest.ComPing),
			mysqltest.SendRaw([]byte{7, 0, 0, 1, 0}), mysqltest.CloseWrite(), mysqltest.ExpectClose())
		if err := open(t, s.DSN("")).Ping(); !errors.Is(err, mysql.ErrInvalidConn) {
			t.Errorf("got %v", err)
		}
	})
}

func TestServeUnixAndEvery(t *testing.T) {
	login := mysqltest.Login(mysqltest.GreetingOptions{})
	u := mysqltest.ServeUnix(t, login, mysqltest.ServeForever(mysqltest.AnswerOK))
	if err := open(t, u.DSN("")).Ping(); err != nil {
		t.Error(err)
	}
	e := mysqltest.ServeEvery(t, login, mysqltest.Delay(time.Millisecond), mysqltest.ServeForever(mysqltest.AnswerOK))
	db := open(t, e.DSN(""))
	for range 3 {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.PingContext(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// failures records what a script reports, in the place of a real test.
type failures struct {
	testing.TB
	said    []string
	cleanup []func()
}

func (f *failures) Helper()                           {}
func (f *failures) Cleanup(fn func())                 { f.cleanup = append(f.cleanup, fn) }
func (f *failures) Errorf(format string, args ...any) { f.said = append(f.said, format) }

func TestAScriptThatIsNotFollowedFailsTheTest(t *testing.T) {
	f := &failures{TB: t}
	s := mysqltest.Serve(f, mysqltest.Greeting(mysqltest.GreetingOptions{}), mysqltest.ExpectCommand(mysqltest.ComPing))
	c, err := net.Dial(s.Net, s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(mysqltest.Packet(1, []byte("not a command")))
	never := mysqltest.Serve(f, mysqltest.ExpectPacket())
	_ = never
	for _, fn := range f.cleanup {
		fn()
	}
	if len(f.said) != 2 || !strings.Contains(f.said[0], "connection %d") || !strings.Contains(f.said[1], "connections came") {
		t.Errorf("reported: %q", f.said)
	}
}

// A test that ends at the very moment at which a command comes has not failed for that.
func TestEndsBesideACommand(t *testing.T) {
	for range 300 {
		f := &failures{TB: t}
		s := mysqltest.Serve(f, mysqltest.ServeForever(mysqltest.AnswerOK))
		c, err := net.Dial(s.Net, s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			ping := mysqltest.Packet(0, []byte{mysqltest.ComPing})
			for err == nil {
				_, err = c.Write(ping)
			}
		}()
		for _, fn := range f.cleanup {
			fn()
		}
		c.Close()
		if len(f.said) != 0 {
			t.Fatalf("reported: %q", f.said)
		}
	}
}

func TestPacketOf16MiB(t *testing.T) {
	b := mysqltest.Packet(255, make([]byte, mysqltest.MaxPacket))
	if len(b) != mysqltest.MaxPacket+8 || b[3] != 255 {
		t.Fatalf("%d bytes, first id %d", len(b), b[3])
	}
	if tail := b[len(b)-4:]; !slices.Equal(tail, []byte{0, 0, 0, 0}) {
		t.Errorf("the empty packet at the end is % x", tail)
	}
}
