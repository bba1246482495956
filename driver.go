package seqguard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"sync"

	"github.com/go-sql-driver/mysql"
)

// DriverName is the name under which the package registers its driver.
const DriverName = "mysql-seqguard"

func init() { sql.Register(DriverName, &Driver{}) }

// Driver is the guarded driver. The zero value is usable and has the default
// options, so seqguard.Driver{} can stand where mysql.MySQLDriver{} does. It is
// safe for concurrent use.
type Driver struct {
	state *driverState // nil: that of the default options
}

// driverState is what the connectors of a driver share, made once, although some
// wrappers ask Open for each connection.
type driverState struct {
	opts []Option
	once sync.Once
	tell *telemetry
}

var defaultState driverState

func (d Driver) shared() *driverState {
	s := d.state
	if s == nil {
		s = &defaultState
	}
	s.once.Do(func() {
		o := newConfig(s.opts)
		s.tell = newTelemetry(&o)
	})
	return s
}

var (
	_ driver.Driver        = Driver{}
	_ driver.DriverContext = Driver{}
)

// Register registers a guarded driver with other options under another name.
// Like sql.Register, it panics if the name is taken.
//
// The name "mysql" is free if the program was linked with
//
//	-ldflags "-X github.com/go-sql-driver/mysql.driverName=mysql-plain"
//
// and package asmysql takes it without a flag.
func Register(name string, opts ...Option) {
	if name == "mysql" && slices.Contains(sql.Drivers(), name) {
		panic(`seqguard: the name "mysql" is taken; to take it from go-sql-driver, link with ` +
			`-ldflags "-X github.com/go-sql-driver/mysql.driverName=mysql-plain" (this program was not), or import seqguard/asmysql instead of calling Register`)
	}
	sql.Register(name, &Driver{&driverState{opts: opts}})
}

// Open implements driver.Driver.
func (d Driver) Open(dsn string) (driver.Conn, error) {
	c, err := d.connector(dsn)
	if err != nil {
		return nil, err
	}
	c.single = true
	return c.Connect(context.Background())
}

// OpenConnector implements driver.DriverContext: sql.Open calls it. dsn is one
// of go-sql-driver/mysql, with the additional parameters of the package
// documentation. Errors are about the DSN; nothing is connected yet.
func (d Driver) OpenConnector(dsn string) (driver.Connector, error) {
	c, err := d.connector(dsn)
	if err != nil {
		return nil, err // not c: a nil pointer would be a connector
	}
	return c, nil
}

func (d Driver) connector(dsn string) (*connector, error) {
	o := newConfig(d.shared().opts)
	dsn, err := cutDSN(dsn, &o)
	if err != nil {
		return nil, err
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	return newConnector(cfg, o, &d)
}

// NewConnector returns a connector for sql.OpenDB, as mysql.NewConnector does.
// Everything in cfg is kept: DialFunc is wrapped, a KeyLogWriter is still
// served, BeforeConnect is called. cfg may be changed afterwards. Parameters
// that begin with "seqguard" in cfg.Params, where mysql.ParseDSN leaves them, are
// taken out of the copy and win over opts, as in a DSN.
func NewConnector(cfg *mysql.Config, opts ...Option) (driver.Connector, error) {
	o := newConfig(opts)
	cfg, err := cutParams(cfg, &o)
	if err != nil {
		return nil, err
	}
	c, err := newConnector(cfg, o, &Driver{&driverState{opts: opts}})
	if err != nil {
		return nil, err
	}
	return c, nil
}
