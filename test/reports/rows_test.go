package reports_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// prepared answers a COM_STMT_PREPARE of one parameter, and each execution with the rows; everything else with OK.
func prepared(columns []mysqltest.Column, rows ...[]byte) mysqltest.Step {
	definitions := [][]byte{}
	for _, c := range columns {
		definitions = append(definitions, mysqltest.ColumnPayload(c))
	}
	write := func(s *mysqltest.Session, payloads ...[]byte) error {
		for i, p := range payloads {
			if err := s.WritePacket(1+i, p); err != nil {
				return err
			}
		}
		return nil
	}
	return mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
		switch cmd {
		case mysqltest.ComStmtPrepare:
			head := []byte{0, 1, 0, 0, 0, byte(len(columns)), 0, 1, 0, 0, 0, 0}
			return write(s, slices.Concat([][]byte{head, definitions[0]}, definitions)...)
		case mysqltest.ComStmtExecute:
			return write(s, slices.Concat([][]byte{{byte(len(columns))}}, definitions, rows, [][]byte{mysqltest.ResultEndPayload(2, 0)})...)
		case mysqltest.ComStmtClose:
			return nil
		}
		return mysqltest.AnswerOK(s, cmd, body)
	})
}

// values reads rows of two columns to their end.
func values(ctx context.Context, db *sql.DB, query string, args ...any) (out []string, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a, b sql.NullString
		if err := rows.Scan(&a, &b); err != nil {
			return out, err
		}
		out = append(out, fmt.Sprint(a.Valid, a.String, " ", b.Valid, b.String))
	}
	return out, rows.Err()
}

// wantMissingRows checks that the end of the rows comes with an error that says that some cannot be read, and no doubt about the numbers.
func wantMissingRows(t *testing.T, err error, reports *kit.Collector) {
	t.Helper()
	var pe *seqguard.ProtocolError
	if !errors.As(err, &pe) || pe.Report.Cause.Slug != "malformed_packet" {
		t.Errorf("%v, want malformed_packet", err)
	}
	if r := reports.Only(t); r.Cause.Slug != "malformed_packet" || r.Evidence.RowsSent <= r.Evidence.RowsRead {
		t.Errorf("%d rows sent, %d read: %s", r.Evidence.RowsSent, r.Evidence.RowsRead, r)
	}
}

// Number 32, vitessio/vitess 19380: in a prepared statement's stream, the NULL bitmap of rows is wrong from the second piece on. The numbers
// are right, and nothing doubts them. Where the driver cannot read such a row, it ends the rows without an error, and that is told; where
// it can, the values are wrong and nobody can know (docs/limits.md).
func TestReport32ShiftedNULLBitmap(t *testing.T) {
	columns := []mysqltest.Column{{Name: "a"}, {Name: "b", Type: mysqltest.TypeLongLong}}
	// NULL and 200: a row is 0, the bitmap, which begins at its third bit, and the values.
	row := func(bitmap byte) []byte { return []byte{0, bitmap, 200, 0, 0, 0, 0, 0, 0, 0} }
	t.Run("it cannot be read", func(t *testing.T) {
		server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), prepared(columns, row(1<<2), row(1<<0), row(1<<2)))
		kit.Harmless(t, server.DSN(""), func(ctx context.Context, db *sql.DB) error {
			_, err := values(ctx, db, "SELECT a, b FROM t WHERE b > ?", 1)
			return err
		})
		db, reports := kit.Open(t, server.DSN(""), nil)
		got, err := values(kit.Timeout(t, 20*time.Second), db, "SELECT a, b FROM t WHERE b > ?", 1)
		if want := []string{"false true200"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		wantMissingRows(t, err, reports)
	})
	t.Run("it can be read", func(t *testing.T) {
		text := []mysqltest.Column{{Name: "a"}, {Name: "b"}}
		server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), prepared(text, []byte("\x00\x04\x01x"), []byte("\x00\x08\x01x")))
		db, reports := kit.Open(t, server.DSN(""), nil)
		got, err := values(kit.Timeout(t, 20*time.Second), db, "SELECT a, b FROM t WHERE b > ?", 1)
		if want := []string{"false truex", "truex false"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v; want %q: if this can be told now, say so in docs/limits.md", got, err, want)
		}
		reports.None(t)
	})
}

// Number 39, StarRocks 6842 and 78535: a row is cut at the edge of a batch, and its rest begins the next packet. The driver takes what it
// cannot read for the end of the rows, without an error.
func TestReport39RowCutAtTheEdgeOfABatch(t *testing.T) {
	columns := []mysqltest.Column{{Name: "a"}, {Name: "b"}}
	whole := [][]byte{[]byte("\x05first\x01x"), []byte("\x06se"), []byte("cond\x01y"), []byte("\x05third\x01z")}
	text := mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
		if cmd != mysqltest.ComQuery {
			return mysqltest.AnswerOK(s, cmd, body)
		}
		definition := mysqltest.ColumnPayload(column)
		for i, p := range slices.Concat([][]byte{{2}, definition, definition}, whole, [][]byte{mysqltest.ResultEndPayload(2, 0)}) {
			if err := s.WritePacket(1+i, p); err != nil {
				return err
			}
		}
		return nil
	})
	binary := [][]byte{}
	for _, row := range whole {
		binary = append(binary, append([]byte{0, 0}, row...))
	}
	for name, tt := range map[string]struct {
		serve mysqltest.Step
		query string
		args  []any
	}{
		"text":   {text, "SELECT a, b FROM t", nil},
		"binary": {prepared(columns, binary...), "SELECT a, b FROM t WHERE a > ?", []any{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), tt.serve)
			kit.Harmless(t, server.DSN(""), func(ctx context.Context, db *sql.DB) error {
				_, err := values(ctx, db, tt.query, tt.args...)
				return err
			})
			db, reports := kit.Open(t, server.DSN(""), nil)
			got, err := values(kit.Timeout(t, 20*time.Second), db, tt.query, tt.args...)
			if len(got) != 1 || !strings.Contains(got[0], "first") {
				t.Errorf("%q", got)
			}
			wantMissingRows(t, err, reports)
		})
	}
}

// Number 33, vitessio/vitess 6934, 11592 and 11593: an insert succeeds, and the connection is gone when the next command comes, on its
// arrival or before it; and an error that a proxy swallows becomes an empty result.
func TestReport33GoneBehindASuccess(t *testing.T) {
	for name, tt := range map[string]struct {
		behind mysqltest.Step
		slugs  []string
	}{
		"closed at once":             {mysqltest.Close(), []string{"closed_while_idle", "closed_before_answer"}}, // when the end arrives
		"closed at the next command": {mysqltest.Steps(mysqltest.ExpectPacket(), mysqltest.Close()), []string{"closed_before_answer"}},
	} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			steps := []mysqltest.Step{mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ExpectCommand(mysqltest.ComQuery), mysqltest.SendOK(1), tt.behind}
			if name == "closed at once" {
				steps = append(steps, mysqltest.Signal(over))
			} else {
				close(over)
			}
			db, reports := kit.Open(t, mysqltest.Serve(t, steps...).DSN(""), nil)
			c := kit.Pin(t, db)
			ctx := kit.Timeout(t, 20*time.Second)
			if _, err := c.ExecContext(ctx, "INSERT INTO t VALUES (1)"); err != nil {
				t.Fatal(err)
			}
			<-over
			_, err := c.ExecContext(ctx, "DO 1")
			if r := kit.WantCause(t, err, reports, reports.Only(t).Cause.Slug); !slices.Contains(tt.slugs, string(r.Cause.Slug)) {
				t.Errorf("named %s", r)
			}
		})
	}
	t.Run("a swallowed error", func(t *testing.T) {
		db, reports := kit.Scripted(t, false, mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
			return s.WriteResultSet(mysqltest.Next, []mysqltest.Column{{Name: "a"}, {Name: "b"}})
		}))
		if got, err := values(kit.Timeout(t, 20*time.Second), db, "SELECT a, b FROM t"); err != nil || len(got) != 0 {
			t.Errorf("%q, %v: if this can be told now, say so in docs/limits.md", got, err)
		}
		reports.None(t)
	})
}
