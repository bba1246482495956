package grammar_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// class is what the driver makes of an answer.
type class int

const (
	content   class = iota // the answer, whole
	sqlError               // the server's ERR, as *mysql.MySQLError
	refusal                // the driver's own decision, such as a file that it does not send
	badValue               // an answer whose packets are in order, and a value in it that does not fit its column
	badColumn              // a column definition that ends too early
	protocol               // anything else: the driver finds fault with the packets
	panicked               // the driver's parser ran past the end of a packet
)

var classNames = []string{"content", "SQL error", "refusal", "bad value", "bad column", "protocol error", "panic"}

func (c class) String() string { return classNames[c] }

// verdict is how an operation ended.
type verdict struct {
	class
	err    error
	rows   int
	where  string // of a panic: the driver's function
	values string
	valid  bool // the driver would use the connection again
}

func (v verdict) bad() bool { return v.class >= badColumn || !v.valid }

func (v verdict) String() string {
	return fmt.Sprintf("%s (%v), connection valid: %v, rows: %s", v.class, v.err, v.valid, v.values)
}

func classify(err error) class {
	var server *mysql.MySQLError
	var number *strconv.NumError
	var date *time.ParseError
	switch {
	case err == nil:
		return content
	case errors.As(err, &server):
		return sqlError
	case errors.As(err, &number), errors.As(err, &date):
		return badValue
	case errors.Is(err, io.EOF):
		return badColumn
	}
	for _, e := range []error{mysql.ErrOldProtocol, mysql.ErrUnknownPlugin, mysql.ErrOldPassword, mysql.ErrCleartextPassword, mysql.ErrNativePassword} {
		if errors.Is(err, e) {
			return refusal
		}
	}
	for _, s := range []string{"local file", "reader '"} {
		if strings.HasPrefix(err.Error(), s) {
			return refusal
		}
	}
	for _, s := range []string{"unknown field type", "invalid bool value", "illegal decimals", "invalid DATETIME", "invalid TIME", "invalid time"} {
		if strings.Contains(err.Error(), s) {
			return badValue
		}
	}
	return protocol
}

// client is the driver over a peer, alone or with a guard in between.
type client struct {
	peer  *peer
	guard *wrapconn.Conn // nil: alone
	conn  driver.Conn
	stmt  driver.Stmt
}

// connect logs in. What goes wrong is the verdict.
func connect(tb testing.TB, p *peer, guarded, compressed bool) (c *client, v verdict) {
	tb.Helper()
	c = &client{peer: p}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = "u", "secret", "memory", "peer"
	cfg.MaxAllowedPacket = 1 << 20
	cfg.Logger = &mysql.NopLogger{}
	if compressed {
		if err := cfg.Apply(mysql.EnableCompression(true)); err != nil {
			tb.Fatal(err)
		}
	}
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		if !guarded {
			return p, nil
		}
		c.guard = wrapconn.New(p, wrapconn.Options{Mode: wrapconn.Observe})
		return c.guard.NetConn(), nil
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	p.asked = true // the server speaks first
	v = c.judge(func(v *verdict) error {
		conn, err := connector.Connect(context.Background())
		if err == nil {
			c.conn = conn
			if compressed {
				p.compressed = true
				p.witness.tracker.Lenient()
			}
		}
		return err
	})
	if c.conn == nil {
		v.valid = v.class == sqlError || v.class == refusal // of course it is closed; that is no fault of the packets
	}
	return c, v
}

// judge runs f on the driver.
func (c *client) judge(f func(v *verdict) error) (v verdict) {
	defer func() {
		if p := recover(); p != nil {
			v.class, v.err, v.where = panicked, fmt.Errorf("%v", p), culprit()
			_ = c.peer.Close() // as the guard's root package does
			return
		}
		v.class = classify(v.err)
		if c.conn != nil {
			v.valid = c.conn.(driver.Validator).IsValid()
		}
	}()
	v.err = f(&v)
	return v
}

// culprit names the driver's function that has panicked.
func culprit() string {
	pc := make([]uintptr, 32)
	frames := runtime.CallersFrames(pc[:runtime.Callers(3, pc)])
	for {
		f, more := frames.Next()
		if i := strings.LastIndex(f.Function, "go-sql-driver/mysql."); i >= 0 {
			name := f.Function[strings.LastIndexByte(f.Function, '.')+1:]
			if !strings.Contains(name, "ength") && name != "getUint24" { // the helpers for numbers and strings
				return name
			}
		}
		if !more {
			return ""
		}
	}
}

// found is what the guard says of the operation, nil if it is content. It is not
// content either with an answer that it holds to be incomplete.
func (c *client) found() *wrapconn.Report {
	if r := c.guard.Err(); r != nil {
		return r
	}
	return c.guard.Take()
}

// scan reads rows as database/sql does.
func (v *verdict) scan(r driver.Rows, o op) error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	n := r.(driver.RowsNextResultSet)
results:
	for {
		dest := make([]driver.Value, len(r.Columns()))
		for i := 0; ; i++ {
			if i == 1 && o == opQueryNext {
				break
			}
			if i == 1 && o == opQueryClose {
				break results
			}
			err := r.Next(dest)
			if err == io.EOF {
				break
			}
			if err != nil {
				keep(err)
				break results
			}
			v.rows++
			v.values += fmt.Sprintf("%q;", dest)
		}
		if !n.HasNextResultSet() && o != opQueryNext {
			break
		}
		if err := n.NextResultSet(); err != nil {
			if err != io.EOF {
				keep(err)
			}
			break
		}
		v.values += "|"
	}
	keep(r.Close())
	return first
}

// op is something that a user asks of the driver.
type op int

const (
	opQuery op = iota
	opQueryClose
	opQueryNext
	opExec
	opPing
	opPrepare
	opStmtQuery
	opStmtExec
	opStmtClose

	numOps
)

var opNames = []string{"query", "query, closed after one row", "query, one row of each result", "exec", "ping", "prepare", "query of the statement", "exec of the statement", "close of the statement"}

func (o op) String() string { return opNames[o] }

// do asks for it; the peer has the answer in its segments.
func (c *client) do(o op) verdict {
	ctx := context.Background()
	return c.judge(func(v *verdict) error {
		switch o {
		case opQuery, opQueryClose, opQueryNext:
			r, err := c.conn.(driver.QueryerContext).QueryContext(ctx, "SELECT", nil)
			if err != nil {
				return err
			}
			return v.scan(r, o)
		case opExec:
			_, err := c.conn.(driver.ExecerContext).ExecContext(ctx, "UPDATE", nil)
			return err
		case opPing:
			return c.conn.(driver.Pinger).Ping(ctx)
		case opPrepare:
			s, err := c.conn.(driver.ConnPrepareContext).PrepareContext(ctx, "SELECT ?")
			if err == nil {
				c.stmt = s
			}
			return err
		case opStmtClose:
			s := c.stmt
			c.stmt = nil
			return s.Close()
		}
		args := make([]driver.NamedValue, c.stmt.NumInput())
		for i := range args {
			args[i] = driver.NamedValue{Ordinal: i + 1, Value: int64(i)}
		}
		if o == opStmtExec {
			_, err := c.stmt.(driver.StmtExecContext).ExecContext(ctx, args)
			return err
		}
		r, err := c.stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
		if err != nil {
			return err
		}
		return v.scan(r, o)
	})
}
