package wire_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/conversations"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// recorder keeps what passes a connection.
type recorder struct {
	net.Conn
	alter func(login []byte) // changes the client's first packet
	mu    sync.Mutex
	all   []conversations.Event
}

func (r *recorder) add(e conversations.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.all); !e.Client && !e.End && n > 0 && !r.all[n-1].Client && same(r.all[n-1].Bytes) && same(e.Bytes) && r.all[n-1].Bytes[0] == e.Bytes[0] {
		r.all[n-1].Bytes = append(r.all[n-1].Bytes, e.Bytes...)
		return
	}
	e.Bytes = append([]byte(nil), e.Bytes...)
	r.all = append(r.all, e)
}

// same reports whether b is one byte repeated.
func same(b []byte) bool {
	return len(b) > 0 && strings.Count(string(b), string(b[:1])) == len(b)
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	if n > 0 {
		r.add(conversations.Event{Bytes: p[:n]})
	}
	if err == io.EOF {
		r.add(conversations.Event{End: true})
	}
	return n, err
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.alter != nil {
		r.alter(p)
		r.alter = nil
	}
	r.add(conversations.Event{Client: true, Bytes: p})
	return r.Conn.Write(p)
}

// say writes packets and reads until the server has nothing more to say.
func (r *recorder) say(t *testing.T, packets ...[]byte) {
	t.Helper()
	if r.all[len(r.all)-1].End {
		return
	}
	for _, p := range packets {
		if _, err := r.Write(p); err != nil {
			return // the server has hung up, which is recorded
		}
	}
	quiet := 300 * time.Millisecond
	if packets[0][4] == 0x11 {
		quiet = 2 * time.Second // MariaDB takes a second over a refused COM_CHANGE_USER
	}
	buf := make([]byte, 1<<16)
	for {
		_ = r.SetReadDeadline(time.Now().Add(quiet))
		if _, err := r.Read(buf); err != nil {
			_ = r.SetReadDeadline(time.Time{})
			return
		}
	}
}

// scenario is what one conversation is about.
type scenario struct {
	name   string
	params string
	user   string // gotest without one
	alter  func(login []byte)
	play   func(t *testing.T, c *sql.Conn, r *recorder) // with the error that is expected unchecked
}

// record records all scenarios on one server.
func record(t *testing.T, name string) {
	server := mysqltest.Start(t, name)
	setup(t, server)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios(server) {
		user := s.user
		if user == "" {
			user = "gotest"
		}
		cfg, err := mysql.ParseDSN(server.DSNFor(user, "secret", s.params))
		if err != nil {
			t.Fatal(err)
		}
		rec := &recorder{alter: s.alter}
		cfg.Logger = &mysql.NopLogger{}
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			var nd net.Dialer
			c, err := nd.DialContext(ctx, network, addr)
			rec.Conn = c
			return rec, err
		}
		connector, err := mysql.NewConnector(cfg)
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(connector)
		c, err := db.Conn(context.Background())
		if err != nil {
			t.Logf("%s, %s: not available: %v", name, s.name, err)
			_ = db.Close()
			continue
		}
		if s.play != nil {
			s.play(t, c, rec)
		}
		_ = c.Close()
		_ = db.Close()
		text := fmt.Sprintf("# %s: %s\n", server.Version, s.name) + conversations.Format(rec.all)
		text += "=\n" + replay(t, rec.all, func(n int) int { return n })
		if err := os.WriteFile(filepath.Join(folder, name+"-"+s.name+".txt"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func setup(t *testing.T, server *mysqltest.Instance) {
	db, err := sql.Open("mysql", server.RootDSN("multiStatements=true"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := func(q string) {
		if _, err := db.Exec(q); err != nil {
			t.Log(q, err)
		}
	}
	run("CREATE TABLE golden (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO golden VALUES (1, 'one'), (2, 'two'), (3, NULL)")
	run("CREATE PROCEDURE golden_two() BEGIN SELECT id FROM golden; SELECT v FROM golden; END")
	if server.Kind == mysqltest.MySQL {
		run("CREATE USER golden_full IDENTIFIED WITH caching_sha2_password BY 'secret'")
		run("CREATE USER golden_sha256 IDENTIFIED WITH sha256_password BY 'secret'")
	} else {
		run("INSTALL SONAME 'auth_ed25519'")
		run("CREATE USER golden_ed25519 IDENTIFIED VIA ed25519 USING PASSWORD('secret')")
	}
	for _, u := range []string{"golden_full", "golden_sha256", "golden_ed25519"} {
		_, _ = db.Exec("GRANT ALL ON *.* TO " + u)
	}
}

func query(q string, args ...any) func(*testing.T, *sql.Conn, *recorder) {
	return func(t *testing.T, c *sql.Conn, _ *recorder) {
		rows, err := c.QueryContext(context.Background(), q, args...)
		if err != nil {
			return // the server's word is recorded
		}
		defer rows.Close()
		for more := true; more; more = rows.NextResultSet() {
			for rows.Next() {
			}
		}
	}
}

// capability sets or clears a flag of the login.
func capability(flag uint32, on bool) func([]byte) {
	return func(login []byte) {
		for i := range 4 {
			b := byte(flag >> (8 * i))
			if on {
				login[4+i] |= b
			} else {
				login[4+i] &^= b
			}
		}
	}
}

func scenarios(server *mysqltest.Instance) []scenario {
	all := []scenario{
		{name: "connect"},
		{name: "query", play: query("SELECT id, v FROM golden")},
		{name: "many_rows", play: query("WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n+1 FROM s WHERE n < 700) SELECT n FROM s")},
		{name: "prepared", play: query("SELECT v FROM golden WHERE id = ?", 2)},
		{name: "interpolated", params: "interpolateParams=true", play: query("SELECT v FROM golden WHERE id = ?", 2)},
		{name: "multi_results", params: "multiStatements=true", play: query("SELECT 1; SELECT id FROM golden; DO 1; SELECT 2")},
		{name: "call", play: query("CALL golden_two()")},
		{name: "prepared_call", play: query("CALL golden_two() /* ? */")},
		{name: "error", play: query("SELECT nothing FROM nowhere")},
		{name: "error_in_multi", params: "multiStatements=true", play: func(t *testing.T, c *sql.Conn, r *recorder) {
			query("SELECT 1; SELECT nothing FROM nowhere; SELECT 2")(t, c, r)
			_ = c.PingContext(context.Background())
		}},
		{name: "big_row", play: query("SELECT REPEAT('a', 17000000)")},
		{name: "row_of_16M", play: query("SELECT REPEAT('a', 16777215 - 4)")},
		{name: "load_data", play: func(t *testing.T, c *sql.Conn, r *recorder) {
			mysql.RegisterReaderHandler("golden", func() io.Reader { return strings.NewReader("8\teight\n9\tnine\n") })
			defer mysql.DeregisterReaderHandler("golden")
			for _, q := range []string{"CREATE TEMPORARY TABLE g8 LIKE golden", "LOAD DATA LOCAL INFILE 'Reader::golden' INTO TABLE g8"} {
				if _, err := c.ExecContext(context.Background(), q); err != nil {
					t.Error(err)
				}
			}
		}},
		{name: "long_data", play: func(t *testing.T, c *sql.Conn, r *recorder) {
			query("SELECT LENGTH(?), LENGTH(?)", strings.Repeat("x", 3<<20), strings.Repeat("y", 40<<20))(t, c, r)
		}},
		{name: "transaction", play: func(t *testing.T, c *sql.Conn, r *recorder) {
			tx, err := c.BeginTx(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = tx.Exec("UPDATE golden SET v = 'x'")
			_ = tx.Rollback()
		}},
		{name: "idle_timeout", play: func(t *testing.T, c *sql.Conn, r *recorder) {
			_, _ = c.ExecContext(context.Background(), "SET SESSION wait_timeout=1")
			time.Sleep(2500 * time.Millisecond) // the server's wait_timeout of 1 s, and no query that would be recorded
			r.say(t, []byte("\x09\x00\x00\x00\x03SELECT 1"))
			_, _ = r.Read(make([]byte, 10))
		}},
	}
	for _, raw := range []struct {
		name string
		flag uint32
		on   bool
	}{{"commands", mysqltest.CapDeprecateEOF, true}, {"commands_with_eof", mysqltest.CapDeprecateEOF, false}} {
		all = append(all, scenario{name: raw.name, alter: capability(raw.flag, raw.on), play: commands(server.Kind)})
	}
	if server.Kind == mysqltest.MySQL {
		return append(all, scenario{name: "connect_sha2_full", user: "golden_full"}, scenario{name: "connect_sha2_fast", user: "golden_full"},
			scenario{name: "connect_sha256", user: "golden_sha256"})
	}
	return append(all, scenario{name: "connect_ed25519", user: "golden_ed25519"})
}

// commands are those that go-sql-driver does not send.
func commands(kind mysqltest.Kind) func(*testing.T, *sql.Conn, *recorder) {
	const (
		id      = "{id}" // of the statement that was prepared last
		prepare = "\x16SELECT id, v FROM golden WHERE id > ?"
		zero    = "\x01\x00\x00\x00\x00\x01\x08\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" // its parameter
	)
	plugin := "mysql_native_password"
	if kind == mysqltest.MySQL {
		plugin = "caching_sha2_password"
	}
	return func(t *testing.T, _ *sql.Conn, r *recorder) {
		statement := "\x01\x00\x00\x00"
		for _, s := range []string{
			"\x1f",                                  // COM_RESET_CONNECTION
			"\x02gotest",                            // COM_INIT_DB
			"\x09",                                  // COM_STATISTICS
			"\x04golden\x00",                        // COM_FIELD_LIST
			"\x1b\x00\x00",                          // COM_SET_OPTION: multi-statements on
			"\x03DO 1; SELECT 1; SELECT 2",          // several results
			"\x03SELECT nothing FROM nowhere; DO 1", // fails with more to come
			"\x0e",                                  // COM_PING
			"\x1b\x01\x00",                          // off
			prepare,                                 // COM_STMT_PREPARE
			"\x18" + id + "\x00\x00" + "0",          // COM_STMT_SEND_LONG_DATA
			"\x1a" + id,                             // COM_STMT_RESET
			"\x17" + id + "\x01" + zero,             // COM_STMT_EXECUTE, with a cursor
			"\x1c" + id + "\x02\x00\x00\x00",        // COM_STMT_FETCH of two rows
			"\x1c" + id + "\x02\x00\x00\x00",        // of the last one
			"\x1c" + id + "\x02\x00\x00\x00",        // of none
			"\x19" + id,                             // COM_STMT_CLOSE
			"\x1c" + id + "\x02\x00\x00\x00",        // of a statement that is gone
			prepare,                                 //
			"\x17" + id + "\x00" + zero,             // without a cursor
			"\x17" + id + "\x00" + zero,             // again: MariaDB leaves the columns out
			"\x0d",                                  // COM_DEBUG
			"\x0a",                                  // COM_PROCESS_INFO
			"\x11root\x00\x00gotest\x00\xff\x00" + plugin + "\x00", // COM_CHANGE_USER
			"\x0e",
		} {
			r.say(t, mysqltest.Packet(0, []byte(strings.ReplaceAll(s, id, statement))))
			if last := r.all[len(r.all)-1]; s == prepare && !last.Client && len(last.Bytes) > 9 {
				statement = string(last.Bytes[5:9])
			}
		}
	}
}
