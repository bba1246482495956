package session

import (
	"strings"
	"testing"
)

// exchange is one command and its answer, legal in every dialect.
type exchange struct {
	name  string
	lines func(d dialect) []line
}

func fixed(lines ...line) func(dialect) []line { return func(dialect) []line { return lines } }

// status is a command that is answered with OK or EOF.
func status(c Command) exchange {
	return exchange{c.String(), fixed(command(c, "", PhaseCommand), server(1, okay(0), KindOK, PhaseReady).done())}
}

var query = command(ComQuery, "SELECT 1", PhaseCommand)

var exchanges = []exchange{
	status(ComPing), status(ComInitDB), status(ComStmtReset), status(ComResetConnection), status(ComRefresh),
	status(ComProcessKill), status(ComCreateDB), status(ComDropDB), status(ComShutdown), status(ComRegisterReplica),
	{"COM_SET_OPTION and COM_DEBUG end with EOF, or with OK where that has replaced it", func(d dialect) []line {
		p, k := d.rowsEnd(0)
		return []line{
			command(ComSetOption, "\x00\x00", PhaseCommand), server(1, p, k, PhaseReady).done(),
			command(ComDebug, "", PhaseCommand), server(1, p, k, PhaseReady).done(),
		}
	}},
	{"COM_PING whose status flags are those of an earlier answer", fixed(
		command(ComPing, "", PhaseCommand), server(1, okay(statusMoreResultsExists), KindOK, PhaseReady).done())},
	{"ERR", fixed(query, server(1, errPacket(1064), KindERR, PhaseReady).done().err(1064))},
	{"ERR to a ping", fixed(command(ComPing, "", PhaseCommand), server(1, errPacket(1227), KindERR, PhaseReady).done().err(1227))},
	{"query, OK", fixed(query, server(1, okay(0), KindOK, PhaseReady).done())},
	{"query, rows", func(d dialect) []line {
		r, _ := d.result(1, 3, 2, 0)
		return join(query, r)
	}},
	{"query, no rows", func(d dialect) []line {
		r, _ := d.result(1, 1, 0, 0)
		return join(query, r)
	}},
	{"query, ERR among the columns", func(d dialect) []line {
		return join(query, server(1, d.head(2), KindColumnCount, PhaseColumns), server(2, column, KindColumn, PhaseColumns),
			server(3, errPacket(1317), KindERR, PhaseReady).done().err(1317))
	}},
	{"query, ERR among the rows", func(d dialect) []line {
		c, seq := d.columns(1, 1)
		return join(query, c, server(seq, row, KindRow, PhaseRows), server(seq+1, errPacket(1317), KindERR, PhaseReady).done().err(1317))
	}},
	{"query, more results of each kind", func(d dialect) []line {
		first, seq := d.result(1, 1, 2, statusMoreResultsExists)
		third, last := d.result(seq+1, 2, 1, statusMoreResultsExists)
		return join(query, first, server(seq, okay(statusMoreResultsExists), KindOK, PhaseMoreResults), third,
			server(last, okay(0), KindOK, PhaseReady).done())
	}},
	{"query, ERR in place of the second result", func(d dialect) []line {
		first, seq := d.result(1, 1, 2, statusMoreResultsExists)
		return join(query, first, server(seq, errPacket(1146), KindERR, PhaseReady).done().err(1146))
	}},
	{"rows that look like other packets", func(d dialect) []line {
		c, seq := d.columns(1, 1)
		nine := "\xfe" + strings.Repeat("\x00", 8)
		out := join(query, c,
			server(seq, "\x00", KindRow, PhaseRows),                       // an empty string: 0x00 is OK elsewhere
			server(seq+1, "\xfb", KindRow, PhaseRows),                     // NULL: a LOCAL INFILE request elsewhere
			server(seq+2, "\x01\xff", KindRow, PhaseRows),                 // ends like ERR begins
			server(seq+3, strings.Repeat("\x00", 11), KindRow, PhaseRows)) // a binary row
		seq += 4
		out = append(out,
			server(seq, nine, KindRow, PhaseRows).long(maxLen),
			server(seq+1, "\xfe", KindContinuation, PhaseRows),
			server(seq+2, nine, KindRow, PhaseRows).long(maxLen),
			server(seq+3, "\xff\x01\x04", KindContinuation, PhaseRows).long(maxLen),
			server(seq+4, "", KindContinuation, PhaseRows))
		p, k := d.rowsEnd(0)
		return append(out, server(seq+5, p, k, PhaseReady).done())
	}},
	{"the end of rows with session state behind it", func(d dialect) []line {
		c, seq := d.columns(1, 1)
		if d.eof() {
			return join(query, c, server(seq, eof(0), KindEOF, PhaseReady).done())
		}
		return join(query, c, server(seq, "\xfe\x00\x00\x02\x40\x00\x00", KindOK, PhaseReady).done().long(300))
	}},
	{"LOCAL INFILE", fixed(query, server(1, "\xfbfile", KindLocalInfile, PhaseLocalInfile),
		client(2, "data", KindInfileData, PhaseLocalInfile), client(3, "\x03data", KindInfileData, PhaseLocalInfile),
		client(4, "", KindInfileEnd, PhaseCommand), server(5, okay(0), KindOK, PhaseReady).done())},
	{"LOCAL INFILE of nothing", fixed(query, server(1, "\xfbfile", KindLocalInfile, PhaseLocalInfile),
		client(2, "", KindInfileEnd, PhaseCommand), server(3, okay(0), KindOK, PhaseReady).done())},
	{"LOCAL INFILE, refused at its end", fixed(query, server(1, "\xfbfile", KindLocalInfile, PhaseLocalInfile),
		client(2, "data", KindInfileData, PhaseLocalInfile), client(3, "", KindInfileEnd, PhaseCommand),
		server(4, errPacket(1062), KindERR, PhaseReady).done().err(1062))},
	{"LOCAL INFILE with a packet of 16 MiB", fixed(query, server(1, "\xfbfile", KindLocalInfile, PhaseLocalInfile),
		client(2, "data", KindInfileData, PhaseLocalInfile).long(maxLen), client(3, "", KindContinuation, PhaseLocalInfile),
		client(4, "", KindInfileEnd, PhaseCommand), server(5, okay(0), KindOK, PhaseReady).done())},
	{"LOCAL INFILE among other results", func(d dialect) []line {
		last, _ := d.result(5, 1, 1, 0)
		return join(query, server(1, okay(statusMoreResultsExists), KindOK, PhaseMoreResults),
			server(2, "\xfbfile", KindLocalInfile, PhaseLocalInfile), client(3, "", KindInfileEnd, PhaseCommand),
			server(4, okay(statusMoreResultsExists), KindOK, PhaseMoreResults), last)
	}},
	{"COM_PROCESS_INFO", func(d dialect) []line {
		r, _ := d.result(1, 8, 2, 0)
		return join(command(ComProcessInfo, "", PhaseCommand), r)
	}},
	{"COM_STMT_EXECUTE", func(d dialect) []line {
		r, _ := d.binaryResult(1, 1, 1, 0)
		return join(command(ComStmtExecute, "\x01\x00\x00\x00", PhaseCommand), r)
	}},
	{"COM_STMT_EXECUTE of a CALL", func(d dialect) []line {
		r, seq := d.binaryResult(1, 1, 1, statusMoreResultsExists)
		return join(command(ComStmtExecute, "\x01\x00\x00\x00", PhaseCommand), r, server(seq, okay(0), KindOK, PhaseReady).done())
	}},
	{"COM_STMT_EXECUTE of a CALL with OUT parameters", func(d dialect) []line {
		// As MySQL 9.7 and MariaDB 10.11 and 11.8 were seen to send it: that more follows is
		// said behind the row, and where there is an EOF behind the columns, by MySQL only there.
		r, seq := d.binaryResult(1, 1, 1, statusMoreResultsExists)
		outs, seq := d.binaryResult(seq, 1, 1, statusMoreResultsExists|statusOutParameters)
		for i := range outs {
			switch {
			case outs[i].kind != KindEOF:
			case outs[i].phase == PhaseRows:
				outs[i].payload = eof(statusMoreResultsExists | statusOutParameters)
			case !d.mariaDB:
				outs[i].payload = eof(0)
			}
		}
		return join(command(ComStmtExecute, "\x01\x00\x00\x00", PhaseCommand), r, outs, server(seq, okay(0), KindOK, PhaseReady).done())
	}},
	{"COM_STMT_BULK_EXECUTE", fixed(command(ComStmtBulkExecute, "\x01", PhaseCommand), server(1, okay(0), KindOK, PhaseReady).done())},
	{"a cursor and COM_STMT_FETCH", func(d dialect) []line {
		open := join(command(ComStmtExecute, "\x01\x00\x00\x00\x01", PhaseCommand), server(1, d.head(1), KindColumnCount, PhaseColumns))
		if d.eof() {
			open = append(open, server(2, column, KindColumn, PhaseColumns),
				server(3, eof(statusCursorExists), KindEOF, PhaseReady).done())
		} else {
			p, k := d.rowsEnd(statusCursorExists)
			open = append(open, server(2, column, KindColumn, PhaseRows), server(3, p, k, PhaseReady).done())
		}
		p, k := d.rowsEnd(statusCursorExists)
		return join(open,
			command(ComStmtFetch, "\x01\x00\x00\x00\x02\x00\x00\x00", PhaseCommand),
			server(1, "\x00\x00\x011", KindRow, PhaseRows), server(2, "\x00\x00\x012", KindRow, PhaseRows), server(3, p, k, PhaseReady).done(),
			command(ComStmtFetch, "\x01\x00\x00\x00\x02\x00\x00\x00", PhaseCommand), server(1, p, k, PhaseReady).done(),
			command(ComStmtFetch, "\x01\x00\x00\x00\x02\x00\x00\x00", PhaseCommand), server(1, errPacket(1421), KindERR, PhaseReady).done().err(1421))
	}},
	{"COM_STMT_SEND_LONG_DATA and COM_STMT_CLOSE have no answer", fixed(
		command(ComStmtSendLongData, "\x01\x00\x00\x00\x00\x00data", PhaseReady),
		command(ComStmtSendLongData, "\x01\x00\x00\x00\x00\x00data", PhaseReady),
		command(ComStmtClose, "\x01\x00\x00\x00", PhaseReady),
		query, server(1, okay(0), KindOK, PhaseReady).done())},
	{"COM_STMT_SEND_LONG_DATA of 32 MiB", fixed(
		command(ComStmtSendLongData, "\x01\x00\x00\x00\x00\x00data", PhaseReady).long(maxLen),
		client(1, "\x03", KindContinuation, PhaseReady).long(maxLen), client(2, "", KindContinuation, PhaseReady),
		command(ComStmtExecute, "\x01\x00\x00\x00", PhaseCommand), server(1, okay(0), KindOK, PhaseReady).done())},
	{"COM_FIELD_LIST", func(d dialect) []line {
		p, k := d.rowsEnd(0)
		return []line{command(ComFieldList, "t\x00", PhaseCommand), server(1, column, KindColumn, PhaseColumns),
			server(2, column, KindColumn, PhaseColumns), server(3, p, k, PhaseReady).done()}
	}},
	{"COM_FIELD_LIST of no table", fixed(command(ComFieldList, "t\x00", PhaseCommand), server(1, errPacket(1146), KindERR, PhaseReady).done().err(1146))},
	{"COM_STATISTICS", fixed(command(ComStatistics, "", PhaseCommand), server(1, "Uptime: 5  Threads: 1", KindText, PhaseReady).done())},
	{"COM_CHANGE_USER", fixed(command(ComChangeUser, "user\x00", PhaseAuth), server(1, okay(0), KindOK, PhaseReady).done())},
	{"COM_CHANGE_USER with an auth switch", fixed(command(ComChangeUser, "user\x00", PhaseAuth),
		server(1, "\xfecaching_sha2_password\x00salt", KindAuthSwitch, PhaseAuth), client(2, "scramble", KindAuthResponse, PhaseAuth),
		server(3, "\x01\x03", KindAuthMoreData, PhaseAuth), server(4, okay(0), KindOK, PhaseReady).done())},
	{"COM_CHANGE_USER refused", fixed(command(ComChangeUser, "user\x00", PhaseAuth), server(1, errPacket(1045), KindERR, PhaseReady).done().err(1045))},
}

func TestExchanges(t *testing.T) {
	for _, d := range dialects {
		for _, x := range append(exchanges, prepares(d)...) {
			t.Run(d.name+"/"+x.name, func(t *testing.T) {
				tr := d.loggedIn(t)
				play(t, tr, x.lines(d)...)
				idle(t, tr)
				// It leaves nothing behind: the next one is read as well.
				play(t, tr, query)
				if tr.Pending() != 1 {
					t.Errorf("%d pending, want 1", tr.Pending())
				}
				r, _ := d.result(1, 1, 1, 0)
				play(t, tr, r...)
				idle(t, tr)
			})
		}
	}
}

// prepares are COM_STMT_PREPARE with parameters and columns in all numbers.
func prepares(d dialect) []exchange {
	var out []exchange
	for _, n := range []struct {
		name            string
		params, columns int
	}{{"none", 0, 0}, {"parameters", 2, 0}, {"columns", 0, 3}, {"both", 1, 2}} {
		lines := []line{command(ComStmtPrepare, "SELECT ?", PhaseCommand)}
		head := "\x00\x01\x00\x00\x00" + string([]byte{byte(n.columns), 0, byte(n.params), 0, 0, 0, 0})
		lines = append(lines, server(1, head, KindPrepareOK, PhasePrepare))
		seq := 2
		for _, block := range []struct {
			n    int
			kind Kind
		}{{n.params, KindParameter}, {n.columns, KindColumn}} {
			for range block.n {
				lines = append(lines, server(seq, column, block.kind, PhasePrepare))
				seq++
			}
			if block.n > 0 && d.eof() {
				lines = append(lines, server(seq, eof(0), KindEOF, PhasePrepare))
				seq++
			}
		}
		last := len(lines) - 1
		lines[last].phase, lines[last].ends = PhaseReady, true
		out = append(out, exchange{"COM_STMT_PREPARE, " + n.name, func(dialect) []line { return lines }})
	}
	return append(out, exchange{"COM_STMT_PREPARE, ERR", fixed(command(ComStmtPrepare, "SELEC", PhaseCommand),
		server(1, errPacket(1064), KindERR, PhaseReady).done().err(1064))})
}

// MariaDB leaves the definitions of a statement's columns out if it has sent
// them before: a byte behind the count says so.
func TestCachedMetadata(t *testing.T) {
	for _, d := range []dialect{mariaCache, mariaBoth} {
		t.Run(d.name, func(t *testing.T) {
			tr := d.loggedIn(t)
			play(t, tr, command(ComStmtExecute, "\x01\x00\x00\x00", PhaseCommand))
			seq := 2
			if d.eof() {
				play(t, tr, server(1, "\x02\x00", KindColumnCount, PhaseColumns), server(2, eof(0), KindEOF, PhaseRows))
				seq++
			} else {
				play(t, tr, server(1, "\x02\x00", KindColumnCount, PhaseRows))
			}
			p, k := d.rowsEnd(0)
			play(t, tr, server(seq, binaryRow, KindRow, PhaseRows), server(seq+1, p, k, PhaseReady).done())
			idle(t, tr)
		})
	}
}

func TestQuit(t *testing.T) {
	quit := command(ComQuit, "", PhaseQuit)
	for _, tt := range []struct {
		name   string
		before []line
	}{
		{"idle", nil},
		{"before the answer", []line{query}},
		{"among rows", func() []line {
			c, seq := deprecated.columns(1, 1)
			return join(query, c, server(seq, row, KindRow, PhaseRows))
		}()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := deprecated.loggedIn(t)
			play(t, tr, tt.before...)
			play(t, tr, quit)
			// Some servers answer before they close.
			play(t, tr, server(1, okay(0), KindOK, PhaseQuit))
			if v := tr.EndOfStream(true); v != None || tr.Phase() != PhaseClosed {
				t.Errorf("the end of the stream is %s, then %s", v, tr.Phase())
			}
			if tr.Overrun() {
				t.Error("COM_QUIT counts as an overrun: hanging up is lawful at any time")
			}
		})
	}
}

// What a report asks of the tracker besides the phase.
func TestFacts(t *testing.T) {
	tr := classic.loggedIn(t)
	play(t, tr, query, server(1, okay(statusInTransaction), KindOK, PhaseReady).done())
	if !tr.InTransaction() || !tr.AnswerStarted() || tr.Command() != ComQuery || tr.Sent() != 1 {
		t.Errorf("in transaction %v, answer started %v, %s, %d sent", tr.InTransaction(), tr.AnswerStarted(), tr.Command(), tr.Sent())
	}
	play(t, tr, query)
	if tr.AnswerStarted() {
		t.Error("the answer has not started")
	}
	play(t, tr, server(1, errPacket(1146), KindERR, PhaseReady).done().err(1146))
	if code, failed := tr.AnswerFailed(); !failed || code != 1146 {
		t.Errorf("failed %v with %d", failed, code)
	}
	play(t, tr, query, server(1, "\xfbfile", KindLocalInfile, PhaseLocalInfile), client(2, "data", KindInfileData, PhaseLocalInfile).long(maxLen),
		client(3, "more", KindContinuation, PhaseLocalInfile), client(4, "", KindInfileEnd, PhaseCommand))
	if tr.Infile() != maxLen+4 {
		t.Errorf("%d bytes of the file, want %d", tr.Infile(), maxLen+4)
	}
	play(t, tr, server(5, okay(0), KindOK, PhaseReady).done())
	if _, failed := tr.AnswerFailed(); failed || tr.InTransaction() {
		t.Error("failed, or still in a transaction")
	}
	play(t, tr, command(ComChangeUser, "user\x00", PhaseAuth))
	if tr.Pending() != 1 || tr.AnswerStarted() {
		t.Errorf("COM_CHANGE_USER is out: %d pending, answer started %v", tr.Pending(), tr.AnswerStarted())
	}
	play(t, tr, server(1, "\xfemysql_native_password\x00twenty bytes of salt\x00", KindAuthSwitch, PhaseAuth))
	if !tr.AnswerStarted() || tr.AuthSwitch() != "mysql_native_password" {
		t.Errorf("answer started %v, switch to %q", tr.AnswerStarted(), tr.AuthSwitch())
	}
}
