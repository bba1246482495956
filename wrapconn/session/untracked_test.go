package session

import (
	"testing"
)

// What is outside the grammar is not followed until the next command, and
// nothing is said of it meanwhile.
func TestUntracked(t *testing.T) {
	d := deprecated
	silent := func(l line) line { l.kind, l.phase, l.code = KindUnknown, PhaseUntracked, 0; return l }
	for _, c := range []Command{ComSleep, 0x0b, 0x21, 0xfb, 0xff} {
		t.Run(c.String(), func(t *testing.T) {
			tr := d.loggedIn(t)
			play(t, tr, command(c, "x", PhaseUntracked))
			if tr.Lost() != 1 || tr.Pending() != 0 {
				t.Errorf("lost %d times, %d pending", tr.Lost(), tr.Pending())
			}
			play(t, tr,
				silent(client(0, "\x03", 0, 0)), // the client goes on speaking: no command of its own
				silent(server(9, "\x00", 0, 0)), silent(server(0, errPacket(1064), 0, 0)),
				silent(client(4, "\x03", 0, 0)), // not the number of a command
				silent(server(1, "x", 0, 0)),
				silent(client(4, "\x03", 0, 0).long(maxLen)),
				silent(client(0, "\x03", 0, 0)), // continues it
				silent(server(1, "x", 0, 0)),
				silent(client(0, "", 0, 0)), // empty: no command
				silent(server(1, "x", 0, 0)),
				query)
			r, _ := d.result(1, 1, 1, 0)
			play(t, tr, r...)
			if tr.Phase() != PhaseReady || tr.Lost() != 1 {
				t.Errorf("then %s, lost %d times", tr.Phase(), tr.Lost())
			}
		})
	}
}

// After COM_QUIT the client has nothing to say.
func TestPacketBehindQuit(t *testing.T) {
	tr := deprecated.loggedIn(t)
	play(t, tr, command(ComQuit, "", PhaseQuit), client(0, "\x03", KindUnknown, PhaseUntracked))
}

// A login of protocol 3.20, or one that only its server understands: the
// dialect that follows is not known either, so it is never followed.
func TestForeignLogin(t *testing.T) {
	for _, payload := range []string{"\x85\xa6\x00\x00\x00user\x00", login(clientMySQL, 0, false), ""} {
		var tr Tracker
		play(t, &tr, server(0, d0greeting, KindGreeting, PhaseLogin), client(1, payload, KindUnknown, PhaseUntracked),
			server(2, okay(0), KindUnknown, PhaseUntracked), client(0, "\x03SELECT 1", KindUnknown, PhaseUntracked),
			server(1, "\xfe", KindUnknown, PhaseUntracked))
		if tr.Lost() != 1 {
			t.Errorf("lost %d times", tr.Lost())
		}
	}
}

func TestOpaque(t *testing.T) {
	tr := deprecated.loggedIn(t)
	tr.Opaque()
	play(t, tr, client(7, "\x00", KindUnknown, PhaseOpaque), server(3, errPacket(1064), KindUnknown, PhaseOpaque))
	tr.untrack()
	if tr.Lost() != 0 {
		t.Error("what is not seen cannot be lost")
	}
}
