package seqguard

import (
	"context"
	"database/sql/driver"
	"io"
	"reflect"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// driverRows are the interfaces of go-sql-driver's rows.
type driverRows interface {
	driver.Rows
	driver.RowsNextResultSet
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// rows is a result. While it is open it holds the connection's lease.
type rows struct {
	driverRows
	it    *interceptor
	token *token // while lease is true
	read  uint64 // rows of all results
	lease bool
	ended bool // this result has been read to its end
	some  bool // of an earlier one, rows were left out
}

var _ driverRows = (*rows)(nil)

func newRows(it *interceptor, r driver.Rows, lease bool) *rows {
	dr, ok := r.(driverRows)
	if !ok {
		dr = filledRows{r} // of a middleware
	}
	out := &rows{driverRows: dr, it: it, lease: lease}
	if lease {
		out.token = it.lend()
	}
	return out
}

// unlease gives the token back, before the lease is given up.
func (r *rows) unlease() {
	r.lease = false
	r.it.token, r.token = r.token, nil
}

// Next implements driver.Rows. It runs for every row of every scan: all it adds
// is the deferred look at whether the driver returned: recover itself is not free.
func (r *rows) Next(dest []driver.Value) (err error) {
	returned := false
	defer func() {
		if !returned {
			if p := recover(); p != nil {
				if len(dest) < len(r.Columns()) { // of who calls this in a sql.Conn.Raw
					panic(p)
				}
				err = r.it.explain(r.it.rescue(p))
			}
		}
	}()
	err = r.driverRows.Next(dest)
	returned = true
	if err == nil {
		r.read++
		return nil
	}
	if err == io.EOF {
		r.ended = true
		switch {
		case !r.lease:
		case r.driverRows.HasNextResultSet():
			r.it.wire.MoreResults()
		default:
			complete, lost := r.it.wire.ResultRead(r.read, !r.some)
			if complete { // or Close reads the rest
				r.unlease()
				r.it.wire.Drop()
				r.it.closeLate()
			}
			if lost != nil && r.it.mode == Enforce {
				return newProtocolError(lost, io.ErrUnexpectedEOF)
			}
		}
		if doubt := r.it.doubt(); doubt != nil {
			return doubt
		}
	} else {
		r.some = true // the driver may go on behind a row that it cannot read
		if r.lease {
			r.it.wire.Abandoned()
		}
	}
	return r.it.explain(err)
}

// NextResultSet implements driver.RowsNextResultSet.
func (r *rows) NextResultSet() (err error) {
	taken, err := r.enter(wrapconn.OpNextResultSet)
	if err != nil {
		return err
	}
	defer func() {
		p := recover()
		if err != nil && taken {
			r.failed(err)
		}
		if _, ok := err.(*mysql.MySQLError); ok {
			r.it.wire.Refused() // the driver will read on when it is closed
		}
		if err == io.EOF && r.lease {
			// Behind a row that it could not read, the driver does not know yet that
			// the result was the last one.
			if _, lost := r.it.wire.ResultRead(r.read, !r.some); lost != nil && r.it.mode == Enforce {
				err = newProtocolError(lost, io.ErrUnexpectedEOF)
			}
		}
		// After an error the driver may read on when it is closed: the lease stays until then.
		r.leave(taken, err == io.EOF || p != nil)
		r.finish(p, &err)
	}()
	if !r.ended {
		r.some = true
	}
	r.ended = false
	return r.driverRows.NextResultSet()
}

// Close implements driver.Rows. It reads what is left of the result.
func (r *rows) Close() (err error) {
	taken, err := r.enter(wrapconn.OpRowsClose)
	if err != nil {
		return err
	}
	returned := false
	defer func() {
		if returned && err == nil && r.it.wire.Sound() { // there is nothing to find out
			r.leave(taken, true)
			return
		}
		p := recover()
		if err != nil && taken {
			r.failed(err)
		}
		r.leave(taken, true)
		r.finish(p, &err)
	}()
	err = r.driverRows.Close()
	returned = true
	return err
}

// failed notes that the holder of the lease is inside and failed: a further result may
// have been a LOAD DATA LOCAL.
func (r *rows) failed(err error) {
	if err != io.EOF {
		r.it.failed(err)
	} else {
		r.it.wire.Abandoned()
	}
}

// finish makes the error of an operation that has left.
func (r *rows) finish(p any, err *error) {
	if p != nil {
		*err = r.it.rescue(p)
	}
	if *err == nil || *err == io.EOF {
		if doubt := r.it.doubt(); doubt != nil {
			*err = doubt
		}
	}
	if *err != nil {
		*err = r.it.explain(*err)
	}
}

// enter lets the holder of the lease in. Rows without a lease have been read to
// their end and touch the wire no more.
func (r *rows) enter(kind wrapconn.OpKind) (taken bool, err error) {
	if !r.lease {
		return false, nil
	}
	return r.it.wire.BeginLeased(context.Background(), kind)
}

// leave lets the holder of the lease out; over gives the lease up.
func (r *rows) leave(taken, over bool) {
	if over && r.lease {
		r.unlease()
	}
	if taken {
		r.it.wire.EndLeased(over)
		r.it.closeLate()
	}
}

// filledRows gives rows of a middleware the interfaces that they lack, with the
// defaults of database/sql.
type filledRows struct{ driver.Rows }

func (r filledRows) HasNextResultSet() bool {
	n, ok := r.Rows.(driver.RowsNextResultSet)
	return ok && n.HasNextResultSet()
}

func (r filledRows) NextResultSet() error {
	if n, ok := r.Rows.(driver.RowsNextResultSet); ok {
		return n.NextResultSet()
	}
	return io.EOF
}

func (r filledRows) ColumnTypeDatabaseTypeName(i int) string {
	if c, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return c.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

func (r filledRows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if c, ok := r.Rows.(driver.RowsColumnTypeNullable); ok {
		return c.ColumnTypeNullable(i)
	}
	return false, false
}

func (r filledRows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	if c, ok := r.Rows.(driver.RowsColumnTypePrecisionScale); ok {
		return c.ColumnTypePrecisionScale(i)
	}
	return 0, 0, false
}

func (r filledRows) ColumnTypeScanType(i int) reflect.Type {
	if c, ok := r.Rows.(driver.RowsColumnTypeScanType); ok {
		return c.ColumnTypeScanType(i)
	}
	return reflect.TypeFor[any]()
}
