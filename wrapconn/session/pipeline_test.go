package session

import (
	"testing"
)

// Commands that were sent early wait for their turn, and get their answers.
func TestEarlyCommands(t *testing.T) {
	d := deprecated
	tr := d.loggedIn(t)
	r, _ := d.result(1, 1, 1, 0)
	r[len(r)-1].phase = PhaseCommand
	play(t, tr, query, command(ComPing, "", PhaseCommand).breaks(CommandDuringAnswer, 0), command(ComChangeUser, "", PhaseCommand).breaks(CommandDuringAnswer, 0))
	if tr.Pending() != 3 || !tr.Overrun() || tr.Early() != 2 || tr.Sent() != 3 {
		t.Errorf("%d pending, overrun %v by %d, %d sent", tr.Pending(), tr.Overrun(), tr.Early(), tr.Sent())
	}
	play(t, tr, r...)
	play(t, tr, server(1, okay(0), KindOK, PhaseAuth).done())
	if tr.Pending() != 1 {
		t.Errorf("%d pending, want 1", tr.Pending())
	}
	play(t, tr, server(1, okay(0), KindOK, PhaseReady).done())
	idle(t, tr)
	if !tr.Overrun() {
		t.Error("an overrun is not forgotten")
	}
	// One whose answer is not known: from here on nobody can tell which answer is whose.
	play(t, tr, query, command(ComSleep, "", PhaseUntracked).breaks(CommandDuringAnswer, 0))
	quiet := func(l line) line { l.kind, l.cmd = KindUnknown, 0; l.phase = PhaseUntracked; return l }
	play(t, tr, quiet(server(1, okay(0), 0, 0)), quiet(query))
	if tr.Pending() != 0 || tr.Lost() != 1 {
		t.Errorf("%d pending, lost %d times", tr.Pending(), tr.Lost())
	}
}

// 4.5: what has no answer changes nothing of what is to be read.
func TestFault4_05CloseWhileRowsCome(t *testing.T) {
	for _, d := range dialects {
		tr := d.loggedIn(t)
		c, seq := d.columns(1, 1)
		p, k := d.rowsEnd(0)
		play(t, tr, join(query, c,
			command(ComStmtClose, "\x01\x00\x00\x00", PhaseRows), server(seq, row, KindRow, PhaseRows),
			command(ComStmtSendLongData, "\x01\x00\x00\x00\x00\x00data", PhaseRows).long(maxLen), client(1, "more", KindContinuation, PhaseRows),
			server(seq+1, row, KindRow, PhaseRows), server(seq+2, p, k, PhaseReady).done())...)
		idle(t, tr)
		if tr.Overrun() || tr.Sent() != 3 {
			t.Errorf("overrun %v, %d sent", tr.Overrun(), tr.Sent())
		}
		play(t, tr, query, server(1, okay(0), KindOK, PhaseReady).done())
	}
}

func pipelining3(d dialect) []line {
	r, _ := d.result(1, 1, 2, 0)
	for i := range r {
		if r[i].phase == PhaseReady {
			r[i].phase = PhaseCommand
		}
	}
	return join(query, query, command(ComPing, "", PhaseCommand), r, r, server(1, okay(0), KindOK, PhaseReady).done())
}

// B1, B4: a client that says who it is may send ahead.
func TestPipeliningByName(t *testing.T) {
	for _, tt := range []struct {
		client string
		may    bool
	}{
		{"MariaDB connector/Node", true}, {"MariaDB Connector/J", true}, {"pymysql", false}, {"libmysql", false}, {"mysqlnd", false},
		{"Node-MySQL-2", false}, {"Go-MySQL-Driver", false}, {"", false},
	} {
		for _, d := range dialects {
			tr := d.loggedIn(t)
			tr.Client(tt.client, "mysql_native_password")
			lines := pipelining3(d)
			if !tt.may {
				lines[1], lines[2] = lines[1].breaks(CommandDuringAnswer, 0), lines[2].breaks(CommandDuringAnswer, 0)
			}
			play(t, tr, lines...)
			idle(t, tr)
			if early := tr.Early(); (early == 0) != tt.may || early != 0 && early != 2 {
				t.Errorf("%q, %s: %d early", tt.client, d.name, early)
			}
		}
	}
}

// B4: Connector/J sends 100 commands in a row, Connector/Node without a bound.
func TestLongPipeline(t *testing.T) {
	for _, n := range []int{2, 9, 100, 5000} {
		tr := classic.loggedIn(t)
		tr.Pipelining(true)
		for range n {
			play(t, tr, command(ComPing, "", PhaseCommand))
		}
		if tr.Pending() != n {
			t.Errorf("%d pending, want %d", tr.Pending(), n)
		}
		for i := range n {
			after := PhaseCommand
			if i == n-1 {
				after = PhaseReady
			}
			play(t, tr, server(1, okay(0), KindOK, after).done())
		}
		idle(t, tr)
	}
	// One that always has some on their way: what has been answered is not kept.
	tr := classic.loggedIn(t)
	tr.Pipelining(true)
	play(t, tr, query)
	for range 100_000 {
		play(t, tr, command(ComPing, "", PhaseCommand), server(1, okay(0), KindOK, PhaseCommand).done())
	}
	if c := cap(tr.queue); c > 64 {
		t.Errorf("room for %d commands, with one on its way", c)
	}
	// More than memory is spent on.
	tr = classic.loggedIn(t)
	tr.Pipelining(true)
	play(t, tr, query)
	for range maxPending {
		tr.Packet(Packet{Direction: FromClient, Length: 1, Prefix: []byte{byte(ComPing)}})
	}
	if tr.Pending() != maxPending+1 {
		t.Errorf("%d pending", tr.Pending())
	}
	play(t, tr, command(ComPing, "", PhaseUntracked).breaks(CommandDuringAnswer, 0))
}

// A long command that is sent ahead: its answer is numbered on from its end.
func TestLongCommandAhead(t *testing.T) {
	tr := classic.loggedIn(t)
	tr.Pipelining(true)
	play(t, tr, query, command(ComQuery, "INSERT", PhaseCommand).long(maxLen), client(1, "x", KindContinuation, PhaseCommand),
		server(1, okay(0), KindOK, PhaseCommand).done(), server(2, okay(0), KindOK, PhaseReady).done())
	idle(t, tr)
}

// B1, B3: EXECUTE with -1 in place of the id means the statement that is being
// prepared. Nobody else has such an id, so it needs no name.
func TestExecuteDirect(t *testing.T) {
	last := "\xff\xff\xff\xff\x00\x01\x00\x00\x00"
	for _, d := range dialects {
		prepare := prepares(d)[2].lines(d) // with columns
		answer := prepare[1:]
		answer[len(answer)-1].phase = PhaseCommand
		r, _ := d.binaryResult(1, 3, 1, 0)
		tr := d.loggedIn(t)
		play(t, tr, join(prepare[0], command(ComStmtExecute, last, PhaseCommand), answer, r, command(ComStmtClose, "\xff\xff\xff\xff", PhaseReady))...)
		idle(t, tr)
		// With a long value in between; and a failure: two ERRs, each numbered 1.
		play(t, tr, prepare[0], command(ComStmtSendLongData, "\xff\xff\xff\xff\x00\x00data", PhaseCommand), command(ComStmtBulkExecute, last, PhaseCommand),
			server(1, errPacket(1146), KindERR, PhaseCommand).done().err(1146), server(1, errPacket(1243), KindERR, PhaseReady).done().err(1243))
		idle(t, tr)
		if tr.Overrun() {
			t.Error("overrun")
		}
		// Behind anything else it is as early as any other.
		play(t, tr, query, command(ComStmtExecute, last, PhaseCommand).breaks(CommandDuringAnswer, 0),
			server(1, okay(0), KindOK, PhaseCommand).done(), server(1, okay(0), KindOK, PhaseReady).done())
		play(t, tr, prepare[0], command(ComStmtExecute, "\x01\x00\x00\x00\x00\x01\x00\x00\x00", PhaseCommand).breaks(CommandDuringAnswer, 0))
	}
}

// B9: two coroutines on one connection, and the client goes on being off by two.
func TestOffByN(t *testing.T) {
	tr := deprecated.loggedIn(t)
	early := query.breaks(CommandDuringAnswer, 0)
	play(t, tr, query, early, early)
	for i := range 3 {
		after := PhaseCommand
		if i == 2 {
			after = PhaseReady
		}
		play(t, tr, server(1, okay(0), KindOK, after).done())
	}
	play(t, tr, query, server(1, okay(0), KindOK, PhaseReady).done())
	if tr.Early() != 2 || !tr.Overrun() {
		t.Errorf("off by %d", tr.Early())
	}
}
