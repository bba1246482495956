package differ_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
)

// text is what a program can tell of an error; the report around it is the guard's own.
func text(err error) string {
	var report *seqguard.ProtocolError
	if errors.As(err, &report) {
		err = report.Err
	}
	var server *mysql.MySQLError
	if errors.As(err, &server) {
		return fmt.Sprintf("%d %s %s", server.Number, server.SQLState[:], server.Message)
	}
	return fmt.Sprint(err)
}

// read notes the results that rows has, up to limit rows of each (-1: all), up to results of them (0: all), and closes it.
func (s *side) read(rows *sql.Rows, limit, results int) {
	for n := 1; ; n++ {
		columns, err := rows.Columns()
		s.note("columns %q %s", columns, text(err))
		types, _ := rows.ColumnTypes()
		for _, t := range types {
			null, _ := t.Nullable()
			precision, scale, _ := t.DecimalSize()
			s.note("%s %s %v %t %d %d", t.Name(), t.DatabaseTypeName(), t.ScanType(), null, precision, scale)
		}
		values, places, sum, read := make([]any, len(columns)), make([]any, len(columns)), fnv.New64(), 0
		for i := range values {
			places[i] = &values[i]
		}
		for ; read != limit && rows.Next(); read++ {
			if err := rows.Scan(places...); err != nil {
				s.note("scan %s", text(err))
			}
			for _, v := range values {
				_, _ = fmt.Fprintf(sum, "%T %q|", v, fmt.Sprint(v))
			}
		}
		s.note("%d rows %x", read, sum.Sum64())
		if n == results || !rows.NextResultSet() {
			break
		}
	}
	s.note("close %s", text(rows.Close()))
	s.note("end %s", text(rows.Err()))
}

type user interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

func (s *side) query(u user, q string, limit, results int, args ...any) {
	rows, err := u.QueryContext(s.t.Context(), q, args...)
	s.note("%.80s: %s", q, text(err))
	if err == nil {
		s.read(rows, limit, results)
	}
}

func (s *side) exec(u user, q string, args ...any) {
	res, err := u.ExecContext(s.t.Context(), q, args...)
	s.note("%.80s: %s", q, text(err))
	s.result(res, err)
}

func (s *side) result(res sql.Result, err error) {
	if err == nil {
		id, err1 := res.LastInsertId()
		n, err2 := res.RowsAffected()
		s.note("id %d %s, %d rows %s", id, text(err1), n, text(err2))
	}
}
