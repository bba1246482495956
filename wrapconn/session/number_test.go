package session

import (
	"testing"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		expected, got uint8
		want          int
	}{
		{0, 0, 0}, {2, 1, 1}, {1, 2, -1}, {0, 255, 1}, {255, 0, -1}, {5, 250, 11}, {250, 5, -11}, {127, 0, 127}, {128, 0, -128}, {0, 128, -128}, {0, 127, -127},
	} {
		if got := Distance(tt.expected, tt.got); got != tt.want {
			t.Errorf("%d where %d was due: %d, want %d", tt.got, tt.expected, got, tt.want)
		}
	}
}

// Ids are bytes: behind 255 comes 0, and a packet with 0 among rows is neither a
// farewell nor a command.
func TestWrap(t *testing.T) {
	for _, d := range dialects {
		for _, rows := range []int{250, 251, 252, 253, 254, 255, 256, 600} {
			tr := d.loggedIn(t)
			play(t, tr, query)
			r, _ := d.result(1, 1, rows, 0)
			play(t, tr, r...)
			idle(t, tr)

			// ERR in place of the end, with whatever id is due: 0 too.
			play(t, tr, query)
			r[len(r)-1] = server(int(r[len(r)-1].seq), errPacket(1317), KindERR, PhaseReady).done().err(1317)
			play(t, tr, r...)
			idle(t, tr)
		}
	}
}

func TestWrapInFile(t *testing.T) {
	tr := classic.loggedIn(t)
	play(t, tr, query, server(1, "\xfbfile", KindLocalInfile, PhaseLocalInfile))
	for i := range 300 {
		play(t, tr, client(2+i, "\x03data", KindInfileData, PhaseLocalInfile))
	}
	play(t, tr, client(302, "", KindInfileEnd, PhaseCommand), server(303, okay(0), KindOK, PhaseReady).done())
	idle(t, tr)
}

// Rows is what wire reports of a run.
func TestRowsInBulk(t *testing.T) {
	tr := deprecated.loggedIn(t)
	c, seq := deprecated.columns(1, 1)
	play(t, tr, query)
	play(t, tr, c...)
	tr.Rows(255, uint8(seq+254))
	tr.Rows(1, uint8(seq+255))
	if tr.Phase() != PhaseRows || tr.Expected() != uint8(seq+256) {
		t.Fatalf("phase %s, %d is due", tr.Phase(), tr.Expected())
	}
	p, k := deprecated.rowsEnd(0)
	play(t, tr, server(seq+256, p, k, PhaseReady).done())
	idle(t, tr)
}

// A packet of maximal length is continued, and what continues it is no packet
// of its own, whatever it begins with.
func TestContinuation(t *testing.T) {
	tr := classic.loggedIn(t)
	play(t, tr,
		command(ComQuery, "INSERT", PhaseCommand).long(maxLen),
		client(1, "\x01", KindContinuation, PhaseCommand).long(maxLen), // COM_QUIT it is not
		client(2, "", KindContinuation, PhaseCommand),
		server(3, okay(0), KindOK, PhaseReady).done())
	idle(t, tr)

	// Each of them is counted.
	play(t, tr, command(ComQuery, "INSERT", PhaseCommand).long(maxLen), client(3, "x", KindContinuation, PhaseCommand).breaks(SequenceMismatch, 1))

	// A server that refuses the command does so while the client is sending it.
	for _, left := range []int{1, 3} {
		tr = classic.loggedIn(t)
		play(t, tr, command(ComQuery, "INSERT", PhaseCommand).long(maxLen), server(1, errPacket(1153), KindERR, PhaseReady).done().err(1153))
		for i := range left {
			l := client(1+i, "\x03x", KindContinuation, PhaseReady)
			if i < left-1 {
				l = l.long(maxLen)
			}
			play(t, tr, l)
		}
		idle(t, tr)
		play(t, tr, query, server(1, okay(0), KindOK, PhaseReady).done())
	}
}

// The server's ERR crosses what is left of the file.
func TestDraining(t *testing.T) {
	for _, sent := range []int{1, 3, 252, 253, 254, 255, 300} {
		tr := classic.loggedIn(t)
		play(t, tr, query, server(1, "\xfbfile", KindLocalInfile, PhaseLocalInfile))
		for i := range sent {
			play(t, tr, client(2+i, "\x03data", KindInfileData, PhaseLocalInfile))
		}
		l := server(sent+1, errPacket(1317), KindERR, PhaseReady).done().err(1317).breaks(MisnumberedError, uint8(sent+2))
		play(t, tr, l)
		for i := range 10 {
			play(t, tr, client(2+sent+i, "\x03data", KindInfileData, PhaseReady))
		}
		play(t, tr, client(12+sent, "", KindInfileEnd, PhaseReady))
		idle(t, tr)
		play(t, tr, query, server(1, okay(0), KindOK, PhaseReady).done())
		idle(t, tr)
	}
	// The server may also have taken what had been sent until then.
	tr := classic.loggedIn(t)
	play(t, tr, query, server(1, "\xfbfile", KindLocalInfile, PhaseLocalInfile), client(2, "data", KindInfileData, PhaseLocalInfile),
		server(3, errPacket(1317), KindERR, PhaseReady).done().err(1317),
		client(3, "data", KindInfileData, PhaseReady), client(4, "", KindInfileEnd, PhaseReady),
		query, server(1, okay(0), KindOK, PhaseReady).done())
	idle(t, tr)
	// A client that gives up on the file goes on with a command.
	tr = classic.loggedIn(t)
	play(t, tr, query, server(1, "\xfbfile", KindLocalInfile, PhaseLocalInfile), client(2, "data", KindInfileData, PhaseLocalInfile),
		server(3, errPacket(1317), KindERR, PhaseReady).done().err(1317), query, server(1, okay(0), KindOK, PhaseReady).done())
	idle(t, tr)
}

// MariaDB reports progress between a command and its answer, in packets that
// look like ERR: https://mariadb.com/kb/en/progress-reporting/
func TestProgress(t *testing.T) {
	progress := "\xff\xff\xff\x01\x01\x02\x10\x27\x00\x05stage"
	tr := mariaBoth.loggedIn(t)
	play(t, tr, query, server(1, progress, KindProgress, PhaseCommand), server(2, progress, KindProgress, PhaseCommand))
	if tr.Pending() != 1 {
		t.Errorf("%d pending", tr.Pending())
	}
	play(t, tr, server(3, okay(0), KindOK, PhaseReady).done())
	idle(t, tr)
	// Who has not asked for it gets an ERR.
	tr = maria.loggedIn(t)
	play(t, tr, query, server(1, progress, KindERR, PhaseReady).done().err(0xffff))
}
