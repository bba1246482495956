package seqguard

import (
	"context"
	"database/sql/driver"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"
)

// stmt is a prepared statement. It has the interfaces that go-sql-driver's has.
type stmt struct {
	driver.Stmt
	conn  *conn
	query string

	checkout uint32      // of its connection from the pool, in which it was prepared
	met      atomic.Bool // it has told the end of its connection
}

var (
	_ driver.Stmt              = (*stmt)(nil)
	_ driver.StmtExecContext   = (*stmt)(nil)
	_ driver.StmtQueryContext  = (*stmt)(nil)
	_ driver.NamedValueChecker = (*stmt)(nil)
	//lint:ignore SA1019 go-sql-driver's statement has it
	_ driver.ColumnConverter = (*stmt)(nil)
)

func newStmt(c *conn, s driver.Stmt, query string) *stmt {
	return &stmt{Stmt: s, conn: c, query: query, checkout: c.checkouts.Load()}
}

// Close implements driver.Stmt.
func (s *stmt) Close() error { return s.conn.it.StmtClose(context.Background(), s.Stmt) }

// ExecContext implements driver.StmtExecContext.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	e, ok := s.Stmt.(driver.StmtExecContext)
	if !ok {
		e = plainStmt{s.Stmt}
	}
	res, err := s.conn.it.StmtExecContext(ctx, e, s.query, args)
	if err != nil {
		err = s.told(err)
	}
	return res, err
}

// told makes mysql.ErrInvalidConn of the driver.ErrBadConn of a statement that was
// prepared in this checkout: on a sql.Conn, that is. database/sql runs it again after
// driver.ErrBadConn, has closed the sql.Conn by then, and throws the error away, so all
// that is left is sql.ErrConnDone. The plain driver, which does not look before it
// writes, has mysql.ErrInvalidConn the first time, too.
func (s *stmt) told(err error) error {
	if s.checkout != s.conn.checkouts.Load() || !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	var pe *ProtocolError
	if !errors.As(err, &pe) || pe.Report.Cause.Lost || !ofSQLStmt() || s.met.Swap(true) {
		return err // a transaction's is not thrown away, and a statement with arguments is run again elsewhere
	}
	return newProtocolError(pe.Report, mysql.ErrInvalidConn)
}

// ofSQLStmt reports whether the caller is a *sql.Stmt. A *sql.DB prepares what has
// arguments, too, and takes another connection after driver.ErrBadConn.
func ofSQLStmt() bool {
	var pcs [24]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "database/sql.(*Stmt).") {
			return true
		}
		if !more {
			return false
		}
	}
}

// Exec implements driver.Stmt.
func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), named(args))
}

// QueryContext implements driver.StmtQueryContext.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	q, ok := s.Stmt.(driver.StmtQueryContext)
	if !ok {
		q = plainStmt{s.Stmt}
	}
	_, r, err := s.conn.it.StmtQueryContext(ctx, q, s.query, args)
	if err != nil {
		err = s.told(err)
	}
	return r, err
}

// Query implements driver.Stmt.
func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), named(args))
}

// CheckNamedValue implements driver.NamedValueChecker.
func (s *stmt) CheckNamedValue(v *driver.NamedValue) error {
	if c, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return c.CheckNamedValue(v)
	}
	return s.conn.CheckNamedValue(v)
}

// ColumnConverter implements driver.ColumnConverter.
func (s *stmt) ColumnConverter(i int) driver.ValueConverter {
	//lint:ignore SA1019 see above
	if c, ok := s.Stmt.(driver.ColumnConverter); ok {
		return c.ColumnConverter(i)
	}
	return driver.DefaultParameterConverter
}

// plainStmt is a statement that can only run without a context.
type plainStmt struct{ driver.Stmt }

func (p plainStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return p.Exec(values(args))
}

func (p plainStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return p.Query(values(args))
}

func values(args []driver.NamedValue) []driver.Value {
	out := make([]driver.Value, len(args))
	for i := range args {
		out[i] = args[i].Value
	}
	return out
}
