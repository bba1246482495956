package oncall

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// failure is one of the twenty.
type failure struct {
	title string
	how   string // it was provoked
	slug  cause.Slug
	maria bool // on MariaDB, otherwise on MySQL
	run   func(*stage) error
}

const long = "SELECT BENCHMARK(1000000000000, 1)"

var failures = []failure{
	{title: "A statement while rows are open", how: "`tx.Exec` in the loop over the rows of `tx.Query`.", slug: "result_still_open",
		run: func(s *stage) error {
			tx, err := s.pool("").BeginTx(s.ctx, nil)
			s.must(err)
			defer tx.Rollback()
			rows, err := tx.QueryContext(s.ctx, "SELECT 1 UNION SELECT 2")
			s.must(err)
			defer rows.Close()
			_, err = tx.ExecContext(s.ctx, "DO 1")
			return err
		}},
	{title: "Two goroutines on one sql.Conn", how: "One reads rows, the other one calls `Exec`.", slug: "result_still_open",
		run: func(s *stage) error {
			c := s.conn(s.pool(""))
			rows, err := c.QueryContext(s.ctx, "SELECT 1 UNION SELECT 2")
			s.must(err)
			defer rows.Close()
			done := make(chan error)
			go func() {
				_, err := c.ExecContext(s.ctx, "DO 1")
				done <- err
			}()
			return <-done
		}},
	{title: "KILL of an idle connection that is held", how: "`KILL` of a `sql.Conn`, a third of a second after its last statement.", slug: "closed_while_idle",
		run: func(s *stage) error {
			return s.until(soonAfter, func() error {
				c := s.conn(s.pool(""))
				s.kill(c)
				_, err := c.ExecContext(s.ctx, "DO 1")
				return err
			})
		}},
	{title: "KILL within a transaction", how: "`KILL` between two statements of a transaction.", slug: "closed_while_idle",
		run: func(s *stage) error {
			return s.until(soonAfter, func() error {
				tx, err := s.pool("").BeginTx(s.ctx, nil)
				s.must(err)
				defer tx.Rollback()
				var id int
				s.must(tx.QueryRowContext(s.ctx, "SELECT connection_id()").Scan(&id))
				s.killID(id)
				_, err = tx.ExecContext(s.ctx, "DO 1")
				return err
			})
		}},
	{title: "KILL of a running statement", how: "`KILL` while a statement runs.", slug: "closed_before_answer",
		run: func(s *stage) error {
			return s.until(told, func() error {
				c := s.conn(s.pool(""))
				s.killSoon(c)
				_, err := c.ExecContext(s.ctx, long)
				return err
			})
		}},
	{title: "KILL of many at once", how: "`KILL` of four running statements within a moment, as pt-kill does; the server stays up.", slug: "ended_together",
		run: func(s *stage) error {
			return s.until(told, func() error {
				db := s.pool("")
				alive := s.conn(db)
				err := s.four(db, func(conns []*sql.Conn) {
					for _, id := range s.ids(conns) {
						s.admin(fmt.Sprintf("KILL %d", id))
					}
				})
				_, e := alive.ExecContext(s.ctx, "DO 1")
				s.must(e)
				return err
			})
		}},
	{title: "This process is late with its login", how: "The process is held up for 3 s between greeting and login; `connect_timeout=2`.", slug: "login_stalled_locally",
		run: func(s *stage) error {
			s.admin("SET GLOBAL connect_timeout=2")
			defer s.admin("SET GLOBAL connect_timeout=10")
			return s.poolOn(s.server.Addr, "", func(c *mysql.Config) { kit.Stall(c, 1, 3*time.Second) }).PingContext(s.ctx)
		}},
	{title: "The login is late on the way", how: "A relay holds the login up for 3 s; `connect_timeout=2`.", slug: "login_delayed_on_the_way",
		run: func(s *stage) error {
			s.admin("SET GLOBAL connect_timeout=2")
			defer s.admin("SET GLOBAL connect_timeout=10")
			r := mysqltest.NewRelay(s.T, s.server.Addr, mysqltest.OnPacket(mysqltest.FromClient, 0, mysqltest.Action{Hold: 3 * time.Second}))
			return s.poolOn(r.Addr, "", nil).PingContext(s.ctx)
		}},
	{title: "wait_timeout of a connection that is held", how: "`wait_timeout=1` on a `sql.Conn`.", slug: "idle_timeout",
		run: func(s *stage) error { return s.tooIdle() }},
	{title: "The same on MariaDB, which says nothing", how: "`wait_timeout=1` on a `sql.Conn`.", slug: "closed_while_idle", maria: true,
		run: func(s *stage) error { return s.tooIdle() }},
	{title: "Too many connections", how: "All `max_connections` are taken.", slug: "refused_before_greeting",
		run: func(s *stage) error {
			s.admin("SET GLOBAL max_connections=1")
			defer s.admin("SET GLOBAL max_connections=60")
			db := s.pool("")
			for range 5 { // the server lets one more in than that, and then looks who it is
				c, err := db.Conn(s.ctx)
				if err != nil {
					return err
				}
				defer c.Close()
			}
			return nil
		}},
	{title: "A context that ends before the answer", how: "A deadline of half a second on a long statement, with `WithAbandoned(true)`.", slug: "abandoned",
		run: func(s *stage) error {
			db := s.pool("")
			s.must(db.PingContext(s.ctx))
			ctx, cancel := context.WithTimeout(s.ctx, 500*time.Millisecond)
			defer cancel()
			_, err := db.ExecContext(ctx, "DO SLEEP(5)")
			return err
		}},
	{title: "readTimeout", how: "`readTimeout=1s` and a statement that takes longer.", slug: "peer_unresponsive",
		run: func(s *stage) error {
			_, err := s.pool("readTimeout=1s").ExecContext(s.ctx, "DO SLEEP(5)")
			return err
		}},
	{title: "A port that says nothing", how: "A listener that accepts and is silent; `readTimeout=1s`.", slug: "no_greeting",
		run: func(s *stage) error {
			return s.poolOn(s.listen(""), "readTimeout=1s", nil).PingContext(s.ctx)
		}},
	{title: "Another protocol", how: "The port of something that is not MySQL: it speaks SSH.", slug: "not_mysql",
		run: func(s *stage) error {
			return s.poolOn(s.listen("SSH-2.0-OpenSSH_9.6\r\n"), "", nil).PingContext(s.ctx)
		}},
	{title: "Rows that are read too slowly", how: "`net_write_timeout=1`, a result of 40 MB, a pause of 5 s behind its first row.", slug: "slow_reader",
		run: func(s *stage) error {
			// The stacks of all goroutines are taken once in ten seconds, and more seldom on a busy machine: the stall before may have had its turn.
			return s.until(func(r *seqguard.Report) bool { return r != nil && r.Evidence.Stall.Stack != "" }, func() error {
				c := s.conn(s.pool(""))
				s.exec(c, "SET SESSION net_write_timeout=1")
				id := s.only()
				rows, err := c.QueryContext(s.ctx, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 210) SELECT RANDOM_BYTES(1000) FROM n a, n b")
				s.must(err)
				defer rows.Close()
				rows.Next()
				time.Sleep(5 * time.Second)     // the fault
				kit.AwaitEnd(s.T, s.server, id) // a busy server fills the buffers later
				for rows.Next() {
				}
				return rows.Err()
			})
		}},
	{title: "LOAD DATA LOCAL whose reader fails", how: "The reader returns an error behind 200 lines.", slug: "local_infile_partial",
		run: func(s *stage) error {
			mysql.RegisterReaderHandler("oncall", func() io.Reader {
				return io.MultiReader(strings.NewReader(strings.Repeat("7\n", 200)), broken{})
			})
			defer mysql.DeregisterReaderHandler("oncall")
			c := s.conn(s.pool(""))
			s.exec(c, "CREATE TEMPORARY TABLE oncall (v VARCHAR(300))")
			_, err := c.ExecContext(s.ctx, "LOAD DATA LOCAL INFILE 'Reader::oncall' INTO TABLE oncall")
			return err
		}},
	{title: "A statement that is too large", how: "20 MB, where `max_allowed_packet` is 1 MB.", slug: "packet_too_large",
		run: func(s *stage) error {
			// The server leaves the rest unread, which makes a reset, and that may overtake what it says.
			return s.until(func(r *seqguard.Report) bool { return r == nil || r.Evidence.ServerError != nil }, func() error {
				_, err := s.pool("maxAllowedPacket=67108864").ExecContext(s.ctx, "DO LENGTH('"+strings.Repeat("x", 20_000_000)+"')")
				return err
			})
		}},
	{title: "An answer that nobody asked for", how: "A relay sends an OK twice: the second one would be taken for the answer to the next statement.", slug: "unsolicited_packet",
		run: func(s *stage) error {
			var asked, done atomic.Bool
			r := mysqltest.NewRelay(s.T, s.server.Addr, func(p mysqltest.RelayPacket) mysqltest.Action {
				switch {
				case p.From == mysqltest.FromClient && bytes.Contains(p.Bytes, []byte("DO 4711")):
					asked.Store(true)
				case p.From == mysqltest.FromServer && asked.Load() && done.CompareAndSwap(false, true):
					return mysqltest.Action{Copies: 1}
				}
				return mysqltest.Action{}
			})
			var sockets kit.Sockets
			c := s.conn(s.poolOn(r.Addr, "", sockets.Watch))
			if _, err := c.ExecContext(s.ctx, "DO 4711"); err != nil {
				return err
			}
			sockets.AwaitFor(2 * time.Second) // unless it was read with the first
			_, err := c.ExecContext(s.ctx, "DO 1")
			return err
		}},
	{title: "The server is killed", how: "`kill -9` of the server under four running statements, while another request connects.", slug: "server_shutdown",
		run: func(s *stage) error {
			// The name is given 300 ms after the first end, so that the refusal must have come by then.
			var refused time.Time
			inTime := func(*seqguard.Report) bool { return refused.Sub(s.firstEnd()) < 200*time.Millisecond }
			return s.until(inTime, func() error {
				if !refused.IsZero() {
					s.server.Restart(s.T)
				}
				db := s.pool("")
				return s.four(db, func([]*sql.Conn) {
					s.server.Kill()
					_ = db.PingContext(s.ctx) // another request, which is refused
					refused = time.Now()
				})
			})
		}},
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("object store: connection reset") }

// tooIdle waits for the server's wait_timeout.
func (s *stage) tooIdle() error {
	c := s.conn(s.pool(""))
	s.exec(c, "SET SESSION wait_timeout=1")
	id := s.only()
	time.Sleep(2500 * time.Millisecond) // the server's clock
	kit.AwaitEnd(s.T, s.server, id)
	_, err := c.ExecContext(s.ctx, "DO 1")
	return err
}

// four runs a long statement on four connections, does what ends them, and
// returns one of the errors: one without a report, if there is such.
func (s *stage) four(db *sql.DB, end func([]*sql.Conn)) error {
	conns := []*sql.Conn{s.conn(db), s.conn(db), s.conn(db), s.conn(db)}
	ids := s.ids(conns)
	errs := make(chan error, len(conns))
	for _, c := range conns {
		go func() {
			_, err := c.ExecContext(s.ctx, long)
			errs <- err
		}()
	}
	for _, id := range ids {
		kit.AwaitStatement(s.T, s.server, id)
	}
	time.Sleep(300 * time.Millisecond) // for how long they run
	end(conns)
	var err, bare error
	isBare := false
	for range conns {
		e := <-errs
		var pe *seqguard.ProtocolError
		if !errors.As(e, &pe) {
			bare, isBare = e, true
			continue
		}
		err = e
	}
	if isBare {
		return bare
	}
	return err
}

// listen is a server that says one thing, or nothing.
func (s *stage) listen(says string) string {
	return mysqltest.Accept(s, func(c net.Conn) {
		_, _ = io.WriteString(c, says)
		_, _ = io.Copy(io.Discard, c) // the end is the client's
	}).Addr().String()
}
