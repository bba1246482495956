package simulation

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"syscall"
	"time"
	"unsafe"

	driver "github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// client is one goroutine of the application.
type client struct {
	w  *world
	db *sql.DB
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (c *client) do(q querier, ops []*op) {
	for _, o := range ops {
		pass(o.pause)
		ctx, cancel := context.Background(), context.CancelFunc(func() {})
		if o.timeout > 0 {
			ctx, cancel = context.WithTimeout(ctx, o.timeout)
		}
		c.w.counted()
		switch o.kind {
		case opPing:
			c.w.explained(o, 0, c.db.PingContext(ctx), ctx)
		case opSession:
			c.session(ctx, o)
		case opTx:
			c.tx(ctx, o)
		case opOverlap, opInterlace, opFurther, opClosing, opLate:
			c.misuse(ctx, o)
		default:
			c.w.explained(o, o.token, c.leaf(ctx, q, o), ctx)
		}
		cancel()
	}
}

func (w *world) counted() {
	w.mu.Lock()
	w.count++
	w.mu.Unlock()
}

func (c *client) session(ctx context.Context, o *op) {
	take, cancel := context.WithTimeout(ctx, 2*time.Minute)
	conn, err := c.db.Conn(take)
	cancel()
	if err != nil {
		c.w.explained(o, 0, err, take)
		return
	}
	defer conn.Close()
	c.subs(conn, o)
}

func (c *client) tx(ctx context.Context, o *op) {
	conn, err := c.db.Conn(ctx)
	if err != nil {
		c.w.explained(o, 0, err, ctx)
		return
	}
	defer conn.Close()
	// Without a context that ends: at its end database/sql waits for the lock that a query of the transaction holds, and a bubble does not
	// let time pass for somebody who waits for a lock.
	tx, err := conn.BeginTx(context.Background(), nil)
	if err != nil {
		c.w.explained(o, 0, err, nil)
		return
	}
	if !c.subs(tx, o) {
		_ = tx.Rollback()
		return
	}
	if err := tx.Commit(); err == nil {
		c.w.reach("owner: commit")
	} else {
		c.w.explained(o, 0, err, nil)
	}
}

// subs runs the operations inside a session or a transaction, and reports whether all went well.
func (c *client) subs(q querier, o *op) bool {
	for _, sub := range o.subs {
		pass(sub.pause)
		ctx, cancel := context.WithTimeout(context.Background(), sub.timeout)
		err := c.leaf(ctx, q, sub)
		c.w.counted()
		lost := c.w.explained(sub, sub.token, err, ctx)
		cancel()
		if lost {
			return false
		}
	}
	return true
}

func statement(o *op) string {
	t := fmt.Sprintf("/*t=%d*/", o.token)
	switch o.kind {
	case opExec:
		return "UPDATE x " + t
	case opBig:
		return "UPDATE x " + t + string(filler)
	case opLoad:
		name := "simulation"
		if o.fault == fLoadFails {
			name = "simulation-broken"
		}
		return "LOAD DATA LOCAL INFILE 'Reader::" + name + "' INTO TABLE x " + t
	case opPrepared:
		return "SELECT ? " + t
	}
	return "SELECT v " + t
}

// leaf runs one command and checks that it ends in time.
func (c *client) leaf(ctx context.Context, q querier, o *op) error {
	began := time.Now()
	err := c.command(ctx, q, o)
	if took := time.Since(began); took > o.timeout+ms(500) && o.fault != fSlowReader && o.fault != fLateRead && !c.w.stalls {
		c.w.problem("past its deadline: %v: %s", took, o)
	}
	return err
}

// command runs one command and checks what it returns against its token.
func (c *client) command(ctx context.Context, q querier, o *op) error {
	switch o.kind {
	case opExec, opBig, opLoad:
		res, err := q.ExecContext(ctx, statement(o))
		if err != nil {
			return err
		}
		if id := insertID(res); id != int64(o.token) {
			c.w.problem("wrong answer: %s got that of %d", o, id)
		}
		c.w.reach("owner: held → free")
		return nil
	}
	var args []any
	if o.kind == opPrepared {
		args = []any{o.token}
	}
	rows, err := q.QueryContext(ctx, statement(o), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	return c.read(rows, o)
}

// insertID is res.LastInsertId without the lock of the connection, which may be in use again: in a bubble time stands still while
// somebody waits for a Mutex.
func insertID(res sql.Result) int64 {
	is := reflect.New(reflect.TypeOf(res)).Elem()
	is.Set(reflect.ValueOf(res))
	of := is.FieldByName("resi") // of the driver; it does not change
	id, _ := reflect.NewAt(of.Type(), unsafe.Pointer(of.UnsafeAddr())).Elem().Interface().(sqldriver.Result).LastInsertId()
	return id
}

// read reads a result and checks that it is the command's own, and whole if it ends without an error.
func (c *client) read(rows *sql.Rows, o *op) error {
	c.w.reach("owner: held → leased")
	results := 1
	if o.kind == opMulti {
		results = 2
	}
	for r := range results {
		n := 0
		for rows.Next() {
			var s string // not sql.RawBytes, which holds a lock until the next row
			if err := rows.Scan(&s); err != nil {
				return err
			}
			if o.fault == fSlowReader {
				s, _, _ = strings.Cut(s, ":x")
				if n == 0 {
					pass(7 * time.Second)
				}
			}
			if s != value(o.token, n) {
				c.w.problem("wrong answer: row %d of %s is %q", n, o, s)
			}
			n++
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if n != o.rows {
			c.w.problem("wrong answer: %d rows of %d without an error: %s", n, o.rows, o)
		}
		if r+1 < results {
			if !rows.NextResultSet() {
				if err := rows.Err(); err != nil {
					return err
				}
				c.w.problem("wrong answer: one result of two without an error: %s", o)
				return nil
			}
			c.w.reach("owner: inside → leased")
		}
	}
	c.w.reach("owner: leased → free")
	return nil
}

// misuse does what must be refused, and checks that whoever was there first goes on unharmed.
func (c *client) misuse(ctx context.Context, o *op) {
	take, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	conn, err := c.db.Conn(take)
	if err != nil {
		c.w.explained(o, 0, err, take)
		return
	}
	defer conn.Close()
	first, second := o.subs[0], o.subs[1]
	c.w.counted()
	c.w.counted()
	switch o.kind {
	case opOverlap:
		c.overlap(ctx, conn, first, second)
		return
	case opClosing:
		c.closing(ctx, conn, first, second)
		return
	case opLate:
		c.late(ctx, conn, first, o.subs[2])
		return
	}
	rows, err := conn.QueryContext(ctx, statement(first))
	if err != nil {
		c.w.explained(first, first.token, err, ctx)
		return
	}
	want := cause.Slug("result_still_open")
	if o.kind == opFurther {
		want = "more_results_unread"
		for rows.Next() {
		}
		if rows.Err() != nil {
			c.w.explained(first, first.token, rows.Err(), ctx)
			_ = rows.Close()
			return
		}
	}
	_, err = conn.ExecContext(ctx, statement(second))
	c.refused(second, err, want, ctx)
	if o.kind == opFurther {
		_ = rows.Close() // reads the rest
		c.w.reach("owner: inside → free")
		return
	}
	err = c.read(rows, first)
	_ = rows.Close()
	c.w.explained(first, first.token, err, ctx)
}

func (c *client) overlap(ctx context.Context, conn *sql.Conn, first, second *op) {
	_ = conn.Raw(func(dc any) error {
		rc := dc.(kit.RawConn)
		done := make(chan struct{})
		go func() {
			defer close(done)
			rows, err := rc.QueryContext(ctx, statement(first), nil)
			if err == nil {
				err = c.readRaw(rows, first)
			}
			c.w.explained(first, first.token, err, ctx)
		}()
		pass(ms(100))
		_, err := rc.ExecContext(ctx, statement(second), nil)
		c.refused(second, err, "concurrent_use", ctx)
		<-done
		return nil
	})
}

// closing has one goroutine close rows of which most are still to come, and another one run a statement meanwhile.
func (c *client) closing(ctx context.Context, conn *sql.Conn, first, second *op) {
	_ = conn.Raw(func(dc any) error {
		rc := dc.(kit.RawConn)
		rows, err := rc.QueryContext(ctx, statement(first), nil)
		if err != nil {
			c.w.explained(first, first.token, err, ctx)
			return nil
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.w.explained(first, first.token, rows.Close(), ctx)
		}()
		pass(ms(100))
		_, err = rc.ExecContext(ctx, statement(second), nil)
		if c.refused(second, err, "concurrent_use", ctx) {
			c.w.reach("owner: overlap with a close of rows refused")
		}
		<-done
		return nil
	})
}

// late closes a statement while the rows of a query are open: the server must be told when they are not any more.
func (c *client) late(ctx context.Context, conn *sql.Conn, query, prepared *op) {
	stmt, err := conn.PrepareContext(ctx, statement(prepared))
	if err != nil {
		c.w.explained(prepared, prepared.token, err, ctx)
		return
	}
	rows, err := conn.QueryContext(ctx, statement(query))
	if err != nil {
		c.w.explained(query, query.token, err, ctx)
		_ = stmt.Close()
		return
	}
	if err := stmt.Close(); err != nil {
		c.w.problem("a statement could not be closed while rows were open: %v", err)
	}
	err = c.read(rows, query)
	_ = rows.Close()
	if !c.w.explained(query, query.token, err, ctx) && err == nil {
		c.w.reach("owner: statement closed late")
	}
}

func (c *client) readRaw(rows sqldriver.Rows, o *op) error {
	defer rows.Close()
	dest := make([]sqldriver.Value, 1)
	for n := 0; ; n++ {
		switch err := rows.Next(dest); {
		case err == io.EOF:
			if n != o.rows {
				c.w.problem("wrong answer: %d rows of %d: %s", n, o.rows, o)
			}
			return nil
		case err != nil:
			return err
		}
		if s := fmt.Sprintf("%s", dest[0]); s != value(o.token, n) {
			c.w.problem("wrong answer: row %d of %s is %q", n, o, s)
		}
	}
}

// refused checks an operation that had to be refused.
func (c *client) refused(o *op, err error, want cause.Slug, ctx context.Context) bool {
	var oe *seqguard.OwnershipError
	if !errors.As(err, &oe) {
		if err == nil {
			// The other one was over already, because its connection had broken or been repeated elsewhere.
			c.w.problem("not refused: %s", o)
			return false
		}
		c.w.explained(o, o.token, err, ctx)
		return false
	}
	r := oe.Report
	if r.Cause.Slug != want {
		c.w.problem("wrong name: %s, want %s: %s", r.Cause.Slug, want, o)
	}
	switch {
	case r.Conflict == wrapconn.Overlap:
		c.w.reach("owner: overlap refused")
	case r.Conflict == wrapconn.Interleaving:
		c.w.reach("owner: interleaving refused")
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.w.ran[ran{int(r.Connection), o.token}] > 0 {
		c.w.problems = append(c.w.problems, "a refused statement was run: "+o.String())
	}
	if r.Cause.Executed != cause.ExecutedNo {
		c.w.problems = append(c.w.problems, "refused, and not said that it was not run: "+o.String())
	}
	c.w.fails = append(c.w.fails, failure{r, 0, err})
	return true
}

// explained checks the error of an operation: it must carry a report, or be one that is no violation of anything. It reports whether the
// connection of a session is lost.
func (w *world) explained(o *op, token int, err error, ctx context.Context) (lost bool) {
	if err == nil {
		return false
	}
	if ctx != nil && ctx.Err() != nil {
		at, _ := ctx.Deadline()
		w.mu.Lock()
		w.overdue = append(w.overdue, at)
		w.mu.Unlock()
	}
	var pe *seqguard.ProtocolError
	var oe *seqguard.OwnershipError
	var me *driver.MySQLError
	switch {
	case errors.As(err, &pe):
		w.mu.Lock()
		w.fails = append(w.fails, failure{pe.Report, token, err})
		w.mu.Unlock()
		if s := err.Error(); strings.ContainsAny(s, "\r\n") || !strings.HasSuffix(s, " ["+string(pe.Report.Cause.Slug)+"]") || len(s) > 2000 {
			w.problem("not the line of an error: %q", s)
		}
		return true
	case errors.As(err, &oe):
		w.problem("refused without a reason: %v", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		if ctx != nil && ctx.Err() == nil {
			w.problem("a context's error without its end: %s: %v", o, err)
		}
		return true
	case errors.As(err, &me):
		switch {
		case o != nil && (o.fault == fError && me.Number == 1064 || o.fault == fSignal4031 && me.Number == 4031 || o.fault == fContinued && me.Number == 1064):
			return false
		case o != nil && (me.Number == 1053 && o.fault == fLastWords1053 || me.Number == 1927 && o.fault == fLastWords1927 ||
			me.Number == 1153 && o.fault == fLastWords1153 || me.Number == 4082 && o.fault == fLastWords4082 || me.Number == 1158 && o.fault == fErr1158 ||
			me.Number == 1161 && o.fault == fErr1161 || me.Number == 1156 && o.fault == fErr1156 || me.Number == 1153 && o.fault == fErr1153):
			return false // the statement's answer; the end comes to whoever is next
		case o != nil && w.s.compressed && (o.fault == fCrossKilled && me.Number == 1927 || o.fault == fCross1053 && me.Number == 1053 ||
			o.fault == fLoadErr && me.Number == 1366 || o.fault == fLoad1159 && me.Number == 1159):
			return false // within the compressed protocol no number tells a farewell from an answer; the end comes to whoever is next
		case me.Number == 1045, me.Number == 3032:
			return true
		}
		w.problem("an error without a report: %s: %v", o, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		w.reach("fault: dial refused")
		return true
	case errors.Is(err, errDisk):
		return false
	case err == sqldriver.ErrBadConn, errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone):
		w.reach("error: " + err.Error())
		return true // of a session that had lost its connection, or whose retries failed
	default:
		w.problem("an error without a report: %s: %v", o, err)
	}
	return true
}
