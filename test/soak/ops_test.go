package soak_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

// soakWorker does one thing after the other.
type soakWorker struct {
	*soak
	table string
	rng   *mathrand.Rand
	since atomic.Int64 // when the operation under way began; 0: none
	name  atomic.Value
	stmt  *sql.Stmt // prepared on a pool, for as long as it lives
}

// wrongAnswer is the failure that this is all about.
type wrongAnswer struct{ what string }

func (e *wrongAnswer) Error() string { return "WRONG ANSWER: " + e.what }

func wrong(format string, args ...any) error { return &wrongAnswer{fmt.Sprintf(format, args...)} }

var soakNonce atomic.Int64

var soakOps = []struct {
	name string
	run  func(w *soakWorker, ctx context.Context, db *sql.DB) error
}{
	{"query", (*soakWorker).query},
	{"transaction", (*soakWorker).transaction},
	{"prepared", (*soakWorker).prepared},
	{"statement of the pool", (*soakWorker).poolStatement},
	{"slow query", (*soakWorker).slow},
	{"rows abandoned", (*soakWorker).abandon},
	{"load data", (*soakWorker).load},
	{"multi-results", (*soakWorker).multi},
	{"pinned connection", (*soakWorker).pinned},
	{"errors of the server", (*soakWorker).mistakes},
	{"blob", (*soakWorker).blob},
}

func (w *soakWorker) loop() {
	defer func() {
		if w.stmt != nil {
			_ = w.stmt.Close()
		}
	}()
	for !w.stop.Load() {
		op := soakOps[w.rng.IntN(len(soakOps))]
		ctx, cancel := w.context()
		began := time.Now()
		w.name.Store(op.name)
		w.since.Store(began.UnixNano())
		err := op.run(w, ctx, w.pools[w.rng.IntN(len(w.pools))])
		w.since.Store(0)
		// A dial has a deadline of its own, which may run out a moment before the context's.
		deadline, _ := ctx.Deadline()
		w.note(op.name, began, deadline, ctx.Err() != nil || !time.Now().Before(deadline), err)
		cancel()
		if err != nil && time.Since(began) < time.Millisecond {
			time.Sleep(2 * time.Millisecond) // the server may be away
		}
	}
}

// shortContext is longer than all contexts that end while an operation is under way on a machine with time.
const shortContext = 8 * time.Millisecond

// context ends late, after a few milliseconds, or at a moment that another goroutine chooses.
func (w *soakWorker) context() (context.Context, context.CancelFunc) {
	switch w.rng.IntN(4) {
	case 0:
		return context.WithTimeout(context.Background(), time.Duration(w.rng.Int64N(int64(shortContext))))
	case 1:
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		timer := time.AfterFunc(time.Duration(w.rng.Int64N(int64(shortContext))), cancel)
		return ctx, func() { timer.Stop(); cancel() }
	}
	return context.WithTimeout(context.Background(), 20*time.Second)
}

func (w *soakWorker) prepare() error {
	for _, q := range []string{
		"CREATE TABLE " + w.table + " (id bigint AUTO_INCREMENT PRIMARY KEY, nonce bigint, txt varchar(100), KEY (nonce))",
		"CREATE TABLE " + w.table + "_rows (n int PRIMARY KEY, pad varchar(200))",
		"INSERT INTO " + w.table + "_rows VALUES (1,'x')" + func() (s string) {
			for n := 2; n <= 400; n++ {
				s += fmt.Sprintf(",(%d,REPEAT('p',%d))", n, n%200)
			}
			return s
		}(),
		"CREATE PROCEDURE " + w.table + "_proc(IN n bigint) BEGIN SELECT n; SELECT n+1 AS m; END",
	} {
		if _, err := w.pools[0].Exec(q); err != nil {
			return err
		}
	}
	return nil
}

func (w *soakWorker) query(ctx context.Context, db *sql.DB) error {
	n := soakNonce.Add(1)
	var got int64
	if err := db.QueryRowContext(ctx, "SELECT ?", n).Scan(&got); err != nil {
		return err
	}
	if got != n {
		return wrong("asked for %d, got %d", n, got)
	}
	return nil
}

func (w *soakWorker) transaction(ctx context.Context, db *sql.DB) error {
	n := soakNonce.Add(1)
	var opts *sql.TxOptions
	if w.rng.IntN(2) == 0 {
		opts = &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	res, err := tx.ExecContext(ctx, "INSERT INTO "+w.table+" (nonce, txt) VALUES (?, ?)", n, fmt.Sprint("tx", n))
	if err != nil {
		return err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return err
	}
	stmt, err := tx.PrepareContext(ctx, "SELECT nonce, txt FROM "+w.table+" WHERE id = ?")
	if err != nil {
		return err
	}
	for range w.rng.IntN(3) {
		var nonce int64
		var txt string
		if err := stmt.QueryRowContext(ctx, id).Scan(&nonce, &txt); err != nil {
			return err
		}
		if nonce != n || txt != fmt.Sprint("tx", n) {
			return wrong("row %d of the transaction: %d, %q", id, nonce, txt)
		}
	}
	if w.rng.IntN(2) == 0 {
		// Rows that are open when the transaction ends are closed by it.
		rows, err := tx.QueryContext(ctx, "SELECT n FROM "+w.table+"_rows ORDER BY n")
		if err != nil {
			return err
		}
		defer rows.Close()
		if err := countUp(rows, w.rng.IntN(20)); err != nil {
			return err
		}
	}
	switch w.rng.IntN(4) {
	case 0:
		return tx.Rollback()
	case 1:
		// The context's end rolls back, from a goroutine of database/sql.
		<-time.After(time.Duration(w.rng.IntN(3)) * time.Millisecond)
	}
	return tx.Commit()
}

// countUp reads at most limit rows and checks that they count from 1.
func countUp(rows *sql.Rows, limit int) error {
	for want := 1; want <= limit && rows.Next(); want++ {
		var n int
		if err := rows.Scan(&n); err != nil {
			return err
		}
		if n != want {
			return wrong("row %d says %d", want, n)
		}
	}
	return rows.Err()
}

func (w *soakWorker) prepared(ctx context.Context, db *sql.DB) error {
	stmt, err := db.PrepareContext(ctx, "SELECT ?, ?")
	if err != nil {
		return err
	}
	defer stmt.Close()
	for range 1 + w.rng.IntN(4) {
		n, s := soakNonce.Add(1), randText(w.rng.IntN(50))
		var gotN int64
		var gotS string
		if err := stmt.QueryRowContext(ctx, n, s).Scan(&gotN, &gotS); err != nil {
			return err
		}
		if gotN != n || gotS != s {
			return wrong("asked for %d %q, got %d %q", n, s, gotN, gotS)
		}
	}
	return nil
}

// poolStatement uses a statement that database/sql prepares on whichever connection it gets, and closes on connections that may
// be in use.
func (w *soakWorker) poolStatement(ctx context.Context, db *sql.DB) error {
	if w.stmt == nil {
		s, err := db.Prepare("SELECT ? + 1")
		if err != nil {
			return err
		}
		w.stmt = s
	}
	n := soakNonce.Add(1)
	var got int64
	err := w.stmt.QueryRowContext(ctx, n).Scan(&got)
	if w.rng.IntN(20) == 0 {
		_ = w.stmt.Close()
		w.stmt = nil
	}
	if err == nil && got != n+1 {
		return wrong("asked for %d, got %d", n+1, got)
	}
	return err
}

func (w *soakWorker) slow(ctx context.Context, db *sql.DB) error {
	n := soakNonce.Add(1)
	var got, slept int64
	if err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT %d, SLEEP(%.4f)", n, w.rng.Float64()*0.006)).Scan(&got, &slept); err != nil {
		return err
	}
	if got == n && slept == 1 {
		// Its own answer. No error to MySQL, but here it is one outside of a restart.
		return errors.New("SLEEP was interrupted")
	}
	if got != n || slept != 0 {
		return wrong("asked for %d 0, got %d %d", n, got, slept)
	}
	return nil
}

func (w *soakWorker) abandon(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := "SELECT a.n, b.pad FROM " + w.table + "_rows a JOIN " + w.table + "_rows b ON b.n <= ? ORDER BY b.n, a.n"
	rows, err := db.QueryContext(ctx, q, 1+w.rng.IntN(5))
	if err != nil {
		return err
	}
	for want := 1; want <= w.rng.IntN(600) && rows.Next(); want++ {
		var n int
		var pad string
		if err := rows.Scan(&n, &pad); err != nil {
			_ = rows.Close()
			return err
		}
		if n != (want-1)%400+1 {
			_ = rows.Close()
			return wrong("row %d says %d", want, n)
		}
	}
	switch w.rng.IntN(3) {
	case 0:
		cancel() // and a goroutine of database/sql closes the rows
		return nil
	case 1:
		cancel()
		_ = rows.Close()
		return nil
	}
	return rows.Close()
}

func (w *soakWorker) load(ctx context.Context, db *sql.DB) error {
	n := soakNonce.Add(1)
	count := w.rng.IntN(300 << (2 * w.rng.IntN(3)) / 4)
	name := fmt.Sprint("soak", n)
	mysql.RegisterReaderHandler(name, func() io.Reader {
		return &slowReader{r: strings.NewReader(strings.Repeat(fmt.Sprintf("%d\tsome text\n", n), count)), pause: time.Duration(w.rng.IntN(2)) * time.Millisecond}
	})
	defer mysql.DeregisterReaderHandler(name)
	res, err := db.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::"+name+"' INTO TABLE "+w.table+" (nonce, txt)")
	if err != nil {
		return err
	}
	if got, err := res.RowsAffected(); err != nil || got != int64(count) {
		return wrong("loaded %d rows, the server counted %d (%v)", count, got, err)
	}
	var got int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+w.table+" WHERE nonce = ?", n).Scan(&got); err != nil {
		return err
	}
	if got != count {
		return wrong("loaded %d rows, %d are there", count, got)
	}
	_, err = db.ExecContext(ctx, "DELETE FROM "+w.table+" WHERE nonce = ?", n)
	return ignoreDeadlock(err)
}

// ignoreDeadlock: the session of a cancelled statement may still hold locks.
func ignoreDeadlock(err error) error {
	var me *mysql.MySQLError
	if errors.As(err, &me) && (me.Number == 1213 || me.Number == 1205) {
		return nil
	}
	return err
}

type slowReader struct {
	r     io.Reader
	pause time.Duration
}

func (s *slowReader) Read(p []byte) (int, error) {
	time.Sleep(s.pause) // a file that comes slowly
	return s.r.Read(p)
}

func (w *soakWorker) multi(ctx context.Context, db *sql.DB) error {
	n := soakNonce.Add(1)
	q := fmt.Sprintf("SELECT %d; DO 0; SELECT %d; SELECT %d", n, n+1, n+2)
	want := []int64{n, n + 1, n + 2}
	if w.rng.IntN(2) == 0 {
		q = fmt.Sprintf("CALL %s_proc(%d)", w.table, n)
		want = []int64{n, n + 1}
	}
	rows, err := db.QueryContext(ctx, q)
	if err != nil {
		return err
	}
	defer rows.Close()
	stop := w.rng.IntN(len(want) * 2)
	for i := 0; ; i++ {
		if i == stop {
			return rows.Close()
		}
		for rows.Next() {
			var got int64
			if err := rows.Scan(&got); err != nil {
				return err
			}
			if i >= len(want) || got != want[i] {
				return wrong("result %d of %q says %d", i, q, got)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if !rows.NextResultSet() {
			if err := rows.Err(); err != nil {
				return err
			}
			if i != len(want)-1 {
				return wrong("%q has %d results", q, i+1)
			}
			return nil
		}
	}
}

func (w *soakWorker) pinned(ctx context.Context, db *sql.DB) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	n := soakNonce.Add(1)
	if _, err := c.ExecContext(ctx, "SET @soak = ?", n); err != nil {
		return err
	}
	if err := c.PingContext(ctx); err != nil {
		return err
	}
	if err := c.Raw(func(dc any) error {
		return dc.(interface{ Ping(context.Context) error }).Ping(ctx)
	}); err != nil {
		return err
	}
	var got int64
	if err := c.QueryRowContext(ctx, "SELECT @soak").Scan(&got); err != nil {
		return err
	}
	if got != n {
		return wrong("session variable: %d, got %d", n, got)
	}
	return nil
}

func (w *soakWorker) mistakes(ctx context.Context, db *sql.DB) error {
	n := soakNonce.Add(1)
	var got int64
	for _, m := range []struct {
		code uint16
		run  func() error
	}{
		{1146, func() error { _, err := db.ExecContext(ctx, "UPDATE nosuchtable SET a = 1"); return err }},
		{1064, func() error { return db.QueryRowContext(ctx, "SELEKT ?", n).Scan(&got) }},
		{1062, func() error {
			_, err := db.ExecContext(ctx, "INSERT INTO "+w.table+"_rows VALUES (?, ?)", 1+w.rng.IntN(400), "again")
			return err
		}},
		{1146, func() error {
			_, err := db.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::none' INTO TABLE nosuchtable")
			return err
		}},
		{1146, func() error {
			_, err := db.ExecContext(ctx, fmt.Sprintf("SELECT %d; UPDATE nosuchtable SET a = 1; SELECT 3", n))
			return err
		}},
	} {
		err := m.run()
		var me *mysql.MySQLError
		if !errors.As(err, &me) {
			if err == nil {
				return wrong("no error where the server says %d", m.code)
			}
			return err
		}
		if me.Number != m.code {
			return fmt.Errorf("want error %d: %w", m.code, err)
		}
	}
	// A reader that nobody registered: the driver says so, and sends an empty file.
	_, err := db.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::none' INTO TABLE "+w.table+" (nonce, txt)")
	if err == nil {
		return wrong("a reader that is not registered was read")
	}
	if strings.Contains(err.Error(), "not registered") {
		return nil
	}
	return err
}

func (w *soakWorker) blob(ctx context.Context, db *sql.DB) error {
	size := w.rng.IntN(1 << (4 + w.rng.IntN(15)))
	if w.rng.IntN(1000) == 0 {
		size = 17 << 20 // more than a packet
	}
	s := randText(size)
	var got string
	if err := db.QueryRowContext(ctx, "SELECT ?", s).Scan(&got); err != nil {
		return err
	}
	if got != s {
		return wrong("a blob of %d bytes came back as one of %d", len(s), len(got))
	}
	return nil
}

// soakText is made when it is first needed.
var soakText = sync.OnceValue(func() string {
	b := make([]byte, 18<<20)
	n := 1 << 20
	_, _ = rand.Read(b[:n])
	for i := range n {
		b[i] = 'a' + b[i]%26
	}
	for ; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
	return string(b)
})

// randText is a text of that length from somewhere in a long one.
func randText(n int) string {
	text := soakText()
	at := mathrand.IntN(len(text) - n)
	return text[at : at+n]
}
