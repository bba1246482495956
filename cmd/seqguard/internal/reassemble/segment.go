package reassemble

import (
	"slices"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
)

// segment takes one of a connection that somebody wants to know about.
func (t *Table) segment(f *Flow, from Side, s *capture.Segment, at int64) {
	h, o := &f.half[from], &f.half[from.Other()]
	seq := s.Seq
	n := len(s.Payload) + s.Cut
	if s.Flags&capture.SYN != 0 {
		f.handshake(from, s, at)
		seq++
		if n == 0 {
			return
		}
	} else if f.ACKed == 0 && f.SYNACK != 0 && from == Client && s.Flags&capture.ACK != 0 {
		f.ACKed = at
	}
	hasAck := s.Flags&capture.ACK != 0
	if !h.known {
		h.next, h.known, h.acked = seq, true, seq
	}
	if hasAck {
		if !o.known {
			o.next, o.known, o.acked = s.Ack, true, s.Ack
		}
		if after(s.Ack, o.acked) {
			o.acked = s.Ack
		}
	}
	if s.Flags&capture.RST != 0 {
		t.reset(f, from, s, at)
		return
	}
	fin := s.Flags&capture.FIN != 0
	if n == 0 && !fin {
		if f.waits > 0 {
			t.drain(f, at)
		} else if o.known && after(o.acked, o.next) {
			t.wait(f) // for the bytes that were acknowledged, or the gap
		}
		return
	}
	if n > 0 {
		f.Segments[from]++
	}
	if f.waits == 0 && seq == h.next && (!hasAck || !after(s.Ack, o.next)) {
		t.deliver(f, from, s.Payload, s.Cut, fin, at)
		if f.inWaiting || f.done {
			t.settle(f)
		}
		return
	}
	end := seq + uint32(n) + b2u(fin)
	if !after(end, h.next) {
		if n > 0 {
			f.Again[from]++
		}
		if f.waits > 0 {
			t.drain(f, at)
		}
		return
	}
	if after(seq, h.next) {
		f.Late[from]++
	}
	t.hold(f, from, held{seq: seq, ack: s.Ack, hasAck: hasAck, fin: fin, cut: s.Cut, at: at}, s.Payload)
	t.drain(f, at)
}

func (f *Flow) handshake(from Side, s *capture.Segment, at int64) {
	h := &f.half[from]
	switch {
	case s.Flags&capture.ACK == 0:
		f.SYN = at // the last one, if it was sent again: the answer is to that
	case from == Server:
		f.SYNACK, f.ACKed = at, 0
	}
	if !h.known {
		h.next, h.known, h.acked = s.Seq+1, true, s.Seq+1
	}
}

// deliver tells the handler the bytes that are due.
func (t *Table) deliver(f *Flow, from Side, p []byte, cut int, fin bool, at int64) {
	h := &f.half[from]
	f.told = max(f.told, at)
	h.next += uint32(len(p) + cut)
	if len(p) > 0 && !h.ended {
		f.handler.Bytes(from, p, f.told)
	}
	if cut > 0 && f.handler != nil {
		f.Lost[from] += int64(cut)
		f.handler.Gap(from, int64(cut), f.told)
	}
	if fin && f.handler != nil {
		h.next++
		t.end(f, from, EndFIN, at)
	}
}

func (t *Table) end(f *Flow, from Side, how End, at int64) {
	h := &f.half[from]
	if h.ended || f.handler == nil {
		return
	}
	h.ended = true
	f.told = max(f.told, at)
	f.handler.End(from, how, f.told)
	if f.half[Client].ended && f.half[Server].ended {
		f.done = true
	}
}

// hold keeps a segment for later, in its place by sequence number.
func (t *Table) hold(f *Flow, from Side, s held, payload []byte) {
	h := &f.half[from]
	if h.heldBytes+len(payload)+heldCost > t.limits.FlowBytes || t.held+len(payload)+heldCost > t.limits.HeldBytes {
		t.flush(f, s.at)
		if f.handler == nil {
			return
		}
	}
	s.payload = slices.Clone(payload)
	i := len(h.held)
	for i > 0 && after(h.held[i-1].seq, s.seq) {
		i--
	}
	h.held = slices.Insert(h.held, i, s)
	h.heldBytes += len(payload) + heldCost
	t.held += len(payload) + heldCost
	f.waits++
	t.wait(f)
}

func (t *Table) wait(f *Flow) {
	if !f.inWaiting {
		f.inWaiting = true
		t.waiting[f] = struct{}{}
	}
}

// settle takes f off the list of those that wait if there is nothing to wait for,
// and finishes it if both ends are done.
func (t *Table) settle(f *Flow) {
	if f.inWaiting && f.waits == 0 && !f.missing(Client) && !f.missing(Server) {
		f.inWaiting = false
		delete(t.waiting, f)
	}
	if f.done && f.handler != nil && f.waits == 0 {
		t.finish(f, f.told)
	}
}

// missing: the other end had bytes that have not come.
func (f *Flow) missing(from Side) bool {
	h := &f.half[from]
	return h.known && after(h.acked, h.next)
}

// drain delivers what has its turn, and declares gaps that are certain by now.
func (t *Table) drain(f *Flow, at int64) {
	for f.handler != nil {
		if t.advance(f, false) {
			continue
		}
		if from, n, ok := f.gap(at); ok {
			t.lost(f, from, n, at)
			continue
		}
		if !f.crossed(at) || !t.advance(f, true) {
			break
		}
	}
	t.settle(f)
}

// advance delivers the first held segment that may go, of both directions the one
// captured first. With force, what it acknowledges need not have come.
func (t *Table) advance(f *Flow, force bool) bool {
	best, place := -1, 0
	for i := range f.half {
		h, o := &f.half[i], &f.half[i^1]
		// Of those whose bytes are due, any will do: what is sent again has a later
		// acknowledgement than the first time.
		for j := range h.held {
			s := &h.held[j]
			if after(s.seq, h.next) {
				break
			}
			if !force && s.hasAck && o.known && after(s.ack, o.next) && after(s.end(), h.next) {
				continue
			}
			if best < 0 || s.at < f.half[best].held[place].at {
				best, place = i, j
			}
			break
		}
	}
	if best < 0 {
		return false
	}
	h := &f.half[best]
	s := h.held[place]
	if place == 0 {
		h.held[0].payload = nil
		h.held = h.held[1:]
	} else {
		h.held = slices.Delete(h.held, place, place+1)
	}
	if len(h.held) == 0 {
		h.held = nil
	}
	h.heldBytes -= len(s.payload) + heldCost
	t.held -= len(s.payload) + heldCost
	f.waits--
	side := Side(best)
	old := int(h.next - s.seq) // bytes of it that came before
	switch {
	case !after(s.end(), h.next):
		f.Again[side]++
		return true
	case old > 0:
		f.Overlap[side]++
	}
	if drop := min(old, len(s.payload)); drop > 0 {
		s.payload, old = s.payload[drop:], old-drop
	}
	s.cut = max(s.cut-old, 0)
	t.deliver(f, side, s.payload, s.cut, s.fin, s.at)
	return true
}

// gap finds a direction in which bytes are missing for good, and how many up to
// the next thing that is known.
func (f *Flow) gap(at int64) (from Side, n int64, ok bool) {
	for i := range f.half {
		h, o := &f.half[i], &f.half[i^1]
		if !h.known {
			continue
		}
		// How long something has been waiting for these bytes: what comes behind
		// them, or an answer to them.
		var since int64
		var waits int
		for _, q := range [...]*half{h, o} {
			if len(q.held) > 0 && (q == o || after(q.held[0].seq, h.next)) {
				if since == 0 || q.held[0].at < since {
					since = q.held[0].at
				}
				waits += len(q.held)
			}
		}
		had := f.missing(Side(i)) // the other end had them, so nobody sends them again
		if waits == 0 {
			continue
		}
		if had && (waits >= graceSegments || at-since >= grace) || !had && at-since >= patience {
			if n := f.hole(Side(i), had); n > 0 {
				return Side(i), n, true
			}
		}
	}
	return 0, 0, false
}

// crossed: the next bytes of both directions are there, and each waits for the
// other's, for too long. Hosts do not do that.
func (f *Flow) crossed(at int64) bool {
	if f.waits >= graceSegments {
		return true
	}
	for i := range f.half {
		if h := f.half[i].held; len(h) > 0 && at-h[0].at < grace {
			return false
		}
	}
	return f.waits > 0
}

// hole is how many bytes are missing up to what is held, or to what was
// acknowledged, or to where the other end spoke: of several answers that are lost,
// each has its place between two questions.
func (f *Flow) hole(from Side, acked bool) int64 {
	h, o := &f.half[from], &f.half[from.Other()]
	n := h.hole(acked)
	for i := range o.held {
		s := &o.held[i]
		if after(s.seq, o.next) {
			break
		}
		if s.hasAck && after(s.ack, h.next) {
			n = min(n, int64(s.ack-h.next))
		}
	}
	return n
}

// hole is how many bytes are missing up to what is held, or to what was
// acknowledged.
func (h *half) hole(acked bool) int64 {
	var n int64
	if acked {
		n = int64(h.acked - h.next)
	}
	if len(h.held) > 0 {
		to := int64(int32(h.held[0].seq - h.next))
		if to <= 0 {
			return 0 // they are there, and wait for the other direction
		}
		if to < n || !acked {
			n = to
		}
	}
	return n
}

func (t *Table) lost(f *Flow, from Side, n int64, at int64) {
	h := &f.half[from]
	h.next += uint32(n)
	f.told = max(f.told, at)
	f.Lost[from] += n
	f.handler.Gap(from, n, f.told)
}

// flush tells everything that is held, with the gaps in it.
func (t *Table) flush(f *Flow, at int64) {
	for f.handler != nil && f.waits > 0 {
		if t.advance(f, false) {
			continue
		}
		progress := false
		for i := range f.half {
			if n := f.hole(Side(i), f.missing(Side(i))); n > 0 {
				t.lost(f, Side(i), n, at)
				progress = true
				break
			}
		}
		if !progress && !t.advance(f, true) { // cannot be: all waits for bytes that are there
			t.drop(f)
		}
	}
	for i := range f.half {
		h := &f.half[i]
		// One missing byte at the very end is a FIN, which counts as one.
		if n := int64(h.acked - h.next); f.handler != nil && f.missing(Side(i)) && !h.ended && n > 1 {
			t.lost(f, Side(i), n, at)
		}
	}
}

// finish tells the last things of a connection and forgets its handler; the flow
// stays, so that what still comes is not taken for the middle of another one.
func (t *Table) finish(f *Flow, at int64) {
	if f.handler == nil {
		return
	}
	t.flush(f, at)
	if f.handler != nil && f.reset != nil {
		t.tellReset(f)
	}
	if f.handler == nil {
		return
	}
	if !f.half[Client].ended && !f.half[Server].ended {
		t.end(f, Client, EndLeft, f.told)
		t.end(f, Server, EndLeft, f.told)
	}
	h := f.handler
	h.Gone(f.told)
	t.drop(f)
	t.unlink(f)
	f.handler = nil
	f.done = true
	t.push(f)
}

// drop forgets what is held.
func (t *Table) drop(f *Flow) {
	for i := range f.half {
		t.held -= f.half[i].heldBytes
		f.half[i].held, f.half[i].heldBytes = nil, 0
	}
	f.waits = 0
	if f.inWaiting {
		f.inWaiting = false
		delete(t.waiting, f)
	}
}
