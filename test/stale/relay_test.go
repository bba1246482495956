package stale_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// injections are packets that nobody asked for. Complete answers, so numbered from 1: a client takes them for its own.
var injections = []struct {
	name string
	make func(answer []byte) []byte // answer: the packets of the last one, as far as it has come
}{
	{"extra OK", func([]byte) []byte {
		return mysqltest.Packet(1, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0))
	}},
	{"extra OK numbered 0", func([]byte) []byte {
		return mysqltest.Packet(0, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0))
	}},
	{"two extra OKs", func([]byte) []byte {
		ok := mysqltest.Packet(1, mysqltest.OKPayload(7, 0, mysqltest.StatusAutocommit, 0))
		return append(ok, ok...)
	}},
	{"extra result set", func([]byte) []byte { return resultSet("4711") }},
	{"extra ERR", func([]byte) []byte {
		return mysqltest.Packet(1, mysqltest.ERRPayload(1146, "42S02", "of another query"))
	}},
	{"duplicate answer", func(answer []byte) []byte { return answer }},
}

// resultSet is one of MySQL 8 and later, and of MariaDB with CLIENT_DEPRECATE_EOF, which the driver asks for.
func resultSet(value string) []byte {
	b := mysqltest.Packet(1, []byte{1})
	b = append(b, mysqltest.Packet(2, mysqltest.ColumnPayload(mysqltest.Column{Name: "v"}))...)
	b = append(b, mysqltest.Packet(3, mysqltest.TextRowPayload(value))...)
	return append(b, mysqltest.Packet(4, mysqltest.ResultEndPayload(mysqltest.StatusAutocommit, 0))...)
}

// injector puts one injection into the first connection, in front of or behind packet number at of the server.
type injector struct {
	at     int // -1: nowhere
	before bool
	inject func(answer []byte) []byte

	mu     sync.Mutex
	first  int // the first packet of the server that answers a command
	count  int // packets of the server
	answer []byte
	done   bool
}

func (i *injector) rule(p mysqltest.RelayPacket) mysqltest.Action {
	if p.Conn != 0 || p.Raw {
		return mysqltest.Action{}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if p.From == mysqltest.FromClient {
		if p.Index > 0 && p.Seq() == 0 {
			i.answer = nil
			if i.first == 0 {
				i.first = i.count
			}
		}
		return mysqltest.Action{}
	}
	i.count++
	i.answer = append(i.answer, p.Bytes...)
	if p.Index != i.at {
		return mysqltest.Action{}
	}
	i.done = true
	if i.before {
		return mysqltest.Action{Before: slices.Clone(i.inject(i.answer))}
	}
	return mysqltest.Action{After: slices.Clone(i.inject(i.answer))}
}

// staleWork does a little of everything on a pool of one connection and checks the answers. It returns how many operations failed,
// and an error if one got an answer that is not its own.
func staleWork(db *sql.DB) (failed int, crossed error) {
	ctx := context.Background()
	ask := func(n int64, scan func(dest ...any) error) {
		var got int64
		switch err := scan(&got); {
		case err != nil:
			failed++
		case got != n && crossed == nil:
			crossed = fmt.Errorf("asked for %d, got %d", n, got)
		}
	}
	change := func(exec func() (sql.Result, error)) {
		res, err := exec()
		if err != nil {
			failed++
			return
		}
		if n, _ := res.RowsAffected(); n != 3 && crossed == nil {
			crossed = fmt.Errorf("3 rows were changed, the answer says %d", n)
		}
	}
	ask(101, db.QueryRowContext(ctx, "SELECT 101").Scan)
	change(func() (sql.Result, error) { return db.ExecContext(ctx, "UPDATE stale SET v = v + 1") })
	if rows, err := db.QueryContext(ctx, "SELECT 102 UNION ALL SELECT 103 UNION ALL SELECT 104"); err != nil {
		failed++
	} else {
		n := int64(102)
		for ; rows.Next(); n++ {
			ask(n, rows.Scan)
		}
		switch {
		case rows.Err() != nil:
			failed++
		case n != 105 && crossed == nil:
			crossed = fmt.Errorf("the rows ended before %d without an error", n)
		}
	}
	if tx, err := db.BeginTx(ctx, nil); err != nil {
		failed++
	} else {
		change(func() (sql.Result, error) { return tx.ExecContext(ctx, "UPDATE stale SET v = v + 1") })
		ask(105, tx.QueryRowContext(ctx, "SELECT 105").Scan)
		if tx.Commit() != nil {
			failed++
		}
	}
	if stmt, err := db.PrepareContext(ctx, "SELECT ?+?"); err != nil {
		failed++
	} else {
		ask(106, stmt.QueryRowContext(ctx, 100, 6).Scan)
		ask(107, stmt.QueryRowContext(ctx, 100, 7).Scan)
		_ = stmt.Close()
	}
	if db.PingContext(ctx) != nil {
		failed++
	}
	if _, err := db.ExecContext(ctx, "UPDATE nosuchtable SET v = 1"); err == nil && crossed == nil {
		crossed = fmt.Errorf("an UPDATE of a missing table succeeded")
	}
	ask(108, db.QueryRowContext(ctx, "SELECT 108").Scan)
	return failed, crossed
}

// TestStaleAnswers injects into a conversation with a real server at every boundary between two packets, in front of the packet
// and behind it. No operation may take the injection for its answer, and each is reported once.
func TestStaleAnswers(t *testing.T) {
	for _, name := range []string{"mysql9", "mariadb1011"} {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.Shared(t, name)
			db, _ := kit.Open(t, server.DSN(""), nil)
			for _, q := range []string{"DROP TABLE IF EXISTS stale", "CREATE TABLE stale (v int)", "INSERT INTO stale VALUES (1), (2), (3)"} {
				if _, err := db.Exec(q); err != nil {
					t.Fatal(err)
				}
			}
			run := func(t *testing.T, i *injector) (failed int, reports *kit.Collector, crossed error) {
				relay := mysqltest.NewRelay(t, server.Addr, i.rule)
				db, reports := kit.Open(t, relay.DSN(""), nil)
				db.SetMaxOpenConns(1)
				failed, crossed = staleWork(db)
				_ = db.Close()
				return failed, reports, crossed
			}
			clean := &injector{at: -1}
			if failed, reports, crossed := run(t, clean); failed != 0 || crossed != nil {
				t.Fatalf("without an injection: %d operations failed, %v", failed, crossed)
			} else {
				reports.None(t)
			}
			step := kit.Watchdog(t)
			runs, failures := 0, 0
			causes := map[cause.Slug]int{}
			for _, injection := range injections {
				for at := clean.first - 1; at < clean.count; at++ {
					for _, before := range []bool{true, false} {
						if before && at < clean.first {
							continue // in the login
						}
						step()
						i := &injector{at: at, before: before, inject: injection.make}
						what := fmt.Sprintf("%s at packet %d (first %d, last %d), before=%t", injection.name, at, clean.first, clean.count-1, before)
						ok := t.Run("", func(t *testing.T) {
							failed, reports, crossed := run(t, i)
							if !i.done {
								t.Fatal("was not injected")
							}
							if crossed != nil {
								t.Errorf("WRONG ANSWER: %v", crossed)
							}
							failures += failed
							all := reports.All()
							if len(all) != 1 {
								t.Errorf("%d reports", len(all))
							}
							for _, r := range all {
								causes[r.Cause.Slug]++
								if r.Cause.Severity != cause.DataIntegrity && !failsByItself(r) {
									t.Errorf("severity %s: %s\n%s", r.Cause.Severity, r, r.Timeline())
								}
							}
						})
						if runs++; !ok {
							t.Error(what)
						}
					}
				}
			}
			t.Logf("%d injections, causes %v; %d operations failed", runs, causes, failures)
		})
	}
}

// failsByItself tells the packets that end an answer with an error whoever they
// are for: an ERR within it, a plain OK to a PREPARE, a definition that cannot be one. A
// peer with a fault sends the same on a connection on which nothing else goes on, so
// the report says both, and nobody gets anything that was not meant for them.
func failsByItself(r *wrapconn.Report) bool {
	switch r.Cause.Slug {
	case "peer_misnumbers_results", "not_prepared", "malformed_packet":
		return slices.Contains(r.Cause.Alternatives, "mismatched_answer") && strings.Contains(r.Cause.Explanation, "another")
	}
	return false
}
