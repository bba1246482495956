package conversation

import (
	"testing"
	"time"
	"unsafe"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

func rows(n uint32, first uint8, bytes uint32) entry {
	return entry{count: n, first: first, last: first + uint8(n-1), bytes: bytes, kind: session.KindRow}
}

func TestHistoryKeepsTheLast(t *testing.T) {
	var h history
	h.init(3)
	for i := range 5 {
		h.add(entry{at: time.Duration(i), first: uint8(i), last: uint8(i), count: 1, kind: session.KindOK})
		out, dropped := h.excerpt(time.Unix(0, 0)).Packets()
		if want := max(0, i-2); int(dropped) != want || len(out) != i+1-want || out[len(out)-1].First != uint8(i) {
			t.Errorf("after %d: %d forgotten, %d there, the last is %+v", i+1, dropped, len(out), out[len(out)-1])
		}
	}
	out, _ := h.excerpt(time.Unix(0, 0)).Packets()
	for i, e := range out {
		if e.First != uint8(i+2) || !e.Time.Equal(time.Unix(0, int64(i+2))) {
			t.Errorf("%d: %+v", i, e)
		}
	}
}

// Rows are one entry, however they came.
func TestHistoryRuns(t *testing.T) {
	var h history
	h.init(8)
	h.add(rows(1, 3, 10))
	h.add(rows(300, 4, 3000))
	h.add(rows(1, 48, 10))
	out, _ := h.excerpt(time.Time{}).Packets()
	if len(out) != 1 || out[0].Count != 302 || out[0].First != 3 || out[0].Last != 48 || out[0].Bytes != 3020 {
		t.Fatalf("%+v", out)
	}
	if out[0].Label() != "rows × 302" || out[0].IDs() != "3…48" {
		t.Errorf("%s, %s", out[0].Label(), out[0].IDs())
	}
	// Not a row that another number or a violation sets apart, nor what is behind it.
	gap := rows(1, 60, 1)
	gap.violation = session.SequenceMismatch
	h.add(gap)
	h.add(rows(1, 61, 1))
	h.add(rows(1, 63, 1))
	if out, _ = h.excerpt(time.Time{}).Packets(); len(out) != 4 {
		t.Errorf("%+v", out)
	}
	// Bytes stop at the most that the field holds.
	h.add(rows(1, 64, 1<<32-1))
	h.add(rows(1, 65, 1<<31))
	if out, _ = h.excerpt(time.Time{}).Packets(); out[3].Count != 3 || out[3].Bytes != 1<<32-1 {
		t.Errorf("%+v", out[3])
	}
	// The first and the last place of the ring are neighbours.
	h = history{}
	h.init(2)
	for i := range 5 {
		h.add(entry{kind: session.KindOK, count: 1})
		h.add(rows(2, uint8(i), 1))
		h.add(rows(1, uint8(i+2), 1))
	}
	if out, dropped := h.excerpt(time.Time{}).Packets(); len(out) != 2 || dropped != 8 || out[1].Count != 3 {
		t.Errorf("%d forgotten, %+v", dropped, out)
	}
}

// DefaultHistory's comment and the design's limit count on this.
func TestEntrySize(t *testing.T) {
	if n := unsafe.Sizeof(entry{}); n > 32 {
		t.Errorf("an entry takes %d bytes", n)
	}
}

// The configuration bounds the history.
func TestHistoryOption(t *testing.T) {
	for given, want := range map[int]int{-1: DefaultHistory, 0: DefaultHistory, 1: 1, 200: 200, MaxHistory + 1: MaxHistory} {
		if c := New(Config{History: given}); len(c.history.ring) != want {
			t.Errorf("History %d: %d entries", given, len(c.history.ring))
		}
	}
}
