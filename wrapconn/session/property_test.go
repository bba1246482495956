package session

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// dice makes choices from the bytes of a fuzzer; behind their end all are 0.
type dice []byte

func (d *dice) roll(n int) int {
	if len(*d) == 0 {
		return 0
	}
	v := int((*d)[0])
	*d = (*d)[1:]
	return v % n
}

// packet makes a packet that is, often, near to what is legal: the tracker
// gives up on random ones at once, and little of it would be seen.
func (d *dice) packet(tr *Tracker) Packet {
	p := Packet{Direction: Direction(d.roll(2)), Seq: tr.Expected()}
	if p.Direction == FromClient && tr.Phase() == PhaseReady {
		p.Seq = 0
	}
	switch d.roll(10) {
	case 8:
		p.Seq = uint8(d.roll(256))
	case 9:
		p.Seq = 0
	}
	known := serverPayloads
	if p.Direction == FromClient {
		known = clientPayloads
	}
	if i := d.roll(len(known) + 1); i < len(known) {
		p.Prefix = []byte(known[i])
	} else {
		n := d.roll(40) // which takes a byte
		p.Prefix = []byte(*d)[:min(len(*d), n)]
	}
	p.Length = uint32(len(p.Prefix))
	if d.roll(16) == 15 {
		p.Length = maxLen
	}
	return p
}

var serverPayloads = []string{
	"", okay(0), okay(8), okay(0x40), eof(0), eof(8), eof(0x40), errPacket(1064), errPacket(4031), errPacket(0xffff), row, column,
	"\x01", "\x02\x00", "\xfbfile", "\xfe", "\xff", "\x00", "\x00\x01\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00", "\x01\x03",
	"\xfex\x00salt", d0greeting, mariaBoth.greeting(),
}

var clientPayloads = []string{
	"", "\x03q", "\x16q", "\x17q", "\x18d", "\x19\x01", "\x1a", "\x1c", "\x11u", "\x04t", "\x09", "\x0e", "\x1f", "\x01", "\x12", "\x20", "\x06", "\x17\xff\xff\xff\xff", "\x17\x01\x00\x00\x00\x01", "\xef12345678file", "\x00",
	login(baseCaps, 0, false), login(baseCaps|clientDeprecateEOF, 0, false), login(baseCaps, 0, true),
}

// Whatever passes: no panic, a phase that exists, a number of answers that can
// be outstanding, and a closed conversation that stays closed.
func anything(t *testing.T, b []byte) {
	d := dice(b)
	tr := &Tracker{}
	if i := d.roll(len(dialects) + 1); i < len(dialects) {
		tr = dialects[i].loggedIn(t)
	}
	if d.roll(6) == 5 {
		tr.Lenient()
	}
	tr.Pipelining(d.roll(3) == 2)
	for len(d) > 0 {
		before, lost, sent := tr.Phase(), tr.Lost(), tr.Sent()
		p := d.packet(tr)
		sameByBothWays(t, tr, p)
		ev := tr.Packet(p)
		switch after := tr.Phase(); {
		case after > PhaseOpaque:
			t.Fatalf("%+v: phase %d", p, after)
		case tr.Pending() < 0 || tr.Pending() > len(b):
			t.Fatalf("%+v: %d pending", p, tr.Pending())
		case after == PhaseReady && tr.Pending() > 0:
			t.Fatalf("%+v: ready, with %d pending", p, tr.Pending())
		case before == PhaseClosed && (after != PhaseClosed || ev.Violation != None):
			t.Fatalf("%+v: closed, then %s, %s", p, after, ev.Violation)
		case after == PhaseUntracked && before == PhaseUntracked && (ev.Violation != None || ev.Done):
			t.Fatalf("%+v: untracked, and yet %+v", p, ev)
		case tr.Lost() < lost || tr.Lost() > lost+1 || tr.Sent() < sent || tr.Sent() > sent+1:
			t.Fatalf("%+v: lost %d → %d, sent %d → %d", p, lost, tr.Lost(), sent, tr.Sent())
		case ev.Kind >= numKinds || ev.Violation > Truncated:
			t.Fatalf("%+v: %+v", p, ev)
		}
		if tr.Phase() == PhaseRows && !tr.Continued(FromServer) {
			if n := d.roll(256); n > 128 {
				tr.Rows(n, tr.Expected()+uint8(n-1))
			}
		}
	}
	tr.EndOfStream(d.roll(2) == 0)
	if tr.Phase() != PhaseClosed || tr.Pending() > len(b) {
		t.Fatalf("at the end %s, %d pending", tr.Phase(), tr.Pending())
	}
}

func FuzzAnything(f *testing.F) {
	f.Add([]byte("\x00\x00\x01\x00\x01\x00"))
	f.Fuzz(anything)
}

func TestAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 400)
	for range 4000 {
		n := r.IntN(len(b))
		for i := range n {
			b[i] = byte(r.IntN(256))
		}
		anything(t, b[:n])
	}
}

// Any legal exchanges in any order are legal.
func TestExchangesInAnyOrder(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := dialects[r.IntN(len(dialects))]
		all := append(exchanges[:len(exchanges):len(exchanges)], prepares(d)...)
		tr := d.loggedIn(t)
		var names []string
		for range 20 {
			x := all[r.IntN(len(all))]
			names = append(names, x.name)
			play(t, tr, x.lines(d)...)
			if tr.Phase() != PhaseReady || tr.Pending() != 0 || tr.Lost() != 0 || tr.Overrun() {
				t.Fatalf("after %s: %s", strings.Join(names, ", "), tr.Phase())
			}
		}
	}
}

// A packet that is legal in its place is not legal with another number: the
// tracker says so, and says which one was due.
func TestWrongNumberIsSeen(t *testing.T) {
	for _, d := range dialects {
		for _, x := range append(exchanges[:len(exchanges):len(exchanges)], prepares(d)...) {
			lines := x.lines(d)
			for i := range lines {
				if lines[i].kind == KindCommand && i > 0 {
					continue // with another number it is not a command
				}
				tr := d.loggedIn(t)
				play(t, tr, lines[:i]...)
				l := lines[i]
				p := Packet{Direction: l.dir, Seq: l.seq + 3, Length: uint32(max(len(l.payload), l.length)), Prefix: []byte(l.payload)}
				ev := tr.Packet(p)
				if (ev.Violation != SequenceMismatch && ev.Violation != MisnumberedError) || ev.Expected != l.seq {
					t.Errorf("%s, %s, packet %d (%s): %s, %d was due and not %d", d.name, x.name, i, l.kind, ev.Violation, ev.Expected, l.seq)
				}
			}
		}
	}
}
