package grammar_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// guarded opens a guarded pool of one connection over a peer in memory.
func guarded(t *testing.T, on dialect, login [][]packet) (*sql.Conn, *peer, *kit.Collector) {
	t.Helper()
	if login == nil {
		login = on.login()
	}
	p := &peer{segments: login, asked: true, witness: newWitness()}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.MaxAllowedPacket, cfg.Logger = "u", "memory", "peer", 1<<20, &mysql.NopLogger{}
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) { return p, nil }
	reports := &kit.Collector{}
	connector, err := seqguard.NewConnector(cfg, seqguard.WithOnReport(reports.Add))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, p, reports
}

// says makes the answer to the next command.
func (p *peer) says(on dialect, f func(s *script)) {
	s := script{dialect: on, seq: 1}
	f(&s)
	p.segments = append(p.segments, s.out)
}

func textRows(values ...string) (rows [][]byte) {
	for _, v := range values {
		rows = append(rows, mysqltest.AppendLenEncString(nil, v))
	}
	return rows
}

// all reads every row of every result.
func all(rows *sql.Rows, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var out []string
	for {
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return "", err
			}
			out = append(out, s)
		}
		if !rows.NextResultSet() {
			return strings.Join(out, " "), rows.Err()
		}
		out = append(out, "|")
	}
}

func each(t *testing.T, test func(t *testing.T, on dialect)) {
	for _, on := range dialects {
		if !on.compressed {
			t.Run(on.name, func(t *testing.T) { test(t, on) })
		}
	}
}

// 4.1, and number 2 of the reports: a procedure with a cursor of its own leaves
// CURSOR_EXISTS in the packet behind the columns.
func TestFault4_01CursorOfAProcedure(t *testing.T) {
	each(t, func(t *testing.T, on dialect) {
		const cursor = 0x42
		c, p, reports := guarded(t, on, nil)
		p.says(on, func(s *script) {
			s.result(columnsOf(1, 0), true, textRows("a", "b"), cursor, cursor|8)
			s.result(columnsOf(1, 0), true, textRows("c"), cursor, cursor|8)
			s.say(okay(2))
		})
		if got, err := all(c.QueryContext(t.Context(), "CALL p()")); err != nil || got != "a b | c" {
			t.Errorf("%q, %v", got, err)
		}
		p.says(on, func(s *script) { s.prepared(prepareOK(0, 1), 0, 1) })
		p.says(on, func(s *script) {
			s.result(columnsOf(1, 0), true, [][]byte{binaryRow("a"), binaryRow("b")}, cursor, cursor|8)
			s.say(okay(2))
		})
		if got, err := all(c.QueryContext(t.Context(), "CALL p(?)", 1)); err != nil || got != "a b" {
			t.Errorf("%q, %v", got, err)
		}
		reports.None(t)
	})
}

// The same on real servers, without DEPRECATE_EOF.
func TestFault4_01OnServers(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		for _, eof := range []bool{false, true} {
			t.Run(fmt.Sprintf("EOF=%v", eof), func(t *testing.T) {
				db, reports := kit.Open(t, server.DSN(""), func(cfg *mysql.Config) {
					cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
						c, err := new(net.Dialer).DialContext(ctx, network, addr)
						if eof {
							c = &classicConn{Conn: c}
						}
						return c, err
					}
				})
				for _, q := range []string{
					"DROP PROCEDURE IF EXISTS with_cursor",
					`CREATE PROCEDURE with_cursor(n INT) BEGIN
						DECLARE x INT; DECLARE c CURSOR FOR SELECT 1;
						OPEN c; FETCH c INTO x; CLOSE c;
						SELECT 'a' UNION SELECT 'b'; OPEN c; SELECT 'c';
					END`,
				} {
					if _, err := db.Exec(q); err != nil {
						t.Fatal(err)
					}
				}
				for range 3 {
					if got, err := all(db.Query("CALL with_cursor(1)")); err != nil || got != "a b | c" {
						t.Errorf("%q, %v", got, err)
					}
					if got, err := all(db.Query("CALL with_cursor(?)", 1)); err != nil || got != "a b | c" {
						t.Errorf("prepared: %q, %v", got, err)
					}
				}
				reports.None(t)
			})
		}
	})
}

// classicConn takes CLIENT_DEPRECATE_EOF out of the greeting.
type classicConn struct {
	net.Conn
	read bool
}

func (c *classicConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.read && n > 5 {
		c.read = true
		version := strings.IndexByte(string(b[5:n]), 0)
		b[5+version+1+4+8+1+2+1+2+1] &^= 1
	}
	return n, err
}

// 4.2, and number 7 of the reports: the end of rows may carry text, of any length.
func TestFault4_02EndOfRowsWithText(t *testing.T) {
	each(t, func(t *testing.T, on dialect) {
		for _, text := range []int{0, 2, 4, 9, 20, 250, 251, 300, 4000} {
			c, p, reports := guarded(t, on, nil)
			for range 2 {
				p.says(on, func(s *script) {
					s.result(columnsOf(1, 0), true, textRows("a", "b"), 2, 2)
					last := &s.out[len(s.out)-1]
					if text > 0 {
						last.payload = mysqltest.AppendLenEncString(last.payload, strings.Repeat("x", text))
					}
				})
				if got, err := all(c.QueryContext(t.Context(), "SELECT")); err != nil || got != "a b" {
					t.Fatalf("%d bytes: %q, %v", text, got, err)
				}
			}
			reports.None(t)
		}
	})
}

// 4.3: a version may be long.
func TestFault4_03LongVersion(t *testing.T) {
	for _, n := range []int{400, 521, 600, 3000} {
		on := dialects[1]
		login := on.login()
		login[0][0].payload = mysqltest.GreetingPayload(mysqltest.GreetingOptions{Version: strings.Repeat("9", n), Capabilities: on.caps})
		c, p, reports := guarded(t, on, login)
		p.says(on, func(s *script) { s.result(columnsOf(1, 0), true, textRows("a"), 2, 2) })
		if got, err := all(c.QueryContext(t.Context(), "SELECT")); err != nil || got != "a" {
			t.Errorf("%d bytes: %q, %v", n, got, err)
		}
		reports.None(t)
	}
}

// 4.6, and numbers 6 and 26 of the reports: what is and what is not the answer to
// a PREPARE.
func TestFault4_06AnswersToPrepare(t *testing.T) {
	each(t, func(t *testing.T, on dialect) {
		for _, n := range []int{9, 10, 11, 12, 13} {
			c, p, reports := guarded(t, on, nil)
			p.says(on, func(s *script) { s.prepared(append(prepareOK(0, 1), 0)[:n], 0, 1) })
			if _, err := c.PrepareContext(t.Context(), "DO ?"); err != nil {
				t.Errorf("%d bytes: %v", n, err)
			}
			reports.None(t)
		}
		for _, ok := range [][]byte{
			okay(2), append(okay(2), "\x05words"...), append(okay(2), "\x12affected 5 rows"...),
			append(okay(0x4002), "\x00\x0f\x00\x0d\x0aautocommit\x02ON"...),
		} {
			c, p, reports := guarded(t, on, nil)
			p.says(on, func(s *script) { s.say(ok) })
			_, err := c.PrepareContext(t.Context(), "DO ?")
			var pe *seqguard.ProtocolError
			if !errors.As(err, &pe) {
				t.Errorf("% x: %v", ok, err)
				continue
			}
			if slug := reports.Only(t).Cause.Slug; slug != "not_prepared" {
				t.Errorf("% x: %s", ok, slug)
			}
		}
	})
}

// Number 27 of the reports: a packet too many behind the answer to a PREPARE.
func TestPacketBehindPrepare(t *testing.T) {
	each(t, func(t *testing.T, on dialect) {
		for _, extra := range [][]byte{okay(2), mysqltest.EOFPayload(0, 2)} {
			for _, by := range []byte{0, 255} { // numbered on, or as the one before
				c, p, reports := guarded(t, on, nil)
				p.says(on, func(s *script) {
					s.prepared(prepareOK(1, 1), 1, 1)
					s.seq += by
					s.say(extra)
				})
				if _, err := c.PrepareContext(t.Context(), "SELECT ?"); err == nil {
					t.Error("no error")
				}
				if r := reports.Only(t); r.Cause.Slug != "unsolicited_packet" {
					t.Errorf("%s", r)
				}
			}
		}
	})
}

// 4.9: a value that is longer than its row ends the rows, as go-sql-driver reads
// them, without an error.
func TestFault4_09RowsThatTheDriverDoesNotRead(t *testing.T) {
	each(t, func(t *testing.T, on dialect) {
		long := [][]byte{[]byte("\x01a"), []byte("\x05b"), []byte("\x01c")}
		answer := func(s *script) { s.result(columnsOf(1, 0), true, long, 2, 2) }
		for _, tt := range []struct {
			name string
			says func(s *script)
		}{
			{"one result", answer},
			{"the last of two", func(s *script) {
				s.result(columnsOf(1, 0), true, textRows("x", "y"), 2, 2|8)
				answer(s)
			}},
			{"in front of an OK", func(s *script) {
				s.result(columnsOf(1, 0), true, long, 2, 2|8)
				s.say(okay(2))
			}},
		} {
			c, p, reports := guarded(t, on, nil)
			p.says(on, tt.says)
			got, err := all(c.QueryContext(t.Context(), "SELECT"))
			var pe *seqguard.ProtocolError
			if !errors.As(err, &pe) || pe.Report.Cause.Slug != "malformed_packet" || !strings.Contains(pe.Report.Cause.Explanation, "longer than its row") {
				t.Errorf("%s: %q, %v", tt.name, got, err)
			}
			if r := reports.Only(t); r.Evidence.RowsSent <= r.Evidence.RowsRead {
				t.Errorf("%s: %d rows sent, %d read", tt.name, r.Evidence.RowsSent, r.Evidence.RowsRead)
			}
			// The connection is in order.
			p.says(on, func(s *script) { s.result(columnsOf(1, 0), true, textRows("a"), 2, 2) })
			if got, err := all(c.QueryContext(t.Context(), "SELECT")); err != nil || got != "a" {
				t.Errorf("%s: %q, %v", tt.name, got, err)
			}
		}
		// Rows that nobody wanted are not missed.
		c, p, reports := guarded(t, on, nil)
		p.says(on, func(s *script) {
			s.result(columnsOf(1, 0), true, textRows("a", "b", "c"), 2, 2|8)
			s.result(columnsOf(1, 0), true, textRows("d"), 2, 2)
		})
		rows, err := c.QueryContext(t.Context(), "SELECT")
		if err != nil {
			t.Fatal(err)
		}
		if !rows.Next() || !rows.NextResultSet() || !rows.Next() || rows.Next() || rows.Err() != nil {
			t.Errorf("%v", rows.Err())
		}
		reports.None(t)
	})
}

// 4.10: an EOF behind the columns, where both sides had agreed on none, is the end
// of an empty result to the driver; the report of what follows says so.
func TestFault4_10EOFWhereOKWasAgreedOn(t *testing.T) {
	on := dialects[1]
	c, p, reports := guarded(t, on, nil)
	p.says(dialects[0], func(s *script) { s.result(columnsOf(1, 0), true, textRows("a"), 2, 2) })
	if got, err := all(c.QueryContext(t.Context(), "SELECT")); err == nil {
		t.Errorf("%q without an error", got)
	}
	if r := reports.Only(t); r.Cause.Slug != "unsolicited_packet" || !strings.Contains(r.Cause.Explanation, "CLIENT_DEPRECATE_EOF") {
		t.Errorf("%s", r)
	}
}
