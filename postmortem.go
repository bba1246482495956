package seqguard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// postMortem asks the server. It ends with ctx, or before.
func (q *inquirer) postMortem(ctx context.Context, r *wrapconn.Report) (p cause.PostMortem) {
	ctx, cancel := context.WithTimeout(ctx, q.opt.postMortem.Limit)
	defer cancel()
	answers := make(chan examined, 1)
	end := q.limits.begin(r.Server)
	go func() {
		defer end()
		var a examined
		defer func() {
			if v := recover(); v != nil { // the application's dial function
				wrapconn.Recovered(v)
				a.err = errPanic
			}
			answers <- a
		}()
		a.err = q.examine(ctx, r, &a.PostMortem)
	}()
	var err error
	select {
	case a := <-answers:
		p, err = a.PostMortem, a.err
	case <-ctx.Done(): // the dial function need not heed it
		err = ctx.Err()
	}
	p.Asked, p.After = true, max(0, time.Since(r.Time))
	if err != nil {
		// What was told before counts for nothing: a half of it might be read as the
		// whole.
		p = cause.PostMortem{Asked: true, After: p.After, Failure: failure(ctx, err)}
	}
	return p
}

type examined struct {
	cause.PostMortem
	err error
}

var errPanic = errors.New("connecting panicked")

// plain is the configuration of the connection: unguarded, without what the
// application wants besides of its sessions.
func (q *inquirer) plain() *mysql.Config {
	cfg := q.cfg.Clone()
	cfg.DBName, cfg.Params, cfg.MultiStatements, cfg.ParseTime = "", nil, false, false
	cfg.InterpolateParams = false // nothing is asked with arguments, and the driver has it with few collations only
	// The context ends first, whose error says that it was too late.
	limit := q.opt.postMortem.Limit + time.Second
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = limit, limit, limit
	cfg.Logger = &mysql.NopLogger{}
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
		cfg.TLS.KeyLogWriter = nil
	}
	return cfg
}

func (q *inquirer) examine(ctx context.Context, r *wrapconn.Report, p *cause.PostMortem) error {
	connector, err := mysql.NewConnector(q.plain())
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	status, err := pairs(ctx, conn, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', 'Aborted_clients', 'Aborted_connects')")
	if err != nil {
		return err
	}
	vars, err := pairs(ctx, conn, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('connect_timeout', 'net_read_timeout', 'net_write_timeout', 'wait_timeout', 'max_allowed_packet', 'read_only', 'offline_mode')")
	if err != nil {
		return err
	}
	_, p.UptimeKnown = status["uptime"]
	p.Uptime = seconds(status["uptime"])
	p.AbortedClients, p.AbortedConnects = number(status["aborted_clients"]), number(status["aborted_connects"])
	for name, to := range map[string]*time.Duration{
		"connect_timeout": &p.ConnectTimeout, "net_read_timeout": &p.NetReadTimeout, "net_write_timeout": &p.NetWriteTimeout, "wait_timeout": &p.WaitTimeout,
	} {
		*to = seconds(vars[name])
	}
	p.MaxAllowedPacket = number(vars["max_allowed_packet"])
	p.ReadOnly, p.Offline = on(vars["read_only"]), on(vars["offline_mode"])
	if r.Connection != 0 {
		q.thread(ctx, conn, r, p)
	}
	return ctx.Err()
}

// thread looks for the failed connection among the server's threads. MySQL's table is
// in performance_schema since 8.0.22, and that of information_schema, which all
// others have, takes a lock there. An account sees its own threads without any
// privilege. Only a table that has this connection itself says something about one
// that it does not have: without performance_schema, MySQL's is empty.
func (q *inquirer) thread(ctx context.Context, conn *sql.Conn, r *wrapconn.Report, p *cause.PostMortem) {
	tables := []string{"performance_schema.processlist", "information_schema.PROCESSLIST"}
	if r.Evidence.MariaDB {
		tables = tables[1:]
	}
	text := "NULL"
	if q.opt.postMortem.Statement {
		text = "LEFT(INFO, 1000)"
	}
	for _, table := range tables {
		if p.ThreadKnown {
			return
		}
		q.look(ctx, conn, p, fmt.Sprintf("SELECT ID = CONNECTION_ID(), COMMAND, TIME, STATE, %s FROM %s WHERE ID IN (%d, CONNECTION_ID())", text, table, r.Connection))
	}
}

func (q *inquirer) look(ctx context.Context, conn *sql.Conn, p *cause.PostMortem, query string) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return
	}
	defer rows.Close()
	found, complete := *p, false
	for rows.Next() {
		var own bool
		var command, state, statement sql.NullString
		var taken sql.NullInt64
		if rows.Scan(&own, &command, &taken, &state, &statement) != nil {
			return
		}
		if own {
			complete = true
			continue
		}
		found.ThreadFound = true
		found.ThreadCommand, found.ThreadState, found.Statement = command.String, state.String, statement.String
		found.ThreadTime = time.Duration(max(0, min(taken.Int64, maxSeconds))) * time.Second
	}
	if rows.Err() == nil && complete {
		*p = found
		p.ThreadKnown = true
	}
}

// pairs reads a result of names and values.
func pairs(ctx context.Context, conn *sql.Conn, query string) (map[string]string, error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		out[strings.ToLower(name)] = value
	}
	return out, rows.Err()
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return min(n, 1<<40)
}

// maxSeconds is more than anything lasts, and fits a Duration whatever the server says.
const maxSeconds = 1 << 31

func seconds(s string) time.Duration { return time.Duration(min(number(s), maxSeconds)) * time.Second }

// on is a boolean of the server. MariaDB 11.8 and later have more values for
// read_only, all of which are kinds of "on".
func on(s string) bool { return s != "" && !strings.EqualFold(s, "OFF") && s != "0" }

// failure says in the guard's own words why a server did not answer: errors hold
// names and addresses.
func failure(ctx context.Context, err error) string {
	var said *mysql.MySQLError
	var timeout net.Error
	switch {
	case errors.As(err, &said):
		return fmt.Sprintf("ERR %d", said.Number)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ENOENT):
		return "there is no such socket"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset"
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, mysql.ErrInvalidConn):
		return "the connection ended"
	}
	return "no connection could be made"
}
