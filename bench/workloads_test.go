package bench

import (
	"crypto/rand"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
)

// A workload gets ready on db and returns what does its operation so many times.
type workload struct {
	name    string
	otel    bool // otelsql on top
	prepare func(b *testing.B, db *sql.DB) (run func(times int))
}

var workloads = []workload{
	{"Select1", false, each(select1)},
	{"PreparedPoint", false, each(preparedPoint)},
	{"PointInTx", false, each(pointInTx)},
	{"BeginExecCommit", false, each(beginExecCommit)},
	{"ConnectClose", false, each(connectClose)},
	{"OtelsqlHandler", true, underHandler(select1)},
	{"Scan100k", false, each(scan100k)},
	{"Blob16MRead", false, each(blob16MRead)},
	{"Blob16MWrite", false, each(blob16MWrite)},
}

type prepare = func(b *testing.B, db *sql.DB) func()

func each(p prepare) func(b *testing.B, db *sql.DB) func(int) {
	return func(b *testing.B, db *sql.DB) func(int) {
		op := p(b, db)
		return func(times int) {
			for range times {
				op()
			}
		}
	}
}

// underHandler runs the operation in a handler of net/http, as deep in the stack
// as that of a small service. One request asks for many, so that HTTP itself is
// not in the figures.
func underHandler(p prepare) func(b *testing.B, db *sql.DB) func(int) {
	return func(b *testing.B, db *sql.DB) func(int) {
		op := p(b, db)
		mux := http.NewServeMux()
		mux.HandleFunc("GET /{times}", func(_ http.ResponseWriter, r *http.Request) {
			times, _ := strconv.Atoi(r.PathValue("times"))
			for range times {
				op()
			}
		})
		s := httptest.NewServer(http.StripPrefix("/api", http.MaxBytesHandler(mux, 1<<20)))
		b.Cleanup(s.Close)
		return func(times int) {
			r, err := http.Get(s.URL + "/api/" + strconv.Itoa(times))
			if err != nil || r.StatusCode != http.StatusOK {
				b.Fatal(r, err)
			}
			_ = r.Body.Close()
		}
	}
}

func select1(b *testing.B, db *sql.DB) func() {
	return func() {
		var n int
		if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&n); err != nil {
			b.Fatal(err)
		}
	}
}

// real skips what the connection in memory has no answer for.
func real(b *testing.B) {
	if os.Getenv("BENCH_DSN") == "" {
		b.Skip("needs a server: BENCH_DSN")
	}
}

const ten = "(select 0 n union all select 1 union all select 2 union all select 3 union all select 4 union all select 5 " +
	"union all select 6 union all select 7 union all select 8 union all select 9)"

func seed(b *testing.B, db *sql.DB) {
	if os.Getenv("BENCH_DSN") == "" {
		return
	}
	var n int
	if _ = db.QueryRow("select count(*) from bench").Scan(&n); n == 100000 {
		return
	}
	for _, s := range []string{
		"drop table if exists bench",
		"create table bench (id int primary key, v varchar(64), f double, d datetime) engine=innodb",
		"insert into bench select n, concat('value-', n), 1.5, '2026-01-01' from (select a.n+10*b.n+100*c.n+1000*d.n+10000*e.n n from " +
			ten + " a," + ten + " b," + ten + " c," + ten + " d," + ten + " e) x",
	} {
		if _, err := db.Exec(s); err != nil {
			b.Fatal(err)
		}
	}
}

const pointQuery = "SELECT id, v, f FROM bench WHERE id = ?"

func preparedPoint(b *testing.B, db *sql.DB) func() {
	seed(b, db)
	st, err := db.PrepareContext(ctx, pointQuery)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() })
	return point(b, st)
}

func point(b *testing.B, st *sql.Stmt) func() {
	i := 0
	return func() {
		var id int
		var v string
		var f float64
		if err := st.QueryRowContext(ctx, i%100000).Scan(&id, &v, &f); err != nil {
			b.Fatal(err)
		}
		i += 7919
	}
}

func pointInTx(b *testing.B, db *sql.DB) func() {
	seed(b, db)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		b.Fatal(err)
	}
	st, err := tx.PrepareContext(ctx, pointQuery)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = tx.Rollback() })
	return point(b, st)
}

func beginExecCommit(b *testing.B, db *sql.DB) func() {
	return func() {
		tx, err := db.BeginTx(ctx, nil)
		if err == nil {
			if _, err = tx.ExecContext(ctx, "DO 1"); err == nil {
				err = tx.Commit()
			}
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// connectClose makes a connection, logs in, and closes it.
func connectClose(b *testing.B, db *sql.DB) func() {
	db.SetMaxIdleConns(-1)
	return func() {
		c, err := db.Conn(ctx)
		if err == nil {
			err = c.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func scan100k(b *testing.B, db *sql.DB) func() {
	seed(b, db)
	return func() {
		rows, err := db.QueryContext(ctx, "SELECT id, v, f, d FROM bench")
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		var id int
		var v, d sql.RawBytes
		var f float64
		for rows.Next() {
			if err := rows.Scan(&id, &v, &f, &d); err != nil {
				b.Fatal(err)
			}
			n++
		}
		if err := rows.Close(); err != nil || n != 100000 || rows.Err() != nil {
			b.Fatal(n, err, rows.Err())
		}
	}
}

const blobLen = 16 << 20

func blob16MWrite(b *testing.B, db *sql.DB) func() {
	real(b)
	blob := make([]byte, blobLen)
	_, _ = rand.Read(blob)
	return func() {
		var n int // the server reads the value and drops it: no disk in the figure
		if err := db.QueryRowContext(ctx, "SELECT LENGTH(?)", blob).Scan(&n); err != nil || n != blobLen {
			b.Fatal(n, err)
		}
	}
}

func blob16MRead(b *testing.B, db *sql.DB) func() {
	if os.Getenv("BENCH_DSN") != "" {
		blob := make([]byte, blobLen)
		_, _ = rand.Read(blob)
		for _, s := range []string{"drop table if exists benchblob", "create table benchblob (id int primary key, b longblob)"} {
			if _, err := db.Exec(s); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := db.Exec("insert into benchblob values (1, ?)", blob); err != nil {
			b.Fatal(err)
		}
	}
	return func() {
		rows, err := db.QueryContext(ctx, "SELECT b FROM benchblob")
		if err != nil {
			b.Fatal(err)
		}
		var r sql.RawBytes
		for rows.Next() {
			if err := rows.Scan(&r); err != nil || len(r) != blobLen {
				b.Fatal(err)
			}
		}
		if err := rows.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
