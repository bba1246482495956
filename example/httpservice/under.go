package main

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/XSAM/otelsql"
	"github.com/go-sql-driver/mysql"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	seqguard "github.com/seqguard/mysql-seqguard"
)

// openDBUnder puts otelsql under the guard, between it and go-sql-driver/mysql:
// its spans then show what the driver did, without what the guard refuses. Over
// the guard, as in openDB, is what you want unless you look for this.
func openDBUnder(dsn string, opts ...seqguard.Option) (*sql.DB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	c, err := seqguard.NewConnector(cfg, append(opts, seqguard.WithMiddleware(traced))...)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// traced wraps a connector with otelsql, which by its API wraps drivers.
func traced(c driver.Connector) driver.Connector {
	d := otelsql.WrapDriver(connectorDriver{c}, otelsql.WithAttributes(semconv.DBSystemNameMySQL))
	wrapped, err := d.(driver.DriverContext).OpenConnector("")
	if err != nil {
		return c // cannot be: connectorDriver returns no error
	}
	return wrapped
}

// connectorDriver is a driver that has one connector.
type connectorDriver struct{ driver.Connector }

func (d connectorDriver) Open(string) (driver.Conn, error) { return d.Connect(context.Background()) }

func (d connectorDriver) OpenConnector(string) (driver.Connector, error) { return d.Connector, nil }
