// Benchmarks of one driver at a time, so that processes can be interleaved:
// BENCH_DRIVER is plain, sqlmw or seqguard, BENCH_DSN is where to. See run.sh.
// BenchmarkPairs compares two of them in one process.
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

func open(b *testing.B, name string) *sql.DB {
	var db *sql.DB
	var err error
	if dsn := os.Getenv("BENCH_DSN"); dsn == "" {
		db = canned(b, name)
	} else if db, err = sql.Open(map[string]string{"plain": "mysql", "sqlmw": "sqlmw", "seqguard": "mysql-seqguard"}[name], dsn); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Ping(); err != nil {
		b.Fatal(err)
	}
	return db
}

// cpu is the CPU time of this process so far, user and system, in nanoseconds:
// far less noisy than wall time, most of which is the server and the scheduler.
func cpu() int64 {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return r.Utime.Nano() + r.Stime.Nano()
}

// A workload gets ready on db and returns its operation.
type workload func(b *testing.B, db *sql.DB) func()

// measure runs one driver, BENCH_DRIVER.
func measure(b *testing.B, w workload) {
	name := os.Getenv("BENCH_DRIVER")
	if name == "" {
		name = "plain"
	}
	op := w(b, open(b, name))
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		op()
	}
	b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op")
}

func BenchmarkSelect1(b *testing.B)       { measure(b, select1) }
func BenchmarkPreparedPoint(b *testing.B) { measure(b, preparedPoint) }
func BenchmarkScan100k(b *testing.B)      { measure(b, scan100k) }
func BenchmarkBlob16MWrite(b *testing.B)  { measure(b, blob16MWrite) }
func BenchmarkBlob16MRead(b *testing.B)   { measure(b, blob16MRead) }

func select1(b *testing.B, db *sql.DB) func() {
	return func() {
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

func preparedPoint(b *testing.B, db *sql.DB) func() {
	real(b)
	seed(b, db)
	st, err := db.PrepareContext(ctx, "SELECT id, v, f FROM bench WHERE id = ?")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() })
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

func scan100k(b *testing.B, db *sql.DB) func() {
	if os.Getenv("BENCH_DSN") != "" {
		seed(b, db)
	}
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
	b.SetBytes(blobLen)
	return func() {
		var n int // the server reads the value and drops it: no disk in the figure
		if err := db.QueryRowContext(ctx, "SELECT LENGTH(?)", blob).Scan(&n); err != nil || n != blobLen {
			b.Fatal(n, err)
		}
	}
}

func blob16MRead(b *testing.B, db *sql.DB) func() {
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
	b.SetBytes(blobLen)
	return func() {
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
