package conversation

import (
	"math"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

func rows(n uint32, first uint8, bytes uint32) *entry {
	return &entry{count: n, first: first, bytes: bytes, kind: session.KindRow}
}

func TestHistoryKeepsTheLast(t *testing.T) {
	var h history
	h.init(3)
	for i := range 5 {
		h.add(&entry{at: time.Duration(i) << timeUnit, first: uint8(i), count: 1, kind: session.KindOK})
		out, dropped := h.excerpt(time.Unix(0, 0)).Packets()
		if want := max(0, i-2); int(dropped) != want || len(out) != i+1-want || out[len(out)-1].First != uint8(i) {
			t.Errorf("after %d: %d forgotten, %d there, the last is %+v", i+1, dropped, len(out), out[len(out)-1])
		}
	}
	out, _ := h.excerpt(time.Unix(0, 0)).Packets()
	for i, e := range out {
		if e.First != uint8(i+2) || !e.Time.Equal(time.Unix(0, int64(i+2)<<timeUnit)) {
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
	if out, _ = h.excerpt(time.Time{}).Packets(); out[3].Count != 3 || out[3].Bytes != min(1<<32-1, math.MaxInt) {
		t.Errorf("%+v", out[3])
	}
	// The first and the last place of the ring are neighbours.
	h = history{}
	h.init(2)
	for i := range 5 {
		h.add(&entry{kind: session.KindOK, count: 1})
		h.add(rows(2, uint8(i), 1))
		h.add(rows(1, uint8(i+2), 1))
	}
	if out, dropped := h.excerpt(time.Time{}).Packets(); len(out) != 2 || dropped != 8 || out[1].Count != 3 {
		t.Errorf("%d forgotten, %+v", dropped, out)
	}
}

// A longer run than an entry holds is told as two.
func TestHistoryLongRun(t *testing.T) {
	var h history
	h.init(4)
	h.add(rows(maxRun-1, 3, 10))
	h.add(rows(1, 2, 10))
	h.add(rows(5, 3, 10))
	out, _ := h.excerpt(time.Time{}).Packets()
	if len(out) != 2 || out[0].Count != maxRun || out[0].Last != 2 || out[1].Count != 5 || out[1].Last != 7 {
		t.Errorf("%+v", out)
	}
}

// What is packed comes out again, to the microsecond.
func TestEntryPacks(t *testing.T) {
	if n := unsafe.Sizeof(packed{}); n != 16 { // DefaultHistory's comment counts on this
		t.Errorf("an entry takes %d bytes", n)
	}
	for kind := session.Kind(0); kind < 1<<kindBits; kind++ {
		for violation := session.Violation(0); violation < 1<<violationBits; violation++ {
			for _, dir := range []session.Direction{session.FromClient, session.FromServer} {
				for _, at := range []time.Duration{0, 1234567, 5 * 365 * 24 * time.Hour} {
					e := entry{at: at, bytes: 1<<24 - 1, count: 1, first: 255, direction: dir, kind: kind, violation: violation}
					switch kind {
					case session.KindERR:
						e.code = 65535
					case session.KindCommand:
						e.command = session.ComStmtBulkExecute
					case session.KindRow:
						e.count = 1<<24 - 3
					}
					p := e.pack()
					got := p.unpack()
					if e.at-got.at < 0 || e.at-got.at > 1024 {
						t.Fatalf("%v became %v", e.at, got.at)
					}
					got.at = e.at
					if got != e {
						t.Fatalf("%+v became %+v", e, got)
					}
				}
			}
		}
	}
	if !strings.HasPrefix(session.Kind(1<<kindBits-1).String(), "invalid") || !strings.HasPrefix(session.Violation(1<<violationBits-1).String(), "invalid") {
		t.Error("the last kind or violation is in use: there may be more than an entry has bits for")
	}
}

// A history takes no more memory than there is to remember.
func TestHistoryGrows(t *testing.T) {
	var h history
	h.init(DefaultHistory)
	for i := range 3 * DefaultHistory {
		h.add(&entry{first: uint8(i), count: 1, kind: session.KindOK})
		out, forgotten := h.excerpt(time.Time{}).Packets()
		if want := min(i+1, DefaultHistory); len(out) != want || int(forgotten) != i+1-want || out[0].First != uint8(forgotten) || out[want-1].First != uint8(i) {
			t.Fatalf("after %d: %d entries, %d forgotten", i+1, len(out), forgotten)
		}
		if len(h.ring) > max(firstRing, 2*(i+1)) || len(h.ring) > DefaultHistory {
			t.Fatalf("after %d: room for %d", i+1, len(h.ring))
		}
	}
}

// The configuration bounds the history.
func TestHistoryOption(t *testing.T) {
	for given, want := range map[int]int{-1: DefaultHistory, 0: DefaultHistory, 1: 1, 200: 200, MaxHistory + 1: MaxHistory} {
		if c := New(Config{History: given}); c.history.size != want {
			t.Errorf("History %d: %d entries", given, c.history.size)
		}
	}
}
