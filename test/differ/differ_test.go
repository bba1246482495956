package differ_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

var (
	firstSeed  = flag.Int64("differ.seed", 1, "first seed of TestBesideThePlainDriver")
	seeds      = flag.Int64("differ.seeds", 4, "how many seeds")
	operations = flag.Int("differ.ops", 25, "operations of a seed")
)

// Whatever a program does in turn, it sees the same of both drivers, and none of it is reported.
func TestBesideThePlainDriver(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { beside(t, server, rand.New(rand.NewSource(seed))) })
		}
	})
}

func beside(t *testing.T, server *mysqltest.Instance, r *rand.Rand) {
	params := "multiStatements=true"
	for _, p := range []string{"tls=skip-verify", "compress=true", "interpolateParams=true", "parseTime=true", "clientFoundRows=true", "columnsWithAlias=true", "checkConnLiveness=false"} {
		if r.Intn(2) == 0 {
			params += "&" + p
		}
	}
	mode := []seqguard.Mode{seqguard.Enforce, seqguard.Observe}[r.Intn(2)]
	plain := newSide(t, server, "differ_p", params, func(cfg *mysql.Config) *sql.DB {
		c, err := mysql.NewConnector(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return sql.OpenDB(c)
	})
	reports := &kit.Collector{}
	guarded := newSide(t, server, "differ_g", params, func(cfg *mysql.Config) *sql.DB {
		c, err := seqguard.NewConnector(cfg, seqguard.WithMode(mode), seqguard.WithOnReport(reports.Add))
		if err != nil {
			t.Fatal(err)
		}
		return sql.OpenDB(c)
	})
	for n := range *operations {
		o, sub := all[r.Intn(len(all))], r.Int63()
		for _, s := range []*side{plain, guarded} {
			s.seen = nil
			o.run(s, rand.New(rand.NewSource(sub)))
			s.settle(n)
		}
		if !slices.Equal(guarded.seen, plain.seen) {
			t.Fatalf("%s, %v, operation %d, %s: got\n  %s\nthe plain driver:\n  %s", params, mode, n, o.name, strings.Join(guarded.seen, "\n  "), strings.Join(plain.seen, "\n  "))
		}
	}
	reports.None(t)
}

// side is one of the two pools, and what was seen of it.
type side struct {
	t     *testing.T
	db    *sql.DB
	name  string // of its database: errors have it
	dials atomic.Int64
	seen  []string
}

func newSide(t *testing.T, server *mysqltest.Instance, name, params string, open func(*mysql.Config) *sql.DB) *side {
	s := &side{t: t, name: name}
	setUp(t, server, name)
	cfg, err := mysql.ParseDSN(server.DSN(params))
	if err != nil {
		t.Fatal(err)
	}
	cfg.DBName, cfg.Logger = name, &mysql.NopLogger{}
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		s.dials.Add(1)
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
	s.db = open(cfg)
	t.Cleanup(func() { _ = s.db.Close() })
	return s
}

func (s *side) note(format string, args ...any) {
	s.seen = append(s.seen, strings.ReplaceAll(fmt.Sprintf(format, args...), s.name, "DB"))
}

// settle waits until nobody has a connection, asks for something that no earlier answer has, and notes the state of the pool.
func (s *side) settle(n int) {
	kit.Eventually(s.t, func() bool { return s.db.Stats().InUse == 0 }, "a connection stays in use")
	var got int
	err := s.db.QueryRow(fmt.Sprintf("SELECT %d", 1000+n)).Scan(&got)
	s.note("then %d %s", got, text(err))
	kit.Eventually(s.t, func() bool { return s.db.Stats().InUse == 0 }, "a connection stays in use")
	stats := s.db.Stats()
	s.note("open %d, idle %d, closed as too many %d, dialled %d", stats.OpenConnections, stats.Idle, stats.MaxIdleClosed, s.dials.Load())
}

func setUp(t *testing.T, server *mysqltest.Instance, name string) {
	t.Helper()
	db := kit.PlainPool(t, server.DSN(""))
	defer db.Close()
	db.SetMaxOpenConns(1) // USE is a connection's
	for _, q := range []string{
		"DROP DATABASE IF EXISTS " + name,
		"CREATE DATABASE " + name,
		"USE " + name,
		"CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(2000), n INT UNIQUE)",
		"CREATE TABLE a (x INT, y VARCHAR(20))",
		"INSERT INTO a VALUES (1, 'one'), (2, NULL)",
		"CREATE TABLE d (d INT)",
		"INSERT INTO d VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
		"CREATE TABLE num SELECT a.d + 10 * b.d + 100 * c.d i FROM d a, d b, d c",
		"ALTER TABLE num ADD PRIMARY KEY (i)",
		"CREATE PROCEDURE two() BEGIN SELECT 1 a; SELECT 2 b, 'x' c UNION SELECT 3, 'y'; END",
		"CREATE PROCEDURE fails() BEGIN SELECT 1 a; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no more', MYSQL_ERRNO = 5000; END",
		"CREATE PROCEDURE gives(IN a INT, OUT b INT) BEGIN SELECT a; SET b = a + 1; END",
		"CREATE PROCEDURE breaks() BEGIN SELECT 7 s; " + brokenRows + "; SELECT 8 e; END",
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// brokenRows is a query whose rows end in an error: the inner SELECT has two rows then.
const brokenRows = "SELECT i, REPEAT('m', 100), (SELECT 1 UNION ALL SELECT 2 FROM DUAL WHERE m.i = 700) FROM num m ORDER BY i"
