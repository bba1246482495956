package session

import (
	"reflect"
	"testing"
)

// sameByBothWays checks that Usual, if it takes p, does what Packet does, and that it leaves the tracker alone if it does not.
func sameByBothWays(tb testing.TB, t *Tracker, p Packet) {
	tb.Helper()
	short, long := *t, *t
	k, done := short.Usual(p.Direction, p.Seq, p.Length, p.Prefix)
	if k != KindUnknown {
		want := Event{Kind: k, Done: done}
		switch p.Direction {
		case FromServer:
			want.Expected = p.Seq
		case FromClient:
			want.Command = Command(p.Prefix[0])
		}
		if ev := long.Packet(p); ev != want {
			tb.Fatalf("%s: %+v: %+v, by the long way %+v", t.phase, p, want, ev)
		}
	}
	if !reflect.DeepEqual(short, long) {
		tb.Fatalf("%s: %+v, a %s, leaves\n%+v\nwant\n%+v", t.phase, p, k, short, long)
	}
}

// The short way takes what it is for.
func TestUsualTakesResults(t *testing.T) {
	for _, d := range dialects {
		tr := d.loggedIn(t)
		takes := func(dir Direction, seq uint8, payload string, want Kind, after Phase) {
			t.Helper()
			k, done := tr.Usual(dir, seq, uint32(len(payload)), []byte(payload)[:min(len(payload), 32)])
			if k != want || tr.Phase() != after || done != (after == PhaseReady) {
				t.Errorf("%s: id %d of %d bytes is taken for a %s, then %s; want %s, then %s", d.name, seq, len(payload), k, tr.Phase(), want, after)
			}
		}
		takes(FromClient, 0, "\x0e", KindCommand, PhaseCommand)
		takes(FromServer, 1, okay(0), KindOK, PhaseReady)
		takes(FromClient, 0, "\x03q", KindCommand, PhaseCommand)
		if d.ext&extendedCacheMetadata != 0 { // the definitions may be left out: the long way
			takes(FromServer, 1, "\x02", KindUnknown, PhaseCommand)
			continue
		}
		takes(FromServer, 1, "\x02", KindColumnCount, PhaseColumns)
		takes(FromServer, 2, column, KindColumn, PhaseColumns)
		seq := uint8(4)
		if d.caps&clientDeprecateEOF != 0 {
			takes(FromServer, 3, column, KindColumn, PhaseRows)
		} else {
			takes(FromServer, 3, column, KindColumn, PhaseColumns)
			takes(FromServer, 4, eof(0), KindEOF, PhaseRows)
			seq = 5
		}
		takes(FromServer, seq, row, KindRow, PhaseRows)
		if d.caps&clientDeprecateEOF != 0 {
			takes(FromServer, seq+1, "\xfe"+okay(0)[1:], KindOK, PhaseReady)
		} else {
			takes(FromServer, seq+1, eof(0), KindEOF, PhaseReady)
		}
	}
}
