package causes_test

import (
	"context"
	"database/sql"
	"net"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// faulty is a pool of the plain driver on addr, over a guarded connection, with a fault between the two: what the guard sees is a
// client that does what fault makes of its writes.
func (r *causeRun) faulty(addr string, operations bool, fault func(c *wrapconn.Conn, p []byte)) *sql.DB {
	return r.faultyWith(addr, operations, nil, func(c net.Conn, guard *wrapconn.Conn) net.Conn {
		return &faultyConn{Conn: c, guard: guard, fault: fault}
	})
}

// faultyWith is faulty with a layer of the caller's between the driver and the guard. change may be nil.
func (r *causeRun) faultyWith(addr string, operations bool, change func(*mysql.Config), layer func(net.Conn, *wrapconn.Conn) net.Conn) *sql.DB {
	cfg, err := mysql.ParseDSN("gotest:secret@tcp(" + addr + ")/gotest?" + string(r.mode))
	if err != nil {
		r.Fatal(err)
	}
	cfg.MaxAllowedPacket = 64 << 20
	cfg.Logger = &mysql.NopLogger{}
	if change != nil {
		change(cfg)
	}
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		inner, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := wrapconn.New(inner, wrapconn.Options{Operations: operations, CallSites: true, Network: network, Server: r.host, OnReport: r.reports.Add})
		if operations {
			if _, err := c.Begin(ctx, wrapconn.OpConnect); err != nil {
				return nil, err
			}
		}
		return layer(c.NetConn(), c), nil
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		r.Fatal(err)
	}
	r.connector = connector
	db := sql.OpenDB(connector)
	r.Cleanup(func() { _ = db.Close() })
	return db
}

// faultyConn lets fault change what the driver writes, or write in front of it.
type faultyConn struct {
	net.Conn
	guard *wrapconn.Conn
	fault func(c *wrapconn.Conn, p []byte)
}

func (c *faultyConn) Write(p []byte) (int, error) {
	c.fault(c.guard, p)
	return c.Conn.Write(p)
}
