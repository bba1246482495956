package reassemble

import "github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"

// reset is one that was captured and has not been told yet: a capture may have it
// in front of the last bytes that were sent before it.
type reset struct {
	from     Side
	seq, ack uint32
	hasAck   bool
	at       int64
}

// maxResets is how many connections may wait with a reset. Beyond it the oldest
// one is told at once.
const maxResets = 1024

// reset takes a segment with RST. It is told when everything has been that it says
// was sent before: the bytes of its side up to its own number, and what it
// acknowledges. One that acknowledges nothing is the answer to a segment that found
// no socket any more (RFC 9293 section 3.10.7.1), which may stand behind it.
func (t *Table) reset(f *Flow, from Side, s *capture.Segment, at int64) {
	h, o := &f.half[from], &f.half[from.Other()]
	hasAck := s.Flags&capture.ACK != 0
	if f.reset != nil || h.ended && o.ended || !hasAck && after(h.next, s.Seq) {
		return
	}
	f.reset = &reset{from: from, seq: s.Seq, ack: s.Ack, hasAck: hasAck, at: at}
	if f.whole() {
		t.finish(f, at)
		return
	}
	t.resets = append(t.resets, f)
	t.expire(at)
}

// whole reports whether all has come that the reset says was sent before it.
func (f *Flow) whole() bool {
	r := f.reset
	return r.hasAck && !after(r.ack, f.half[r.from.Other()].next) && !f.behind()
}

// behind reports whether the reset is known to stand in front of something.
func (f *Flow) behind() bool {
	r := f.reset
	return f.waits > 0 || after(r.seq, f.half[r.from].next)
}

// expire tells the resets that have waited for long enough.
func (t *Table) expire(at int64) {
	for len(t.resets) > 0 {
		f := t.resets[0]
		if f.reset != nil {
			if at-f.reset.at < grace && len(t.resets) <= maxResets {
				return
			}
			t.finish(f, f.reset.at)
		}
		t.resets[0] = nil
		t.resets = t.resets[1:]
	}
	t.resets = nil
}

// idle tells, of a capture of which no more frames lie ready, the resets that
// wait for a mere possibility: the next frame may be far off.
func (t *Table) idle() {
	for _, f := range t.resets {
		if r := f.reset; r != nil && !r.hasAck && !f.half[r.from].ended && !f.behind() {
			t.finish(f, r.at)
		}
	}
}

// tellReset ends the side that sent it. A gap of one byte may be a FIN, which counts
// as one; one beyond the largest window (RFC 7323 section 2.3) is no gap, because
// nobody would have taken such a reset for one.
func (t *Table) tellReset(f *Flow) {
	r := f.reset
	f.reset = nil
	h := &f.half[r.from]
	if n := int64(int32(r.seq - h.next)); n > 1 && n <= 1<<30 && !h.ended {
		t.lost(f, r.from, n, r.at)
	}
	t.end(f, r.from, EndReset, r.at)
}
