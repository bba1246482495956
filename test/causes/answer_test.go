package causes_test

import (
	"bytes"
	"database/sql"
	"io"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// bigResult is one that fills every buffer on the way and does not compress: more than 40 MB.
const bigResult = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 210) SELECT RANDOM_BYTES(1000) FROM n a, n b"

// slowReader reads a row, is busy for a while, and goes on.
func (r *causeRun) slowReader(db *sql.DB, query string, busy time.Duration) error {
	c := kit.Pin(r.T, db)
	id := 0
	if r.server != nil {
		r.must(c, "SET SESSION net_write_timeout = 1")
		id = kit.ID(r.T, c)
	}
	rows, err := c.QueryContext(r.ctx(), query)
	if err == nil && rows.Next() {
		time.Sleep(busy) // the fault
		if r.server != nil {
			kit.AwaitEnd(r.T, r.server, id) // a busy one needs longer to fill the buffers
		}
	}
	return toEnd(rows, err)
}

// rowsOf writes a result of one column whose rows are given, and whose second row has a number that is off by skip.
func rowsOf(skip int, rows ...string) mysqltest.Step {
	return mysqltest.Do("rowsOf", func(s *mysqltest.Session) error {
		_ = s.WritePacket(mysqltest.Next, []byte{1})
		_ = s.WritePacket(mysqltest.Next, mysqltest.ColumnPayload(mysqltest.Column{Name: "v"}))
		for i, row := range rows {
			seq := mysqltest.Next
			if i == 1 && skip > 0 {
				seq = int(s.Seq) + 1 + skip
				if c, ok := s.Conn.(*kit.CompressedConn); ok {
					seq, c.Skip = mysqltest.Next, byte(skip)
				}
			}
			if err := s.WritePacket(seq, mysqltest.TextRowPayload(row)); err != nil {
				return err
			}
		}
		return s.WritePacket(mysqltest.Next, mysqltest.ResultEndPayload(mysqltest.StatusAutocommit, 0))
	})
}

// answerCases are about an answer that breaks off, does not come, or breaks the protocol.
var answerCases = []causeCase{
	{slug: "peer_misnumbers_results", by: byRelay, on: onBoth, modes: []causeMode{plain},
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"number 9 where", "COM_QUERY", "past it"},
		run: func(r *causeRun) error {
			second := mysqltest.Once(func(p mysqltest.RelayPacket) bool {
				return p.From == mysqltest.FromServer && !p.Raw && bytes.Contains(p.Bytes, []byte("second"))
			}, mysqltest.Action{Renum: true, Seq: 9})
			return toEnd(r.relayed("", second).QueryContext(r.ctx(), "SELECT LOWER('FIRST') UNION ALL SELECT LOWER('SECOND')"))
		}},
	{slug: "peer_misnumbers_results", by: byScript, modes: []causeMode{plain, secure},
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"number 7 where 4 was due", "COM_QUERY"},
		run: func(r *causeRun) error {
			return toEnd(r.serve("", mysqltest.ExpectPacket(), rowsOf(3, "first", "second")).QueryContext(r.ctx(), "SELECT 1"))
		}},
	{slug: "peer_misnumbers_results", name: "3.16 one counter for the whole connection", by: byScript, modes: []causeMode{plain, secure},
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"counts on from the exchange before"},
		run: func(r *causeRun) error {
			return toEnd(r.serve("", mysqltest.ExpectPacket(), mysqltest.Do("counted on", func(s *mysqltest.Session) error {
				s.Seq = byte(r.due(3))                                                            // the command's, as such a peer counts it
				_ = s.WriteResultSet(mysqltest.Next, []mysqltest.Column{{Name: "one"}}, []any{1}) // the client may have left behind the first packet
				return nil
			})).QueryContext(r.ctx(), "SELECT 1"))
		}},
	{slug: "peer_misnumbers_results", name: "3.23 an ERR numbered 1 behind rows", by: byScript, modes: []causeMode{plain, secure},
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"number 1 where 8 was due", "1317"},
		run: func(r *causeRun) error {
			rows := mysqltest.Do("rows", func(s *mysqltest.Session) error {
				b := mysqltest.Packet(1, []byte{1})
				b = append(b, mysqltest.Packet(2, mysqltest.ColumnPayload(mysqltest.Column{Name: "v"}))...)
				for i := range 5 {
					b = append(b, mysqltest.Packet(byte(3+i), mysqltest.TextRowPayload("row"))...)
				}
				return s.WriteRaw(append(b, mysqltest.Packet(1, mysqltest.ERRPayload(1317, "70100", "Query execution was interrupted"))...))
			})
			result, err := r.serve("", mysqltest.ExpectPacket(), rows).QueryContext(r.ctx(), "SELECT 1")
			if err != nil {
				r.Fatalf("the rows had come: %v", err)
			}
			defer result.Close()
			n := 0
			for result.Next() {
				n++
			}
			if n != 5 {
				r.Errorf("%d rows, want 5 as with the plain driver", n)
			}
			kit.WantServerError(r.T, result.Err(), 1317)
			return result.Err()
		}},
	{slug: "peer_misnumbers_results", name: "3.24 an ERR numbered 1 behind the column count", by: byScript, modes: []causeMode{plain, secure},
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"number 1 where 2 was due", "1317"},
		run: func(r *causeRun) error {
			_, err := r.serve("", mysqltest.ExpectPacket(), mysqltest.SendPacket(mysqltest.Next, []byte{1}),
				mysqltest.SendERR(1, 1317, "70100", "Query execution was interrupted")).QueryContext(r.ctx(), "SELECT 1")
			if err == io.EOF {
				r.Errorf("a bare %v", err)
			}
			return err
		}},
	{slug: "not_prepared", name: "3.14", by: byRelay, on: onBoth, modes: []causeMode{plain, compressed},
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"an OK of 7 bytes", "no prepared form", "interpolateParams"},
		run: func(r *causeRun) error {
			ok := mysqltest.Packet(1, okPayload)
			if r.mode == compressed {
				ok = kit.Frame(1, ok)
			}
			_, err := r.relayed("", onAnswer(answer(mysqltest.Action{Drop: true, After: ok}))).PrepareContext(r.ctx(), marker)
			return err
		}},
	{slug: "not_prepared", name: "3.14", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"an OK of 7 bytes", "no prepared form"},
		run: func(r *causeRun) error {
			_, err := r.serve("", mysqltest.ExpectPacket(), mysqltest.SendOK(mysqltest.Next)).PrepareContext(r.ctx(), "DO ?")
			return err
		}},
	// The driver does not check the outer numbers, and the answer is right.
	{slug: "peer_misnumbers_results", name: "frames", by: byScript, modes: []causeMode{compressed}, bare: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"number 7 where 4 was due", "COM_QUERY"},
		run: func(r *causeRun) error {
			return toEnd(r.serve("", mysqltest.ExpectPacket(), rowsOf(3, "first", "second")).QueryContext(r.ctx(), "SELECT 1"))
		}},
	{slug: "malformed_packet", by: byRelay, on: onBoth, modes: []causeMode{plain, compressed},
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"contradicts its first byte", "understands the agreed capabilities"},
		run: func(r *causeRun) error {
			short := mysqltest.Packet(1, []byte{0})
			if r.mode == compressed {
				short = kit.Frame(1, short)
			}
			return r.exec(r.relayed("", onAnswer(answer(mysqltest.Action{Drop: true, After: short}))), marker)
		}},
	{slug: "malformed_packet", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"contradicts its first byte"},
		run: func(r *causeRun) error {
			return r.exec(r.serve("", mysqltest.ExpectPacket(), mysqltest.SendPacket(mysqltest.Next, []byte{0})), "DO 1")
		}},
	{slug: "peer_unresponsive", by: byServer, on: onBoth, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"COM_QUERY", "readTimeout", "PROCESSLIST"},
		run: func(r *causeRun) error { return r.exec(r.direct("readTimeout=2500ms", nil), "DO SLEEP(8)") }},
	{slug: "peer_unresponsive", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"COM_QUERY", "readTimeout"},
		run: func(r *causeRun) error {
			return r.exec(r.serve("readTimeout=4s", mysqltest.ExpectPacket()), "DO 1")
		}},
	{slug: "closed_before_answer", name: "killed under a command", by: byServer, on: onBoth, modes: everyMode, alone: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"COM_QUERY was sent whole", "cannot be known", "error log"},
		run: func(r *causeRun) error { return r.crash(1) }},
	{slug: "closed_before_answer", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"COM_QUERY was sent whole", "cannot be known"},
		run: func(r *causeRun) error {
			return r.exec(r.serve("", mysqltest.ExpectPacket(), mysqltest.Close()), "DO 1")
		}},
	{slug: "slow_reader", by: byServer, on: onBoth, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"paused for ", "net_write_timeout", "rows.Next()|too few CPUs"},
		run: func(r *causeRun) error { return r.slowReader(r.direct("", nil), bigResult, 5*time.Second) }},
	{slug: "slow_reader", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"paused for ", "net_write_timeout"},
		run: func(r *causeRun) error {
			cut := mysqltest.Do("half a row", func(s *mysqltest.Session) error {
				_ = s.WritePacket(mysqltest.Next, []byte{1})
				_ = s.WritePacket(mysqltest.Next, mysqltest.ColumnPayload(mysqltest.Column{Name: "v"}))
				_ = s.WritePacket(mysqltest.Next, mysqltest.TextRowPayload("first"))
				row := mysqltest.Packet(s.Seq+1, mysqltest.TextRowPayload(strings.Repeat("x", 200_000)))
				return s.WriteRaw(row[:100_000])
			})
			return r.slowReader(r.serve("", mysqltest.ExpectPacket(), cut, mysqltest.Close()), "SELECT 1", 1500*time.Millisecond)
		}},
	{slug: "connection_lost_mid_answer", by: byRelay, on: onBoth, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"broke off", "COM_QUERY", "discard it"},
		run: func(r *causeRun) error {
			return toEnd(r.relayed("", mysqltest.AtByte(mysqltest.FromServer, 50_000, mysqltest.Cut)).QueryContext(r.ctx(), bigResult))
		}},
	{slug: "connection_lost_mid_answer", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"broke off", "discard it"},
		run: func(r *causeRun) error {
			return toEnd(r.serve("", mysqltest.ExpectPacket(), mysqltest.SendPacket(mysqltest.Next, []byte{1}), mysqltest.Close()).QueryContext(r.ctx(), "SELECT 1"))
		}},
}
