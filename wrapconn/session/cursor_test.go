package session

import "testing"

// 4.1: the flag CURSOR_EXISTS behind the columns means that the rows stay with
// the server only if the client asked for a cursor. A procedure with a cursor of
// its own leaves it there.
func TestFault4_01CursorNobodyAskedFor(t *testing.T) {
	for _, d := range []dialect{classic, maria, mariaCache} {
		for _, c := range []line{
			command(ComQuery, "CALL p()", PhaseCommand), command(ComStmtExecute, "\x01\x00\x00\x00\x00\x01\x00\x00\x00", PhaseCommand),
		} {
			tr := d.loggedIn(t)
			first, seq := d.result(1, 2, 3, statusMoreResultsExists|statusCursorExists)
			second, seq := d.result(seq, 1, 1, statusMoreResultsExists)
			all := join(c, first, second, server(seq, okay(0), KindOK, PhaseReady).done())
			for i := range all {
				switch {
				case all[i].kind == KindEOF && all[i].phase == PhaseRows:
					all[i].payload = eof(statusCursorExists)
				case all[i].kind == KindRow && c.cmd == ComStmtExecute:
					all[i].payload = binaryRow
				}
			}
			play(t, tr, all...)
			idle(t, tr)
		}
	}
}

// B8: who asked for a cursor fetches, with other commands in between; and a
// server that could not open one sends the rows at once.
func TestCursorAskedFor(t *testing.T) {
	for _, d := range []dialect{classic, maria, mariaCache} {
		open := join(command(ComStmtExecute, "\x01\x00\x00\x00\x01\x01\x00\x00\x00", PhaseCommand), server(1, d.head(1), KindColumnCount, PhaseColumns),
			server(2, column, KindColumn, PhaseColumns), server(3, eof(statusCursorExists|0x22), KindEOF, PhaseReady).done())
		fetch := command(ComStmtFetch, "\x01\x00\x00\x00\x02\x00\x00\x00", PhaseCommand)
		p, k := d.rowsEnd(statusCursorExists)

		tr := d.loggedIn(t)
		play(t, tr, open...)
		idle(t, tr)
		play(t, tr, fetch, server(1, binaryRow, KindRow, PhaseRows), server(2, p, k, PhaseReady).done(),
			query, server(1, okay(0), KindOK, PhaseReady).done(), command(ComStmtClose, "\x09\x00\x00\x00", PhaseReady),
			fetch, server(1, binaryRow, KindRow, PhaseRows), server(2, p, k, PhaseReady).done())
		idle(t, tr)

		tr = d.loggedIn(t)
		play(t, tr, join(open, command(ComStmtClose, "\x09\x00\x00\x00", PhaseReady),
			server(4, binaryRow, KindRow, PhaseRows), server(5, binaryRow, KindRow, PhaseRows), server(6, eof(0), KindEOF, PhaseReady).done())...)
		idle(t, tr)
		play(t, tr, join(open, server(4, errPacket(1317), KindERR, PhaseReady).done().err(1317))...)
		idle(t, tr)

		// Rows that are not numbered on nobody asked for, nor rows behind the next command.
		play(t, tr, join(open, server(1, binaryRow, KindOK, PhaseReady).breaks(Unsolicited, 0))...)
		tr = d.loggedIn(t)
		play(t, tr, join(open, query, server(1, okay(0), KindOK, PhaseReady).done(), server(4, binaryRow, KindOK, PhaseReady).breaks(Unsolicited, 0))...)
	}
}
