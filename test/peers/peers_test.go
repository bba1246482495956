// Package peers_test holds docs/peers.md against the servers that are found here: the page says what they were seen to do, and what
// is named rests on it.
package peers_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

func TestMain(m *testing.M) { kit.Main(m) }

// columns are the servers of the page's table, by their name in mysqltest.
var columns = []string{"mysql9", "mariadb1011", "mariadb118"}

// cells reads the table: situation → what each server says.
func cells(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/peers.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	_, table, _ := strings.Cut(strings.ReplaceAll(string(page), "\r\n", "\n"), "\n| situation | MySQL 9.7 |")
	for _, line := range strings.Split(table, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		var row []string
		for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
			row = append(row, strings.TrimSpace(c))
		}
		out[row[0]] = row[1:]
	}
	return out
}

// peer is one run of a situation.
type peer struct {
	*testing.T
	server  *mysqltest.Instance
	reports *kit.Collector
}

// pool is a guarded pool on the server, under the name by which its connections are found.
func (p *peer) pool(params string, change func(*mysql.Config)) *sql.DB {
	p.Helper()
	db, c := kit.Open(p.T, p.server.DSN(params), func(cfg *mysql.Config) {
		if change != nil {
			change(cfg)
		}
		dial := cfg.DialFunc
		addr := cfg.Addr
		cfg.Addr = p.name()
		cfg.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
			if dial != nil {
				return dial(ctx, network, addr)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	})
	p.reports = c
	return db
}

func (p *peer) name() string {
	return strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(p.Name()) + ":3306"
}

func (p *peer) ctx() context.Context { return kit.Timeout(p.T, 30*time.Second) }

// said describes the server's last packet of a history, and the end.
func said(history []wrapconn.HistoryEntry, end cause.StreamEnd, usable bool) string {
	var out []string
	for i := len(history) - 1; i >= 0; i-- {
		h := history[i]
		if h.Direction != session.FromServer || h.Kind == session.KindOK && h.ErrorCode == 0 && !usable {
			continue
		}
		if h.ErrorCode != 0 {
			out = append(out, fmt.Sprintf("ERR %d #%d", h.ErrorCode, h.Last))
		} else if usable {
			out = append(out, "a row")
		}
		break
	}
	switch end {
	case cause.StreamEOF:
		out = append(out, "FIN")
	case cause.StreamReset, cause.StreamBroken:
		out = append(out, "RST")
	}
	if usable {
		out = append(out, "usable")
	}
	return strings.Join(out, ", ")
}

// of describes what the report of err saw. The words count only if they came after the last command, or before any.
func (p *peer) of(err error) string {
	p.Helper()
	var pe *seqguard.ProtocolError
	if !errors.As(err, &pe) {
		p.Fatalf("no report: %v", err)
	}
	e := &pe.Report.Evidence
	h := pe.Report.History
	if e.ServerError == nil && e.Kind != session.KindERR {
		h = nil // an end without a word
	}
	return said(h, e.Stream, false)
}

// numbering gives one command a wrong number.
type numbering struct{ net.Conn }

func (c *numbering) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "DO 4711") {
		p = append([]byte(nil), p...)
		p[3] = 5
	}
	return c.Conn.Write(p)
}

// last describes the last packet of the one connection that is open.
func (p *peer) last() string {
	list, _ := wrapconn.Connections(p.name(), 0)
	if len(list) != 1 {
		p.Fatalf("%d connections", len(list))
	}
	return said(list[0].History, cause.StreamOpen, false)
}

// still describes the last answer on a connection, which is tried again.
func (p *peer) still(c *sql.Conn) string {
	p.Helper()
	var history []wrapconn.HistoryEntry
	list, _ := wrapconn.Connections(p.name(), 0)
	for _, s := range list {
		history = s.History
	}
	_, err := c.ExecContext(p.ctx(), "DO 1")
	return said(history, cause.StreamOpen, err == nil)
}

// situation is one row of the table.
type situation struct {
	name    string
	options []string // of a server of its own; none: the shared one
	run     func(p *peer) string
}

var situations = []situation{
	{"too many connections", []string{"--max-connections=1"}, func(p *peer) string {
		db := p.pool("", nil)
		for range 20 { // MariaDB takes no less than 10
			c, err := db.Conn(p.ctx())
			if err != nil {
				return p.of(err)
			}
			defer c.Close()
		}
		return "no refusal"
	}},
	{"wait_timeout over, idle", nil, func(p *peer) string {
		c := kit.Pin(p.T, p.pool("", nil))
		kit.AwaitIdleEnd(p.T, p.server, c, "wait_timeout = 1")
		_, err := c.ExecContext(p.ctx(), "DO 1")
		return p.of(err)
	}},
	{"KILL, idle", nil, func(p *peer) string {
		c := kit.Pin(p.T, p.pool("", nil))
		kit.Kill(p.T, p.server, p.id(c))
		_, err := c.ExecContext(p.ctx(), "DO 1")
		return p.of(err)
	}},
	{"KILL, a statement runs", nil, func(p *peer) string {
		return p.of(kit.KillRunning(p.ctx(), p.T, p.server, p.pool("", nil)))
	}},
	{"KILL QUERY, a SLEEP runs", nil, func(p *peer) string {
		c := kit.Pin(p.T, p.pool("", nil))
		id := p.id(c)
		admin, _ := kit.Open(p.T, p.server.RootDSN(""), nil)
		done := make(chan struct{})
		time.AfterFunc(300*time.Millisecond, func() {
			defer close(done)
			kit.AwaitStatement(p.T, p.server, id)
			_, _ = admin.Exec(fmt.Sprintf("KILL QUERY %d", id))
		})
		p.read(c, "SELECT SLEEP(20)")
		<-done
		return p.still(c)
	}},
	{"a statement's time limit", nil, func(p *peer) string {
		c := kit.Pin(p.T, p.pool("", nil))
		q := "SELECT /*+ MAX_EXECUTION_TIME(50) */ COUNT(*) FROM information_schema.columns a, information_schema.columns b, information_schema.columns c"
		if p.server.Kind == mysqltest.MariaDB {
			q = "SET STATEMENT max_statement_time = 0.05 FOR SELECT SLEEP(5)"
		}
		p.read(c, q)
		return p.still(c)
	}},
	{"SIGNAL with errno 4031", nil, func(p *peer) string {
		c := kit.Pin(p.T, p.pool("", nil))
		p.exec(c, "CREATE PROCEDURE peers_signal() SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 4031")
		defer p.exec(c, "DROP PROCEDURE peers_signal")
		_, err := c.ExecContext(p.ctx(), "CALL peers_signal()")
		kit.WantServerError(p.T, err, 4031)
		return p.still(c)
	}},
	{"PROXY header from an address that is not listed", nil, func(p *peer) string {
		return p.header("PROXY TCP4 10.1.2.3 10.1.2.4 4711 3306\r\n")
	}},
	{"a malformed PROXY header from one that is listed", []string{"--proxy-protocol-networks=127.0.0.0/8"}, func(p *peer) string {
		return p.header("PROXY TCP4 nonsense\r\n")
	}},
	{"a command of 1.2 MB, limit 1 MiB", []string{"--max-allowed-packet=1M"}, func(p *peer) string {
		// By a write that the reset has broken, the answer is lost in some runs.
		for range 20 {
			c := kit.Pin(p.T, p.pool("maxAllowedPacket=67108864", nil))
			id := kit.ID(p.T, c)
			_, err := c.ExecContext(p.ctx(), "DO LENGTH('"+strings.Repeat("x", 1_200_000)+"')")
			var me *mysql.MySQLError
			var pe *seqguard.ProtocolError
			if errors.As(err, &pe) || !errors.As(err, &me) || me.Number != 1153 {
				continue
			}
			answer := p.last()
			kit.AwaitEnd(p.T, p.server, id)
			_, err = c.ExecContext(p.ctx(), "DO 1")
			return answer + ", " + p.of(err)
		}
		return "never an answer"
	}},
	{"a command with number 5", nil, func(p *peer) string {
		c := kit.Pin(p.T, p.pool("", func(cfg *mysql.Config) {
			cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				return &numbering{c}, err
			}
		}))
		_, err := c.ExecContext(p.ctx(), "DO 4711")
		return p.of(err)
	}},
	{"login later than connect_timeout", []string{"--connect-timeout=2"}, func(p *peer) string {
		_, err := p.pool("", func(cfg *mysql.Config) { kit.Stall(cfg, 1, 2500*time.Millisecond) }).Conn(p.ctx())
		return p.of(err)
	}},
	{"the server is killed, a statement runs", []string{"--max-connections=50"}, func(p *peer) string {
		c := kit.Pin(p.T, p.pool("", nil))
		id, done := p.id(c), make(chan struct{})
		time.AfterFunc(300*time.Millisecond, func() {
			defer close(done)
			kit.AwaitStatement(p.T, p.server, id)
			p.server.Kill()
		})
		defer func() { <-done }()
		_, err := c.ExecContext(p.ctx(), kit.LongStatement)
		return p.of(err)
	}},
}

// header puts a PROXY header in front of a login.
func (p *peer) header(h string) string {
	p.Helper()
	_, err := p.pool("", func(cfg *mysql.Config) {
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			_, err = c.Write([]byte(h))
			kit.AwaitEnded(c.(*net.TCPConn)) // the refusal is there then: else whether it comes before the login is by chance
			return c, err
		}
	}).Conn(p.ctx())
	s, _, _ := strings.Cut(p.of(err), ", ") // how it ends is by chance: the login lies unread
	return s
}

func (p *peer) exec(c *sql.Conn, q string) {
	p.Helper()
	if _, err := c.ExecContext(p.ctx(), q); err != nil {
		p.Fatalf("%s: %v", q, err)
	}
}

func (p *peer) id(c *sql.Conn) (id int) {
	p.Helper()
	if err := c.QueryRowContext(p.ctx(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		p.Fatal(err)
	}
	return id
}

// read reads a result to its end, whatever that is.
func (p *peer) read(c *sql.Conn, q string) {
	rows, err := c.QueryContext(p.ctx(), q)
	if err != nil {
		return
	}
	defer rows.Close()
	for rows.Next() {
	}
}

// TestPeers produces the cells of the page.
func TestPeers(t *testing.T) {
	table := cells(t)
	var jobs []func() // one a server, beside each other: most of it is waiting
	for i, name := range columns {
		jobs = append(jobs, func() {
			t.Run(name, func(t *testing.T) { testPeer(t, table, i) })
		})
	}
	kit.Beside(jobs)
}

// testPeer produces every situation on one server.
func testPeer(t *testing.T, table map[string][]string, i int) {
	name := columns[i]
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			row := table[s.name]
			if len(row) != len(columns) {
				t.Fatalf("docs/peers.md has no such row, or not %d cells in it: %q", len(columns), row)
			}
			if row[i] == "–" && len(s.options) > 0 {
				return // there is no such thing
			}
			p := &peer{T: t}
			if len(s.options) == 0 {
				p.server = mysqltest.Shared(t, name)
			} else {
				p.server = mysqltest.Start(t, name, s.options...)
			}
			if got := s.run(p); got != row[i] {
				t.Errorf("%s, %s: it said %q, the page has %q", name, s.name, got, row[i])
			}
		})
	}
}
