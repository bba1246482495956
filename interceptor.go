package seqguard

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"
	"github.com/ngrok/sqlmw"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// interceptor opens and ends the operations of one connection. sqlmw calls it
// for what it routes, and conn, stmt and rows call it for the rest.
type interceptor struct {
	sqlmw.NullInterceptor // results, and the rows and statements that sqlmw never gets to see

	dialer *dialer
	mode   wrapconn.Mode
	wire   *wrapconn.Conn // nil until connected
	inner  driver.Conn    // the driver's connection
	late   atomic.Pointer[lateClose]
	token  *token      // of the holder of the lease
	unsure atomic.Bool // an answer may have been left unread, and nobody can see
}

var _ sqlmw.Interceptor = (*interceptor)(nil)

// op is one operation between its begin and its end.
type op struct {
	it    *interceptor
	kind  wrapconn.OpKind
	taken bool // the owner is ours; false when Observe lets an intruder through
}

func (it *interceptor) begin(ctx context.Context, kind wrapconn.OpKind) (op, error) {
	taken, err := it.wire.Begin(ctx, kind)
	return op{it, kind, taken}, err
}

// end is to be deferred: it releases the owner, turns a panic of the driver's
// parser into an error, and puts the report, if there is one, around the error.
func (o op) end(err *error) {
	p := recover()
	if o.taken {
		if *err != nil && *err != driver.ErrSkip { // nothing was tried yet
			o.it.failed(*err)
		}
		o.it.wire.End(false)
		o.it.closeLate()
	}
	if p != nil {
		*err = o.it.rescue(p)
	}
	if *err != nil {
		*err = o.it.explainAll(o.sent(*err))
	} else {
		*err = o.it.doubt()
	}
}

// failed tells the connection, before the operation under way ends, that it has
// failed. If the error is neither the server's nor the end of the connection, a file may
// have broken off, and go-sql-driver leaves the results behind it unread. Where the
// packets are not seen it is not known, and the pool must not have the connection again.
func (it *interceptor) failed(err error) {
	var said *mysql.MySQLError
	if it.wire.Failed(err) && !errors.As(err, &said) {
		it.unsure.Store(true)
	}
	it.wire.Abandoned()
}

// sent takes driver.ErrBadConn from an operation of whose command a part was
// written: database/sql would run it again. With the compressed protocol the
// driver says so of a command whose second half failed. It does for PREPARE
// too, on purpose, as that may be repeated.
func (o op) sent(err error) error {
	cut := o.it.wire.CutShort()
	if cut && err == driver.ErrBadConn && o.it.mode == Enforce && o.kind != wrapconn.OpPrepare {
		return mysql.ErrInvalidConn
	}
	return err
}

// doubt returns an error for an operation that has succeeded if its answer may
// be another's. It is not driver.ErrBadConn: the command has been sent.
func (it *interceptor) doubt() error {
	if it.wire.Sound() { // all of the usual case: it is inlined
		return nil
	}
	return it.doubtful()
}

func (it *interceptor) doubtful() error {
	if it.mode == Observe {
		return nil
	}
	if r := it.wire.Suspect(); r != nil {
		return &ProtocolError{Report: r}
	}
	return nil
}

// rescue takes a panic out of a driver call. The driver does not check every
// bound while it parses an answer; a broken peer must not end the process. Any
// other panic goes on, with the same value: also one of the driver's own over what its
// caller did, with a statement that is closed, say, of which nothing is sent.
func (it *interceptor) rescue(p any) error {
	e, ok := p.(runtime.Error)
	if !ok || it.wire == nil || !inParser() || !it.wire.Spoke() {
		panic(p)
	}
	it.wire.Malformed(e)
	_ = it.wire.Close()
	return e
}

// explain is explainAll for rows, of which io.EOF is the end: database/sql
// compares with ==. Of any other operation it is a broken stream.
func (it *interceptor) explain(err error) error {
	if err == io.EOF {
		return err
	}
	return it.explainAll(err)
}

// explainAll puts the report of what broke around the driver's error. The
// sentinels of database/sql stay as they are, as does everything in Observe mode.
func (it *interceptor) explainAll(err error) error {
	if err == driver.ErrSkip || err == driver.ErrRemoveArgument || it.mode == Observe || it.wire == nil {
		return err
	}
	if err == mysql.ErrBusyBuffer {
		// The driver has bytes behind the last answer and will not write, so
		// nobody has looked at them yet.
		_ = it.wire.Check()
	}
	r := it.wire.Take()
	if r == nil && (err == mysql.ErrInvalidConn || err == driver.ErrBadConn) {
		r = it.lostBefore(err)
	}
	if r == nil {
		return err
	}
	return newProtocolError(r, err)
}

// lostBefore returns the report of what ended the connection, for an operation
// that came too late to meet it. The error of the one that met it may have been
// seen by nobody: database/sql drops those of a statement that it closes. What
// was said to be executed is another statement.
func (it *interceptor) lostBefore(err error) *wrapconn.Report {
	r := it.wire.Err()
	switch {
	case r == nil || r.Cause.Executed == cause.ExecutedYes:
		return nil
	case err == driver.ErrBadConn && r.Cause.Executed != cause.ExecutedNo:
		return nil // nothing was sent of this one, and a word of the other's fate would stand beside that
	}
	return r
}

// ConnectorConnect implements sqlmw.Interceptor. The dialer began the
// operation.
func (it *interceptor) ConnectorConnect(ctx context.Context, c driver.Connector) (conn driver.Conn, err error) {
	defer func() {
		p := recover()
		it.wire, it.dialer = it.dialer.conn, nil // the dialer has done its work
		if it.wire != nil {
			switch {
			case errors.Is(err, context.DeadlineExceeded):
				it.wire.DeadlineExceeded(err)
			case pluginRefused(err), errors.Is(err, mysql.ErrMalformPkt) && it.wire.AuthSwitches() > 0, it.wire.KeyRefused():
				it.wire.LoginGivenUp(err)
			}
			if err != nil { // and what was told just now is no news
				it.wire.Abandoned()
			}
			it.wire.End(false)
		}
		if p != nil {
			err = it.rescue(p)
		}
		if err == nil && it.wire == nil {
			if err = errUndialed; conn != nil {
				_ = conn.Close()
			}
		}
		if err != nil {
			conn, err = nil, it.explainAll(err)
			return
		}
		it.inner = conn
		it.wire.Pooled()
	}()
	return c.Connect(ctx)
}

// errUndialed is of a connection over a socket that nobody has seen.
var errUndialed = errors.New("seqguard: the connector of WithMiddleware made a connection without the one that it was given, so nothing guards it; " +
	"its Connect must call that one's")

// pluginRefused reports whether the driver gave a login up over the server's
// authentication plugin. It says so in errors of its own, without a word to the
// server, so on the wire it looks like somebody who hung up. It calls lawful
// packets malformed, too: a second AuthSwitchRequest, and one for ed25519 whose nonce
// ends in 0.
func pluginRefused(err error) bool {
	for _, e := range []error{mysql.ErrUnknownPlugin, mysql.ErrNativePassword, mysql.ErrCleartextPassword, mysql.ErrOldPassword} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// ConnPing implements sqlmw.Interceptor.
func (it *interceptor) ConnPing(ctx context.Context, c driver.Pinger) (err error) {
	o, err := it.begin(ctx, wrapconn.OpPing)
	if err != nil {
		return err
	}
	defer o.end(&err)
	return c.Ping(ctx)
}

// ConnBeginTx implements sqlmw.Interceptor.
func (it *interceptor) ConnBeginTx(ctx context.Context, c driver.ConnBeginTx, opts driver.TxOptions) (_ context.Context, tx driver.Tx, err error) {
	o, err := it.begin(ctx, wrapconn.OpBegin)
	if err != nil {
		return ctx, nil, err
	}
	defer o.end(&err)
	if tx, err = c.BeginTx(ctx, opts); err == nil {
		it.wire.Transaction(true)
	}
	return ctx, tx, err
}

// TxCommit implements sqlmw.Interceptor.
func (it *interceptor) TxCommit(ctx context.Context, tx driver.Tx) (err error) {
	o, err := it.begin(ctx, wrapconn.OpCommit)
	if err != nil {
		return err
	}
	defer o.end(&err)
	defer it.wire.Transaction(false)
	return tx.Commit()
}

// TxRollback implements sqlmw.Interceptor.
func (it *interceptor) TxRollback(ctx context.Context, tx driver.Tx) (err error) {
	o, err := it.begin(ctx, wrapconn.OpRollback)
	if err != nil {
		return err
	}
	defer o.end(&err)
	defer it.wire.Transaction(false)
	return tx.Rollback()
}

// ConnPrepareContext implements sqlmw.Interceptor.
func (it *interceptor) ConnPrepareContext(ctx context.Context, c driver.ConnPrepareContext, query string) (_ context.Context, s driver.Stmt, err error) {
	o, err := it.begin(ctx, wrapconn.OpPrepare)
	if err != nil {
		return ctx, nil, err
	}
	defer o.end(&err)
	s, err = c.PrepareContext(ctx, query)
	return ctx, s, err
}

// StmtExecContext implements sqlmw.Interceptor.
func (it *interceptor) StmtExecContext(ctx context.Context, s driver.StmtExecContext, _ string, args []driver.NamedValue) (res driver.Result, err error) {
	o, err := it.begin(ctx, wrapconn.OpExec)
	if err != nil {
		return nil, err
	}
	defer o.end(&err)
	return s.ExecContext(ctx, args)
}

// StmtQueryContext implements sqlmw.Interceptor.
func (it *interceptor) StmtQueryContext(ctx context.Context, s driver.StmtQueryContext, _ string, args []driver.NamedValue) (_ context.Context, r driver.Rows, err error) {
	o, err := it.begin(ctx, wrapconn.OpQuery)
	if err != nil {
		return ctx, nil, err
	}
	defer o.endRows(&r, &err)
	r, err = s.QueryContext(ctx, args)
	return ctx, r, err
}

// StmtClose implements sqlmw.Interceptor.
func (it *interceptor) StmtClose(ctx context.Context, s driver.Stmt) (err error) {
	if it.closeLater(s) {
		return nil
	}
	o, err := it.begin(ctx, wrapconn.OpStmtClose)
	if err != nil {
		return err
	}
	defer o.end(&err)
	return s.Close()
}

// endRows is end for a query: it wraps the rows, and leaves a lease behind if
// there is a result to read.
func (o op) endRows(r *driver.Rows, err *error) {
	p := recover()
	if p == nil && *err == nil {
		*err = o.it.doubt()
	}
	lease := p == nil && *err == nil && *r != nil && len((*r).Columns()) > 0
	if o.taken {
		if *err != nil && *err != driver.ErrSkip { // nothing was tried yet
			o.it.failed(*err)
		}
		o.it.wire.End(lease)
		o.it.closeLate()
	}
	switch {
	case p != nil:
		*r, *err = nil, o.it.explainAll(o.it.rescue(p))
	case *err != nil:
		*r, *err = nil, o.it.explainAll(o.sent(*err))
	case *r != nil:
		*r = newRows(o.it, *r, lease && o.taken)
	}
}
