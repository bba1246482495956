package doors

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"
	"testing"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func openDB(t testing.TB, c driver.Connector) *sql.DB {
	db := sql.OpenDB(c)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Code that takes the dialect from the type of the driver sees another type, as docs/adopt.md says: the type is the guard's,
// so that what wraps db.Driver() wraps the guard.
func TestFault5_04DriverType(t *testing.T) {
	for name, db := range map[string]*sql.DB{
		"by name":      open(t, seqguard.DriverName, "user@tcp(127.0.0.1:1)/"),
		"by connector": openDB(t, connectorOf(t, "user@tcp(127.0.0.1:1)/")),
	} {
		if _, ok := db.Driver().(*mysql.MySQLDriver); ok {
			t.Errorf("%s: the type is the plain driver's", name)
		}
		if _, ok := db.Driver().(*seqguard.Driver); !ok {
			t.Errorf("%s: %T", name, db.Driver())
		}
	}
}

func connectorOf(t testing.TB, dsn string) driver.Connector {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c, err := seqguard.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An ERR about which there is a report is wrapped: a type assertion misses it, errors.As finds it, and Observe returns it as
// it is. An ordinary ERR is not wrapped.
func TestFault5_05TypeAssertions(t *testing.T) {
	refused := func(t *testing.T, params string) error {
		server := mysqltest.Serve(t, mysqltest.SendERR(0, 1040, "08004", "Too many connections"), mysqltest.Close())
		return open(t, seqguard.DriverName, server.DSN(params)).PingContext(ctx(t))
	}
	err := refused(t, "")
	if _, ok := err.(*mysql.MySQLError); ok { //nolint:errorlint // this is the point
		t.Errorf("not wrapped: %v", err)
	}
	var me *mysql.MySQLError
	if !errors.As(err, &me) || me.Number != 1040 {
		t.Errorf("errors.As finds no 1040 in %v", err)
	}
	if err := refused(t, "seqguardMode=observe"); err == nil || err.Error() != "Error 1040 (08004): Too many connections" {
		t.Errorf("observe: %v", err)
	} else if _, ok := err.(*mysql.MySQLError); !ok { //nolint:errorlint // this is the point
		t.Errorf("observe: %T", err)
	}

	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		_, err := open(t, seqguard.DriverName, server.DSN("")).ExecContext(ctx(t), "SELECT * FROM no_such_table")
		if me, ok := err.(*mysql.MySQLError); !ok || me.Number != 1146 { //nolint:errorlint // this is the point
			t.Errorf("%T %v", err, err)
		}
	})
}

// A killed sql.Conn: the first error is driver.ErrBadConn, found with errors.Is, and database/sql closes the sql.Conn over
// it, so that every further call says ErrConnDone. It is the same with the plain driver.
func TestFault5_06KilledConn(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		admin := open(t, "mysql", server.RootDSN(""))
		for _, name := range []string{"mysql", seqguard.DriverName} {
			db := open(t, name, server.DSN(""))
			conn, err := db.Conn(ctx(t))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			var id int64
			if err := conn.QueryRowContext(ctx(t), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
				t.Fatal(err)
			}
			kill(t, admin, id)
			_, first := conn.ExecContext(ctx(t), "DO 1")
			_, second := conn.ExecContext(ctx(t), "DO 1")
			if name == "mysql" && errors.Is(first, mysql.ErrInvalidConn) {
				continue // the plain driver wrote into the void this time
			}
			if !errors.Is(first, driver.ErrBadConn) {
				t.Errorf("%s: first %v", name, first)
			}
			if second != sql.ErrConnDone {
				t.Errorf("%s: second %v", name, second)
			}
		}
	})
}

// kill ends a connection and waits until the server has forgotten it.
func kill(t testing.TB, admin *sql.DB, id int64) {
	t.Helper()
	c := ctx(t)
	if _, err := admin.ExecContext(c, "KILL "+strconv.FormatInt(id, 10)); err != nil {
		t.Fatal(err)
	}
	for n := 1; n > 0; {
		if err := admin.QueryRowContext(c, "SELECT COUNT(*) FROM information_schema.processlist WHERE id = ?", id).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
}

// Driver stands where MySQLDriver does, as a value and as a pointer.
func TestFault5_07DriverAsAValue(t *testing.T) {
	server := answersOK(t)
	dsn := server.DSN("")
	type both interface {
		driver.Driver
		driver.DriverContext
	}
	for name, d := range map[string][2]both{
		"value":   {mysql.MySQLDriver{}, seqguard.Driver{}},
		"pointer": {&mysql.MySQLDriver{}, &seqguard.Driver{}},
	} {
		for _, d := range d {
			c, err := d.OpenConnector(dsn)
			if err != nil {
				t.Fatalf("%s %T: %v", name, d, err)
			}
			works(t, openDB(t, c))
			conn, err := d.Open(dsn)
			if err != nil {
				t.Fatalf("%s %T: %v", name, d, err)
			}
			if err := conn.(driver.Pinger).Ping(context.Background()); err != nil {
				t.Errorf("%s %T: %v", name, d, err)
			}
			_ = conn.Close()
		}
	}
}

// Our parameters must be taken out of the DSN with the guard: the plain driver takes them for system variables.
func TestTakeItOut(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		err := open(t, "mysql", server.DSN("seqguardMode=observe")).PingContext(ctx(t))
		var me *mysql.MySQLError
		if !errors.As(err, &me) || me.Number != 1193 || me.Message != "Unknown system variable 'seqguardMode'" {
			t.Errorf("%v", err)
		}
	})
}
