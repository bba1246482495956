// Benchmarks of one driver at a time, so that processes can be interleaved:
// BENCH_DRIVER is plain, sqlmw or seqguard, BENCH_DSN is where to. See run.sh.
package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"os"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/ngrok/sqlmw"
	_ "github.com/seqguard/mysql-seqguard"
)

func init() { sql.Register("sqlmw", sqlmw.Driver(&mysql.MySQLDriver{}, sqlmw.NullInterceptor{})) }

var ctx = context.Background()

func open(b *testing.B) *sql.DB {
	name := map[string]string{"": "mysql", "plain": "mysql", "sqlmw": "sqlmw", "seqguard": "mysql-seqguard"}[os.Getenv("BENCH_DRIVER")]
	var db *sql.DB
	var err error
	if dsn := os.Getenv("BENCH_DSN"); dsn == "" {
		db = canned(b)
	} else if db, err = sql.Open(name, dsn); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Ping(); err != nil {
		b.Fatal(err)
	}
	return db
}

// cpu reports the CPU time of this process, user and system, per operation: far
// less noisy than wall time, most of which is the server and the scheduler.
func cpu(b *testing.B) func() {
	get := func() int64 {
		var r syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
		return r.Utime.Nano() + r.Stime.Nano()
	}
	start := get()
	return func() { b.ReportMetric(float64(get()-start)/float64(b.N), "cpu-ns/op") }
}

func BenchmarkSelect1(b *testing.B) {
	db := open(b)
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		var n int
		if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&n); err != nil {
			b.Fatal(err)
		}
	}
}

// real skips what the canned server has no answer for.
func real(b *testing.B) {
	if os.Getenv("BENCH_DSN") == "" {
		b.Skip("needs a server: BENCH_DSN")
	}
}

const ten = "(select 0 n union all select 1 union all select 2 union all select 3 union all select 4 union all select 5 " +
	"union all select 6 union all select 7 union all select 8 union all select 9)"

func seed(b *testing.B, db *sql.DB) {
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

func BenchmarkPreparedPoint(b *testing.B) {
	real(b)
	db := open(b)
	seed(b, db)
	st, err := db.PrepareContext(ctx, "SELECT id, v, f FROM bench WHERE id = ?")
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	b.ReportAllocs()
	defer cpu(b)()
	i := 0
	for b.Loop() {
		var id int
		var v string
		var f float64
		if err := st.QueryRowContext(ctx, i%100000).Scan(&id, &v, &f); err != nil {
			b.Fatal(err)
		}
		i += 7919
	}
}

func BenchmarkScan100k(b *testing.B) {
	db := open(b)
	if os.Getenv("BENCH_DSN") != "" {
		seed(b, db)
	}
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
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

func BenchmarkBlob16MWrite(b *testing.B) {
	real(b)
	db := open(b)
	blob := make([]byte, blobLen)
	_, _ = rand.Read(blob)
	b.ReportAllocs()
	b.SetBytes(blobLen)
	defer cpu(b)()
	for b.Loop() {
		var n int // the server reads the value and drops it: no disk in the figure
		if err := db.QueryRowContext(ctx, "SELECT LENGTH(?)", blob).Scan(&n); err != nil || n != blobLen {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkBlob16MRead(b *testing.B) {
	db := open(b)
	query := "SELECT b FROM benchblob"
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
	b.ReportAllocs()
	b.SetBytes(blobLen)
	defer cpu(b)()
	for b.Loop() {
		rows, err := db.QueryContext(ctx, query)
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
