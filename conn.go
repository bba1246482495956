package seqguard

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// routed is what is left to sqlmw.
type routed interface {
	driver.Conn
	driver.Pinger
	driver.ConnBeginTx
	driver.NamedValueChecker
}

// conn is what database/sql, and a user of sql.Conn.Raw, holds. Around it lies
// nothing, inside lies what sqlmw made of the driver's connection. sqlmw routes
// pings and transactions; for the calls in which it would hide mysql.Result, or
// cost allocations on every query, conn calls the same interceptor itself.
type conn struct {
	mw routed
	it *interceptor

	// What the driver's connection can do, as far as it is asked for all the time; nil if it cannot.
	execer  driver.ExecerContext
	queryer driver.QueryerContext
	pooler  pooler

	checkouts atomic.Uint32 // from the pool, the first one not counted

	closed atomic.Bool
	pool   *connector // that made it
}

var (
	_ driver.Conn               = (*conn)(nil)
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	//lint:ignore SA1019 go-sql-driver's connection has it
	_ driver.Execer            = (*conn)(nil)
	_ driver.ExecerContext     = (*conn)(nil)
	_ driver.NamedValueChecker = (*conn)(nil)
	_ driver.Pinger            = (*conn)(nil)
	//lint:ignore SA1019 go-sql-driver's connection has it
	_ driver.Queryer         = (*conn)(nil)
	_ driver.QueryerContext  = (*conn)(nil)
	_ driver.SessionResetter = (*conn)(nil)
	_ driver.Validator       = (*conn)(nil)
)

func newConn(mw driver.Conn, it *interceptor, pool *connector) *conn {
	c := &conn{mw: mw.(routed), it: it, pool: pool}
	c.execer, _ = it.inner.(driver.ExecerContext)
	c.queryer, _ = it.inner.(driver.QueryerContext)
	c.pooler, _ = it.inner.(pooler)
	return c
}

// pooler is a connection that wants to be asked about its place in the pool.
type pooler interface {
	driver.SessionResetter
	driver.Validator
}

// Raw returns the connection of the driver below: go-sql-driver's, unless
// WithMiddleware put another one in between. What is done with it goes past the
// owner, so from then on nobody is refused for reading or writing outside an
// operation.
func (c *conn) Raw() driver.Conn {
	c.it.wire.Disown()
	return c.it.inner
}

// Prepare implements driver.Conn.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	p, ok := c.it.inner.(driver.ConnPrepareContext)
	if !ok {
		p = plainPreparer{c.it.inner}
	}
	_, s, err := c.it.ConnPrepareContext(ctx, p, query)
	if err != nil {
		return nil, err
	}
	return newStmt(c, s, query), nil
}

// plainPreparer is a connection that can only prepare without a context.
type plainPreparer struct{ c driver.Conn }

func (p plainPreparer) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return p.c.Prepare(query)
}

// Begin implements driver.Conn.
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return c.mw.BeginTx(ctx, opts)
}

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) error {
	if w, ok := ctx.Value(watchKey{}).(*poolWatch); ok {
		w.found(c.pool)
	}
	return c.mw.Ping(ctx)
}

// CheckNamedValue implements driver.NamedValueChecker.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error { return c.mw.CheckNamedValue(v) }

// ExecContext implements driver.ExecerContext. The result is the driver's own:
// a mysql.Result.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (_ driver.Result, err error) {
	if c.execer == nil {
		return nil, driver.ErrSkip
	}
	o, err := c.it.begin(ctx, wrapconn.OpExec)
	if err != nil {
		return nil, err
	}
	defer o.end(&err)
	return c.execer.ExecContext(ctx, query, args)
}

// Exec implements driver.Execer.
func (c *conn) Exec(query string, args []driver.Value) (driver.Result, error) {
	return c.ExecContext(context.Background(), query, named(args))
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Rows, err error) {
	if c.queryer == nil {
		return nil, driver.ErrSkip
	}
	o, err := c.it.begin(ctx, wrapconn.OpQuery)
	if err != nil {
		return nil, err
	}
	defer o.endRows(&r, &err)
	return c.queryer.QueryContext(ctx, query, args)
}

// Query implements driver.Queryer.
func (c *conn) Query(query string, args []driver.Value) (driver.Rows, error) {
	return c.QueryContext(context.Background(), query, named(args))
}

// ResetSession implements driver.SessionResetter: database/sql calls it when a
// connection leaves the pool. Whatever waits in the socket is looked at before
// the driver's own check, which would take a byte of it and throw it away.
func (c *conn) ResetSession(ctx context.Context) (err error) {
	c.checkouts.Add(1)
	taken, broken := c.it.wire.CheckOut(ctx)
	if !taken && c.it.mode == Enforce {
		return driver.ErrBadConn // somebody holds on to it past the pool
	}
	defer op{c.it, wrapconn.OpReset, taken}.end(&err)
	if broken != nil && c.it.mode == Enforce {
		return driver.ErrBadConn
	}
	// The driver would look into the socket now, and find what was found.
	c.it.wire.Vouch()
	if c.pooler != nil {
		err = c.pooler.ResetSession(ctx)
	} else if r, ok := c.it.inner.(driver.SessionResetter); ok { // of a middleware
		err = r.ResetSession(ctx)
	}
	c.it.wire.Unvouch()
	return err
}

// IsValid implements driver.Validator: a connection on which something broke, on
// which an answer is outstanding, or which the server ends after its last answer
// (ERR 1153, say), does not go back to the pool.
func (c *conn) IsValid() bool {
	c.it.wire.Forget()
	c.returned()
	if !c.it.wire.Reusable() && !c.reusable() {
		return false
	}
	if c.pooler != nil {
		return c.pooler.IsValid()
	}
	v, ok := c.it.inner.(driver.Validator)
	return !ok || v.IsValid()
}

// reusable is IsValid for the rare case that there may be something.
func (c *conn) reusable() bool {
	if !c.it.wire.Idle() {
		// If what is there is the beginning of a packet that nobody asked for,
		// this is the last chance to tell.
		_ = c.it.wire.Check()
		if c.it.mode == Enforce {
			return false
		}
	}
	return c.it.mode != Enforce || c.it.wire.Err() == nil && !c.it.wire.Spent() && !c.it.unsure.Load()
}

// returned ends the time for which somebody had the connection.
func (c *conn) returned() {
	if c.pool.metrics == nil {
		c.it.wire.PutBack()
		return
	}
	if taken := c.it.wire.Returned(); !taken.IsZero() {
		c.pool.metrics.used(max(time.Since(taken), 1))
	}
}

// Close implements driver.Conn. It is lawful at any time.
func (c *conn) Close() error {
	if !c.closed.Swap(true) {
		defer c.pool.tell.release()
		c.returned() // one that is bad is not asked whether it is valid
	}
	if c.it.wire.TryBegin(context.Background(), wrapconn.OpClose) {
		defer c.it.wire.End(false)
	}
	return c.it.inner.Close()
}

func named(args []driver.Value) []driver.NamedValue {
	out := make([]driver.NamedValue, len(args))
	for i, v := range args {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return out
}
