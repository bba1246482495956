package differ_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"math"
	"math/rand"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
)

// all are the operations. None depends on the moment, and none is misuse.
var all = []struct {
	name string
	run  func(*side, *rand.Rand)
}{
	{"values", values}, {"statements", statements}, {"statements", statements}, {"half read", halfRead}, {"broken rows", broken}, {"procedure", procedure},
	{"transaction", transaction}, {"context of a transaction", endedContext}, {"prepared", prepared}, {"altered", altered}, {"file", file}, {"raw", raw},
}

func of[T any](r *rand.Rand, from ...T) T { return from[r.Intn(len(from))] }

func values(s *side, r *rand.Rand) {
	q := []string{}
	for i := range 1 + r.Intn(6) {
		q = append(q, of(r, "1", "NULL", "'a'", "1.50", "1e3", "18446744073709551615", "b'101'", "CAST('2024-02-29 01:02:03.456' AS DATETIME(3))", "CAST('-11:02:03' AS TIME)",
			"ST_GeomFromText('POINT(1 2)')", "CAST(3.25 AS DECIMAL(30,10))", "REPEAT('x', 251)", "REPEAT('y', 70000)", "''", "?", "?")+fmt.Sprint(" c", i))
	}
	text := "SELECT " + strings.Join(q, ", ")
	args := []any{}
	for range strings.Count(text, "?") {
		args = append(args, of[any](r, nil, -5, uint64(math.MaxUint64), 1.5, true, []byte("\x00'\\"), "it's \\ ä", time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC), strings.Repeat("l", 100000), []int{1}))
	}
	s.query(s.db, text, -1, 0, args...)
}

func statements(s *side, r *rand.Rand) {
	q := []string{}
	for range 1 + r.Intn(4) {
		q = append(q, of(r, "SELECT 1 a", "SELECT i FROM num LIMIT 5", "DO 1", "INSERT INTO t (v) VALUES ('m'), ('n')", "UPDATE t SET v = 'u' WHERE id < 3", "SELECT i, REPEAT('x', 100) FROM num",
			"SELECT 'z' FROM num WHERE i < 0", "CALL two()", "CALL fails()", "SELECT nosuch", "syntax error", "INSERT INTO t (n) VALUES (1)", brokenRows))
	}
	text := strings.Join(q, "; ")
	switch limit := r.Intn(4) - 1; {
	case r.Intn(2) == 0:
		s.exec(s.db, text)
	case strings.Contains(text, brokenRows):
		s.query(s.db, text, -1, 0) // who skips them waits for ever with the plain driver
	default:
		s.query(s.db, text, limit, r.Intn(3))
	}
}

func halfRead(s *side, r *rand.Rand) {
	q := fmt.Sprintf("SELECT i, REPEAT('h', %d) FROM num LIMIT 900 OFFSET ", of(r, 1, 100, 5000))
	if r.Intn(2) == 0 {
		s.query(s.db, q+"0", r.Intn(950), 1)
	} else {
		s.query(s.db, q+"?", r.Intn(950), 1, 0)
	}
}

func broken(s *side, r *rand.Rand) {
	if r.Intn(2) == 0 {
		s.query(s.db, brokenRows, of(r, -1, 5, 650), 1)
	} else {
		s.query(s.db, brokenRows+" LIMIT ?", of(r, -1, 5, 650), 1, 900)
	}
}

func procedure(s *side, r *rand.Rand) {
	c := kit.Pin(s.t, s.db)
	defer c.Close()
	name, args := of(r, "two()", "fails()", "breaks()", "gives(?, @b)"), []any(nil)
	if strings.Contains(name, "?") {
		args = append(args, r.Intn(100))
	}
	if r.Intn(2) == 0 {
		s.query(c, "CALL "+name, -1, 0, args...)
	} else if p, err := c.PrepareContext(s.t.Context(), "CALL "+name); err != nil {
		s.note("prepare %s", text(err))
	} else {
		for range 2 {
			if r.Intn(2) == 0 {
				res, err := p.Exec(args...)
				s.note("exec %s", text(err))
				s.result(res, err)
			} else if rows, err := p.Query(args...); err != nil {
				s.note("query %s", text(err))
			} else {
				s.read(rows, -1, 0)
			}
		}
		s.note("close %s", text(p.Close()))
	}
	s.query(c, "SELECT @b", -1, 0)
	s.exec(c, "SET @b = NULL")
}

func transaction(s *side, r *rand.Rand) {
	tx, err := s.db.BeginTx(s.t.Context(), &sql.TxOptions{Isolation: sql.IsolationLevel(r.Intn(8)), ReadOnly: r.Intn(3) == 0})
	s.note("begin %s", text(err))
	if err != nil {
		return
	}
	s.exec(tx, of(r, "INSERT INTO t (v) VALUES ('tx')", "SELECT nosuch", "DO 1"))
	s.query(tx, "SELECT COUNT(*), MAX(id) FROM t", -1, 0)
	p, err := tx.Prepare("SELECT ?")
	s.note("prepare %s", text(err))
	if r.Intn(2) == 0 { // left open: the end of the transaction closes them
		_, err := tx.Query("SELECT i, REPEAT('t', 2000) FROM num")
		s.note("rows %s", text(err))
	}
	if r.Intn(2) == 0 {
		s.note("commit %s", text(tx.Commit()))
	} else {
		s.note("rollback %s", text(tx.Rollback()))
	}
	s.note("again %s", text(tx.Commit()))
	if p != nil {
		_, err := p.Exec(1)
		s.note("after the end %s, %s", text(err), text(p.Close()))
	}
}

func endedContext(s *side, _ *rand.Rand) {
	ctx, cancel := context.WithCancel(s.t.Context())
	tx, err := s.db.BeginTx(ctx, nil)
	s.note("begin %s", text(err))
	if err == nil {
		s.exec(tx, "INSERT INTO t (v) VALUES ('gone')")
	}
	cancel()
	kit.Eventually(s.t, func() bool { return s.db.Stats().InUse == 0 }, "the transaction goes on")
	if tx != nil {
		s.note("commit %s", text(tx.Commit()))
	}
	_, err = s.db.ExecContext(ctx, "DO 1")
	s.note("exec %s", text(err))
	s.query(s.db, "SELECT COUNT(*) FROM t WHERE v = 'gone'", -1, 0)
}

// prepared runs a statement on several connections at once.
func prepared(s *side, r *rand.Rand) {
	p, err := s.db.Prepare(of(r, "SELECT ? + 1", "SELECT i, ? FROM num", "SELECT ?, x, y FROM a"))
	s.note("prepare %s", text(err))
	if err != nil {
		return
	}
	var held []*sql.Rows
	for range 1 + r.Intn(3) {
		rows, err := p.Query(r.Intn(100))
		s.note("query %s", text(err))
		if err == nil {
			held = append(held, rows)
		}
	}
	s.note("close %s", text(p.Close()))
	for _, rows := range held {
		s.read(rows, -1, 0)
	}
}

// altered runs a statement whose table becomes another one.
func altered(s *side, r *rand.Rand) {
	p, err := s.db.Prepare("SELECT * FROM a")
	s.note("prepare %s", text(err))
	if err != nil {
		return
	}
	defer p.Close()
	for range 3 {
		rows, err := p.Query()
		s.note("query %s", text(err))
		if err == nil {
			s.read(rows, -1, 0)
		}
		s.exec(s.db, of(r, "ALTER TABLE a ADD COLUMN z DATETIME DEFAULT '2024-01-01'", "ALTER TABLE a DROP COLUMN z", "ALTER TABLE a MODIFY y VARCHAR(30)", "ALTER TABLE a MODIFY x BIGINT"))
	}
}

func file(s *side, r *rand.Rand) {
	const name = "differ"
	content := of(r, "", "a\nb\n", strings.Repeat("line\n", 20000), "1\n1\n")
	mysql.RegisterReaderHandler(name, func() io.Reader { return strings.NewReader(content) })
	defer mysql.DeregisterReaderHandler(name)
	load := "LOAD DATA LOCAL INFILE 'Reader::" + name + "' INTO TABLE " + of(r, "t (v)", "t (n)", "nosuch", "t (v, n)")
	s.exec(s.db, of(r, load, load+"; SELECT 1", "SELECT 1; "+load))
	s.query(s.db, "SELECT 1; "+load+"; SELECT 2", -1, 0)
	s.exec(s.db, "DELETE FROM t")
}

// raw uses what sql.Conn.Raw hands out.
func raw(s *side, r *rand.Rand) {
	c := kit.Pin(s.t, s.db)
	defer c.Close()
	way := r.Intn(4)
	err := c.Raw(func(dc any) error {
		ctx, conn := s.t.Context(), dc.(kit.RawConn)
		switch way {
		case 0:
			return driver.ErrBadConn
		case 1:
			res, err := conn.ExecContext(ctx, "INSERT INTO t (v) VALUES ('1'); INSERT INTO t (v) VALUES ('2'), ('3'); SELECT 1", nil)
			s.note("exec %s", text(err))
			if m, ok := res.(mysql.Result); ok {
				s.note("%v %v", m.AllLastInsertIds(), m.AllRowsAffected())
			}
		case 2:
			tx, err := conn.BeginTx(ctx, driver.TxOptions{})
			s.note("begin %s", text(err))
			if err == nil {
				s.note("commit %s, again %s", text(tx.Commit()), text(tx.Rollback()))
			}
			s.note("valid %t, reset %s, ping %s", conn.IsValid(), text(conn.ResetSession(ctx)), text(conn.Ping(ctx)))
		case 3:
			s.note("close %s, again %s", text(conn.Close()), text(conn.Close()))
			_, err := conn.ExecContext(ctx, "DO 1", nil)
			s.note("valid %t, exec %s", conn.IsValid(), text(err))
		}
		return nil
	})
	s.note("%d: %s", way, text(err))
}
