package causes_test

import (
	"bytes"
	"context"
	"database/sql"
	"sync/atomic"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

const marker = "DO 4711"

// onAnswer is a rule about the server's first packet behind the command that is marker.
func onAnswer(a func(p mysqltest.RelayPacket) mysqltest.Action) mysqltest.Rule {
	var asked, done atomic.Bool
	return func(p mysqltest.RelayPacket) mysqltest.Action {
		switch {
		case p.From == mysqltest.FromClient && bytes.Contains(p.Bytes, []byte(marker)):
			asked.Store(true)
		case p.From == mysqltest.FromServer && asked.Load() && done.CompareAndSwap(false, true):
			return a(p)
		}
		return mysqltest.Action{}
	}
}

// answer does the same to every answer.
func answer(a mysqltest.Action) func(mysqltest.RelayPacket) mysqltest.Action {
	return func(mysqltest.RelayPacket) mysqltest.Action { return a }
}

// twice runs two commands on one connection, and what happens between them.
func (r *causeRun) twice(db *sql.DB, between func()) error {
	c := kit.Pin(r.T, db)
	if _, err := c.ExecContext(r.ctx(), marker); err != nil {
		return err
	}
	between()
	_, err := c.ExecContext(r.ctx(), "DO 1")
	return err
}

var okPayload = mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0)

// abandon makes the client send a command whose answer nobody reads, under an operation that is over before the next one begins.
func (r *causeRun) abandon() func(*wrapconn.Conn, []byte) {
	done := false
	return func(c *wrapconn.Conn, p []byte) {
		if done || !bytes.Contains(p, []byte(marker)) {
			return
		}
		done = true
		forgotten := mysqltest.Packet(0, []byte("\x03SELECT 1"))
		if r.mode == compressed {
			forgotten = kit.Frame(0, forgotten)
		}
		c.End(false) // of the connect
		for _, b := range [][]byte{forgotten, nil} {
			if _, err := c.Begin(context.Background(), wrapconn.OpQuery); err != nil {
				r.Error(err)
			}
			if b == nil {
				return // the driver's command comes next
			}
			if _, err := c.Write(b); err != nil {
				r.Error(err)
			}
			c.End(false)
		}
	}
}

// staleCases are about answers that may be another command's.
var staleCases = []causeCase{
	{slug: "stale_answer", by: byClient, on: onBoth, modes: []causeMode{plain, compressed}, bare: true,
		severity: cause.DataIntegrity, executed: cause.ExecutedNo, safe: true, says: []string{"COM_QUERY was to be written", "must not be used again"},
		run: func(r *causeRun) error { return r.exec(r.faulty(r.server.Addr, true, r.abandon()), marker) }},
	{slug: "stale_answer", by: byScript, modes: []causeMode{plain}, bare: true,
		severity: cause.DataIntegrity, executed: cause.ExecutedNo, safe: true, says: []string{"COM_QUERY was to be written"},
		run: func(r *causeRun) error {
			server := mysqltest.ServeEvery(r.T, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(mysqltest.AnswerOK))
			return r.exec(r.faulty(server.Addr, true, r.abandon()), marker)
		}},
	// In one piece with the answer: which of the two is the command's?
	{slug: "unsolicited_packet", by: byRelay, on: onBoth, modes: []causeMode{plain, compressed},
		severity: cause.DataIntegrity, executed: cause.ExecutedUnknown, safe: false, says: []string{"Behind the answer to COM_QUERY", "an OK of 7 bytes", "must not be trusted", "past the proxy"},
		run: func(r *causeRun) error {
			extra := mysqltest.Packet(1, okPayload)
			if r.mode == compressed {
				extra = kit.Frame(2, extra)
			}
			return r.twice(r.relayed("", onAnswer(func(p mysqltest.RelayPacket) mysqltest.Action {
				return mysqltest.Action{After: extra}
			})), func() {})
		}},
	{slug: "unsolicited_packet", by: byScript, modes: everyMode,
		severity: cause.DataIntegrity, executed: cause.ExecutedNo, safe: true, says: []string{"an OK of 7 bytes", "nobody had asked for"},
		run: func(r *causeRun) error {
			stray, happen := mysqltest.Later(mysqltest.SendOK(1))
			return r.twice(r.serve("", mysqltest.ExpectPacket(), mysqltest.SendOK(mysqltest.Next), stray), happen)
		}},
	{slug: "continued_after_error", name: "3.17", by: byScript, modes: []causeMode{plain, secure},
		severity: cause.DataIntegrity, executed: cause.ExecutedNo, safe: true, says: []string{"ERR 1064", "number 4, counted on from that ERR", "one at a time"},
		run: func(r *causeRun) error {
			third, happen := mysqltest.Later(mysqltest.SendResultSet(mysqltest.Next, []mysqltest.Column{{Name: "one"}}, []any{3}))
			db := r.serve("multiStatements=true", mysqltest.ExpectPacket(), mysqltest.SendOK(mysqltest.Next), mysqltest.ExpectPacket(),
				mysqltest.SendPacket(mysqltest.Next, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit|mysqltest.StatusMoreResults, 0)),
				mysqltest.SendPacket(mysqltest.Next, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit|mysqltest.StatusMoreResults, 0)),
				mysqltest.SendERR(mysqltest.Next, 1064, "42000", "You have an error in your SQL syntax"), third)
			c := kit.Pin(r.T, db)
			r.must(c, "DO 1")
			_, err := c.ExecContext(r.ctx(), "DO 1; SELEKT; SELECT 3")
			kit.WantServerError(r.T, err, 1064)
			happen()
			_, err = c.ExecContext(r.ctx(), "DO 2")
			return err
		}},
	{slug: "mismatched_answer", name: "its head is missing", by: byRelay, on: onBoth, modes: []causeMode{plain},
		severity: cause.DataIntegrity, executed: cause.ExecutedUnknown, safe: false, says: []string{"number 9", "begins with 1"},
		run: func(r *causeRun) error {
			return r.exec(r.relayed("", onAnswer(answer(mysqltest.Action{Renum: true, Seq: 9}))), marker)
		}},
	{slug: "mismatched_answer", name: "columns for a ping", by: byScript, modes: everyMode,
		severity: cause.DataIntegrity, executed: cause.ExecutedNo, safe: true, says: []string{"COM_PING", "cannot be an answer"},
		run: func(r *causeRun) error {
			db := r.serve("", mysqltest.ExpectPacket(), mysqltest.SendPacket(mysqltest.Next, []byte{1}))
			return kit.Pin(r.T, db).PingContext(r.ctx())
		}},
}
