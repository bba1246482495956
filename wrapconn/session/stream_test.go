package session

import "testing"

const (
	binlogEvent = "\x00\x66\x6f\x6f\x62"
	syncedEvent = "\x00\xef\x00\x66\x6f"
	wantsAck    = "\x00\xef\x01\x66\x6f"
	ack         = "\xef\x04\x00\x00\x00\x00\x00\x00\x00binlog.000001"
)

func acknowledge() line { return client(0, ack, KindAck, PhaseEvents) }

func event(seq int, payload string) line { return server(seq, payload, KindEvent, PhaseEvents) }

// B6: mysqlbinlog --read-from-remote-server, which does not wait at the end.
func TestDumpWithEnd(t *testing.T) {
	for _, d := range dialects {
		tr := d.loggedIn(t)
		play(t, tr, query, server(1, okay(0), KindOK, PhaseReady).done(), command(ComBinlogDump, "\x04\x00\x00\x00\x01\x00", PhaseCommand))
		for i := range 600 {
			play(t, tr, event(1+i, binlogEvent))
		}
		play(t, tr, server(601, eof(2), KindEOF, PhaseReady).done())
		idle(t, tr)
		// It closes without COM_QUIT; mariadb-binlog says it.
		if v := tr.EndOfStream(false); v != None {
			t.Errorf("%s", v)
		}
	}
}

// B6: a replica; events are counted on through heartbeats, past 255.
func TestReplica(t *testing.T) {
	for _, c := range []Command{ComBinlogDump, ComBinlogDumpGTID} {
		tr := deprecated.loggedIn(t)
		play(t, tr, command(ComRegisterReplica, "id", PhaseCommand), server(1, okay(0), KindOK, PhaseReady).done(), command(c, "", PhaseCommand))
		for i := range 700 {
			play(t, tr, event(1+i, binlogEvent))
		}
		play(t, tr, event(702, binlogEvent).breaks(SequenceMismatch, uint8(701&0xff)))
		if tr.Pending() != 1 || tr.Lost() != 0 {
			t.Errorf("%d pending, lost %d times", tr.Pending(), tr.Lost())
		}
		// A dump thread that is killed ends without a word.
		if v := tr.EndOfStream(false); v != Truncated {
			t.Errorf("the end of the stream is %q", v)
		}
	}
	tr := deprecated.loggedIn(t)
	play(t, tr, command(ComBinlogDump, "", PhaseCommand), server(1, errPacket(1236), KindERR, PhaseReady).done().err(1236))
	idle(t, tr)
	play(t, tr, command(ComBinlogDump, "", PhaseCommand), event(1, binlogEvent), server(2, errPacket(1236), KindERR, PhaseReady).done().err(1236))
	idle(t, tr)
	// A replica that stops closes the connection, or says COM_QUIT.
	play(t, tr, command(ComBinlogDump, "", PhaseCommand), event(1, binlogEvent))
	tr.EndOfClient()
	if v := tr.EndOfStream(true); v != None {
		t.Errorf("the end of the stream is %q", v)
	}
	tr = deprecated.loggedIn(t)
	play(t, tr, command(ComBinlogDump, "", PhaseCommand), event(1, binlogEvent), command(ComQuit, "", PhaseQuit))
}

// B6: behind each acknowledgement the events begin at 1 again.
func TestSemiSync(t *testing.T) {
	tr := deprecated.loggedIn(t)
	play(t, tr, command(ComBinlogDumpGTID, "", PhaseCommand), event(1, syncedEvent), event(2, syncedEvent), event(3, wantsAck))
	for range 34 {
		play(t, tr, acknowledge(), event(1, syncedEvent), event(2, wantsAck))
	}
	// What was on its way goes on in the old count.
	play(t, tr, acknowledge(), event(3, syncedEvent), event(4, syncedEvent), event(1, syncedEvent), event(2, wantsAck), acknowledge())
	play(t, tr, event(1, syncedEvent), event(5, syncedEvent).breaks(SequenceMismatch, 2))
	play(t, tr, server(1, errPacket(1236), KindERR, PhaseReady).done().err(1236))
	if tr.Lost() != 0 || tr.Overrun() {
		t.Errorf("lost %d times, overrun %v", tr.Lost(), tr.Overrun())
	}
	// Without one, they do not.
	play(t, tr, command(ComBinlogDumpGTID, "", PhaseCommand), event(1, syncedEvent), event(2, syncedEvent), event(1, syncedEvent).breaks(SequenceMismatch, 3))
	// Other commands are early there.
	play(t, tr, command(ComPing, "", PhaseEvents).breaks(CommandDuringAnswer, 0))
}

// B6: CLONE INSTANCE has a protocol of its own behind the OK, in which all
// packets are numbered 0.
func TestClone(t *testing.T) {
	said := func(payload string) line { return client(0, payload, KindClone, PhaseClone) }
	data := func(payload string) line { return server(0, payload, KindClone, PhaseClone) }
	for _, d := range dialects {
		tr := d.loggedIn(t)
		play(t, tr, command(ComClone, "", PhaseCommand), server(1, okay(0), KindOK, PhaseClone),
			said("\x01init"), data("\x01locators"), data("\x04data").long(1<<20), data("\x63"),
			said("\x05ack"), data("\x00"), data("\xfe\x00\x00\x02\x00"), said("\x06"),
			command(ComResetConnection, "", PhaseCommand), server(1, okay(0), KindOK, PhaseReady).done(), command(ComQuit, "", PhaseQuit))
		if tr.Lost() != 0 || tr.Overrun() {
			t.Errorf("lost %d times, overrun %v", tr.Lost(), tr.Overrun())
		}
		// The donor gives up.
		tr = d.loggedIn(t)
		play(t, tr, command(ComClone, "", PhaseCommand), server(1, errPacket(3862), KindERR, PhaseReady).done().err(3862))
		play(t, tr, command(ComClone, "", PhaseCommand), server(1, okay(0), KindOK, PhaseClone), said("\x02"),
			server(0, errPacket(1317), KindERR, PhaseReady).done().err(1317))
		idle(t, tr)
		play(t, tr, command(ComClone, "", PhaseCommand), server(1, okay(0), KindOK, PhaseClone), said("\x02"))
		if v := tr.EndOfStream(false); v != Truncated {
			t.Errorf("%s", v)
		}
	}
}

// 4.4: MySQL says 1158 to a client that left without COM_QUIT.
func TestFault4_04WordsToAClientThatLeft(t *testing.T) {
	tr := deprecated.loggedIn(t)
	play(t, tr, query, server(1, okay(0), KindOK, PhaseReady).done())
	tr.EndOfClient()
	play(t, tr, server(0, errPacket(1158), KindERR, PhaseClosed).err(1158))
	if v := tr.EndOfStream(false); v != None {
		t.Errorf("%s", v)
	}
	// While the client is there, it is a farewell.
	tr = deprecated.loggedIn(t)
	play(t, tr, server(0, errPacket(1158), KindERR, PhaseClosed).breaks(Unsolicited, 0).err(1158))
}
