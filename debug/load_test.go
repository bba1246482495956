package debug_test

import (
	"context"
	"database/sql"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// answer is a server's handler: two rows to every query, OK to all else.
func answer(s *mysqltest.Session, cmd byte, body []byte) error {
	if cmd != mysqltest.ComQuery {
		return mysqltest.AnswerOK(s, cmd, body)
	}
	switch string(body) {
	case "START TRANSACTION":
		return s.WritePacket(mysqltest.Next, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit|mysqltest.StatusInTrans, 0))
	case "SELECT SLEEP(3600)":
		return nil
	}
	return s.WriteResultSet(mysqltest.Next, []mysqltest.Column{{Name: "name", Type: mysqltest.TypeVarString}},
		[]any{"payload that nobody must see"}, []any{"nor this"})
}

// threads numbers the connections, as a server does.
var threads atomic.Uint32

func login(version string) mysqltest.Step {
	return mysqltest.Do("login", func(s *mysqltest.Session) error {
		o := mysqltest.GreetingOptions{Version: version, ThreadID: 4710 + threads.Add(1)}
		return mysqltest.Login(o).Run(s)
	})
}

func serve(t testing.TB, version string) *mysqltest.Server {
	t.Helper()
	return mysqltest.ServeEvery(t, login(version), mysqltest.ServeForever(answer))
}

// open opens a guarded pool whose connections are all to the server, whatever
// name the address gives it.
func open(t testing.TB, s *mysqltest.Server, address string, conns int, opts ...seqguard.Option) *sql.DB {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.DBName, cfg.Logger = "user", "tcp", address, "shop", &mysql.NopLogger{}
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, s.Net, s.Addr)
	}
	connector, err := seqguard.NewConnector(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// load keeps n connections busy until the returned function is called, each
// with a pause between two queries. done counts the queries.
func load(t testing.TB, db *sql.DB, n int, pause time.Duration) (done *atomic.Int64, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done = new(atomic.Int64)
	var wg, connected sync.WaitGroup
	connected.Add(n)
	for range n {
		wg.Go(func() {
			conn, err := db.Conn(ctx)
			connected.Done()
			if err != nil {
				t.Errorf("connecting: %v", err)
				return
			}
			defer conn.Close()
			for ctx.Err() == nil {
				// Not with ctx: a query that is cancelled breaks its connection.
				if err := query(conn); err != nil {
					t.Errorf("the load: %v", err)
					return
				}
				done.Add(1)
				if pause > 0 {
					time.Sleep(pause) // a client that is not in a hurry
				}
			}
		})
	}
	connected.Wait()
	return done, sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
}

func query(conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rows, err := conn.QueryContext(ctx, "SELECT name FROM customers")
	if err != nil {
		return err
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
	}
	return rows.Close()
}
