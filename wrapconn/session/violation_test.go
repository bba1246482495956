package session

import (
	"testing"
)

// Every violation, with the id that was due and where it leaves the
// conversation.
func TestViolations(t *testing.T) {
	d := classic
	columns, rows := d.columns(1, 1) // rows: the id of the first row
	prepare := join(command(ComStmtPrepare, "SELECT ?", PhaseCommand),
		server(1, "\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", KindPrepareOK, PhasePrepare), server(2, column, KindParameter, PhasePrepare))
	file := join(query, server(1, "\xfbfile", KindLocalInfile, PhaseLocalInfile))
	multi := join(query, server(1, okay(statusMoreResultsExists), KindOK, PhaseMoreResults))

	for _, tt := range []struct {
		name  string
		lines []line
	}{
		{"sequence mismatch, first packet of the answer", join(query, server(2, okay(0), KindOK, PhaseReady).done().breaks(SequenceMismatch, 1))},
		{"sequence mismatch, column count", join(query, server(0, d.head(1), KindColumnCount, PhaseColumns).breaks(SequenceMismatch, 1))},
		{"sequence mismatch, a column", join(query, columns[0], server(1, column, KindColumn, PhaseColumns).breaks(SequenceMismatch, 2))},
		{"sequence mismatch, a row, and the count goes on from it", join(query, columns, server(rows+1, row, KindRow, PhaseRows).breaks(SequenceMismatch, uint8(rows)),
			server(rows+2, row, KindRow, PhaseRows), server(rows+1, row, KindRow, PhaseRows).breaks(SequenceMismatch, uint8(rows+3)))},
		{"sequence mismatch, the end of the rows", join(query, columns, server(rows+1, eof(0), KindEOF, PhaseReady).done().breaks(SequenceMismatch, uint8(rows)))},
		{"sequence mismatch, a parameter", join(prepare[:2], server(3, column, KindParameter, PhasePrepare).breaks(SequenceMismatch, 2))},
		{"sequence mismatch, the second result", join(multi, server(1, okay(0), KindOK, PhaseReady).done().breaks(SequenceMismatch, 2))},
		{"sequence mismatch, the file", join(file, client(1, "data", KindInfileData, PhaseLocalInfile).breaks(SequenceMismatch, 2))},
		{"sequence mismatch, the end of the file", join(file, client(3, "", KindInfileEnd, PhaseCommand).breaks(SequenceMismatch, 2))},
		{"sequence mismatch, a command", []line{func() line { l := query; l.seq = 1; return l.breaks(SequenceMismatch, 0) }()}},
		{"sequence mismatch, COM_STATISTICS", []line{command(ComStatistics, "", PhaseCommand), server(0, "Uptime", KindText, PhaseReady).done().breaks(SequenceMismatch, 1)}},
		{"sequence mismatch, COM_CHANGE_USER", []line{command(ComChangeUser, "", PhaseAuth),
			server(1, "\xfex\x00", KindAuthSwitch, PhaseAuth), client(3, "", KindAuthResponse, PhaseAuth).breaks(SequenceMismatch, 2),
			server(5, "\x01\x03", KindAuthMoreData, PhaseAuth).breaks(SequenceMismatch, 4), server(7, okay(0), KindOK, PhaseReady).done().breaks(SequenceMismatch, 6)}},

		{"misnumbered ERR to a command", join(query, server(2, errPacket(1064), KindERR, PhaseReady).done().breaks(MisnumberedError, 1).err(1064))},
		{"misnumbered ERR among rows", join(query, columns, server(rows+1, errPacket(1317), KindERR, PhaseReady).done().breaks(MisnumberedError, uint8(rows)).err(1317))},
		{"misnumbered ERR to a long command", []line{command(ComQuery, "", PhaseCommand).long(maxLen), client(1, "", KindContinuation, PhaseCommand),
			server(1, errPacket(1153), KindERR, PhaseReady).done().breaks(MisnumberedError, 2).err(1153)}},
		{"farewell, which has the number of a first packet", join(query, server(0, errPacket(1053), KindERR, PhaseClosed).breaks(MisnumberedError, 1).err(1053))},
		{"farewell while the user is changed", []line{command(ComChangeUser, "", PhaseAuth), server(0, errPacket(1053), KindERR, PhaseClosed).breaks(MisnumberedError, 1).err(1053)}},
		{"3.6: an answer that has the farewell's number", join(query, server(1, errPacket(4031), KindERR, PhaseReady).done().err(4031))},
		{"farewell for idleness with another number", join(query, server(3, errPacket(4031), KindERR, PhaseClosed).breaks(MisnumberedError, 1).err(4031))},

		{"unsolicited OK", []line{server(0, okay(0), KindOK, PhaseReady).breaks(Unsolicited, 0)}},
		{"unsolicited OK behind an answer", join(query, server(1, okay(0), KindOK, PhaseReady).done(), server(2, okay(0), KindOK, PhaseReady).breaks(Unsolicited, 0))},
		{"unsolicited EOF", []line{server(1, eof(0), KindEOF, PhaseReady).breaks(Unsolicited, 0)}},
		{"unsolicited row", []line{server(5, row, KindUnknown, PhaseReady).breaks(Unsolicited, 0)}},
		{"unsolicited ERR", []line{server(0, errPacket(4031), KindERR, PhaseClosed).breaks(Unsolicited, 0).err(4031)}},

		{"command before the answer", join(query, command(ComQuery, "x", PhaseCommand).breaks(CommandDuringAnswer, 0))},
		{"command among rows", join(query, columns, command(ComPing, "", PhaseRows).breaks(CommandDuringAnswer, 0))},
		{"command among columns", join(query, columns[0], command(ComPing, "", PhaseColumns).breaks(CommandDuringAnswer, 0))},
		{"command before the next result", join(multi, command(ComPing, "", PhaseMoreResults).breaks(CommandDuringAnswer, 0))},
		{"command among definitions", join(prepare, command(ComPing, "", PhasePrepare).breaks(CommandDuringAnswer, 0))},
		{"client packet of another number among rows", join(query, columns, client(3, "data", KindUnknown, PhaseRows).breaks(CommandDuringAnswer, 0))},
		{"empty client packet among rows", join(query, columns, client(0, "", KindUnknown, PhaseRows).breaks(CommandDuringAnswer, 0))},

		// More of these are made anew for each run by test/grammar, which holds them against go-sql-driver: some end it, so none is kept.
		{"malformed: an empty answer", join(query, server(1, "", KindUnknown, PhaseUntracked).breaks(Malformed, 1))},
		{"malformed: an empty command", []line{client(0, "", KindCommand, PhaseUntracked).breaks(Malformed, 0)}},

		{"unexpected: columns for a ping", join(command(ComPing, "", PhaseCommand), server(1, "\x01", KindUnknown, PhaseUntracked).breaks(UnexpectedKind, 1))},
		{"unexpected: columns for COM_STMT_PREPARE", join(prepare[0], server(1, "\x01", KindUnknown, PhaseUntracked).breaks(UnexpectedKind, 1))},
		{"unexpected: an OK for COM_STMT_PREPARE", join(prepare[0], server(1, okay(0), KindOK, PhaseUntracked).breaks(UnexpectedKind, 1))},
		{"unexpected: EOF for a query", join(query, server(1, eof(0), KindEOF, PhaseUntracked).breaks(UnexpectedKind, 1))},
		{"unexpected: EOF for a query, out of turn", join(query, server(7, eof(0), KindEOF, PhaseUntracked).breaks(SequenceMismatch, 1))},
		{"unexpected: a row in place of the EOF behind the columns", join(query, columns[:2], server(3, row, KindUnknown, PhaseUntracked).breaks(UnexpectedKind, 3))},
		{"unexpected: one parameter too many", join(prepare, server(3, column, KindUnknown, PhaseUntracked).breaks(UnexpectedKind, 3))},
		{"unexpected: OK in the middle of the file", join(file, server(2, okay(0), KindOK, PhaseLocalInfile).breaks(UnexpectedKind, 2))},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, d.loggedIn(t), tt.lines...) })
	}
}

func TestViolationsOfTheLogin(t *testing.T) {
	d := classic
	greeting := server(0, d.greeting(), KindGreeting, PhaseLogin)
	out := client(1, login(d.caps, 0, false), KindLogin, PhaseAuth)
	ssl := client(1, login(d.caps, 0, true), KindSSLRequest, PhaseTLS)
	for _, tt := range []struct {
		name  string
		lines []line
	}{
		{"refused, numbered 0", []line{server(0, errPacket(1040), KindERR, PhaseClosed).breaks(Refused, 0).err(1040)}},
		{"refused, numbered 1", []line{server(1, errPacket(1129), KindERR, PhaseClosed).breaks(Refused, 0).err(1129)}},
		{"greeting", []line{server(1, d.greeting(), KindGreeting, PhaseLogin).breaks(SequenceMismatch, 0)}},
		{"login", []line{greeting, client(0, login(d.caps, 0, false), KindLogin, PhaseAuth).breaks(SequenceMismatch, 1)}},
		{"SSLRequest", []line{greeting, client(2, login(d.caps, 0, true), KindSSLRequest, PhaseTLS).breaks(SequenceMismatch, 1)}},
		{"login inside TLS", []line{greeting, ssl, client(1, login(d.caps, 0, false), KindLogin, PhaseAuth).breaks(SequenceMismatch, 2)}},
		{"OK", []line{greeting, out, server(1, okay(0), KindOK, PhaseReady).done().breaks(SequenceMismatch, 2)}},
		{"ERR 1159, the login came too late", []line{greeting, out, server(1, errPacket(1159), KindERR, PhaseClosed).done().breaks(MisnumberedError, 2).err(1159)}},
		{"ERR before the login, in turn", []line{greeting, server(1, errPacket(1159), KindERR, PhaseClosed).done().breaks(Unsolicited, 1).err(1159)}},
		{"ERR before the login, out of turn", []line{greeting, server(0, errPacket(1159), KindERR, PhaseClosed).done().breaks(MisnumberedError, 1).err(1159)}},
		{"ERR in place of TLS", []line{greeting, ssl, server(2, errPacket(1043), KindERR, PhaseClosed).done().breaks(Unsolicited, 2).err(1043)}},
		{"OK before the login", []line{greeting, server(1, okay(0), KindOK, PhaseLogin).breaks(Unsolicited, 1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tr Tracker
			play(t, &tr, tt.lines...)
		})
	}
}

// MariaDB has an error of its own with the number of MySQL's farewell.
func TestFarewellCodeOnMariaDB(t *testing.T) {
	tr := maria.loggedIn(t)
	play(t, tr, query, server(1, errPacket(4031), KindERR, PhaseReady).done().err(4031))
	idle(t, tr)
	play(t, tr, query, server(0, errPacket(1927), KindERR, PhaseClosed).breaks(MisnumberedError, 1).err(1927))
}

func TestTruncated(t *testing.T) {
	d := classic
	c, _ := d.columns(1, 1)
	for _, tt := range []struct {
		name         string
		lines        []line
		whole, split Violation // by whether the last byte ended a packet
	}{
		{"ready", nil, None, Truncated},
		{"command", []line{query}, Truncated, Truncated},
		{"columns", join(query, c[0]), Truncated, Truncated},
		{"rows", join(query, c), Truncated, Truncated},
		{"prepare", join(command(ComStmtPrepare, "", PhaseCommand), server(1, "\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", KindPrepareOK, PhasePrepare)), Truncated, Truncated},
		{"local infile", join(query, server(1, "\xfbfile", KindLocalInfile, PhaseLocalInfile)), Truncated, Truncated},
		{"more results", join(query, server(1, okay(statusMoreResultsExists), KindOK, PhaseMoreResults)), Truncated, Truncated},
		{"change user", []line{command(ComChangeUser, "", PhaseAuth)}, Truncated, Truncated},
		{"quit", []line{command(ComQuit, "", PhaseQuit)}, None, None},
		{"farewell", join(query, server(0, errPacket(1053), KindERR, PhaseClosed).breaks(MisnumberedError, 1).err(1053)), None, None},
		{"untracked", []line{command(ComSleep, "", PhaseUntracked)}, None, Truncated},
		{"a dump whose thread is killed", []line{command(ComBinlogDump, "", PhaseCommand), server(1, "\x00event", KindEvent, PhaseEvents)}, Truncated, Truncated},
	} {
		for inside, want := range map[bool]Violation{false: tt.whole, true: tt.split} {
			tr := d.loggedIn(t)
			play(t, tr, tt.lines...)
			if v := tr.EndOfStream(inside); v != want || tr.Phase() != PhaseClosed {
				t.Errorf("%s, inside a packet %v: %s, then %s", tt.name, inside, v, tr.Phase())
			}
			if v := tr.EndOfStream(inside); v != None {
				t.Errorf("%s: the second end is %s", tt.name, v)
			}
		}
	}
	var tr Tracker
	if v := tr.EndOfStream(false); v != Truncated {
		t.Errorf("the end before the greeting is %s", v)
	}
	// Where packets are not seen, nothing is known of where one ends.
	tr = Tracker{}
	tr.Opaque()
	if v := tr.EndOfStream(true); v != None {
		t.Errorf("the end of an opaque stream is %s", v)
	}
}
