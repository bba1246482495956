package conversation

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// entry is one packet, or a run of rows, as a conversation remembers it: never
// its content.
type entry struct {
	at        time.Duration
	bytes     uint32 // payload; of a run, of all rows, saturating
	count     uint32 // 1, or the length of a run
	code      uint16 // of an ERR
	first     uint8  // sequence id; of a run, of its first packet
	direction session.Direction
	kind      session.Kind
	command   session.Command // of a command
	violation session.Violation
}

// last is the sequence id of the last packet.
func (e *entry) last() uint8 { return e.first + uint8(e.count) - 1 }

// packed is an entry as it is kept. Every connection has 64 of them.
type packed struct {
	at     uint32 // units of timeUnit, the lower bits; the upper ones in high
	bytes  uint32
	high   uint16
	mark   uint16 // kind, violation, direction
	detail uint16 // code of an ERR, command, or the lower bits of a run's length - 1
	extra  uint8  // the upper bits of that
	first  uint8
}

// timeUnit is about a microsecond: 48 bits of them are nine years.
const timeUnit = 10

// maxRun is the longest run that one entry can hold; a longer one takes two.
const maxRun = 1 << 24

const (
	kindBits      = 5
	violationBits = 4
)

func mark(k session.Kind, v session.Violation, d session.Direction) uint16 {
	return uint16(k) | uint16(v)<<kindBits | uint16(d)<<(kindBits+violationBits)
}

func (e *entry) pack() packed {
	at := uint64(e.at) >> timeUnit
	p := packed{at: uint32(at), high: uint16(at >> 32), bytes: e.bytes, mark: mark(e.kind, e.violation, e.direction), first: e.first}
	switch e.kind {
	case session.KindERR:
		p.detail = e.code
	case session.KindCommand:
		p.detail = uint16(e.command)
	case session.KindRow:
		p.run(min(e.count, maxRun))
	}
	return p
}

func (p *packed) time() time.Duration {
	return time.Duration((uint64(p.high)<<32 | uint64(p.at)) << timeUnit)
}
func (p *packed) kind() session.Kind { return session.Kind(p.mark & (1<<kindBits - 1)) }
func (p *packed) direction() session.Direction {
	return session.Direction(p.mark >> (kindBits + violationBits))
}

// count is the number of packets.
func (p *packed) count() uint32 {
	if p.kind() != session.KindRow {
		return 1
	}
	return uint32(p.extra)<<16 + uint32(p.detail) + 1
}

func (p *packed) run(count uint32) { p.detail, p.extra = uint16(count-1), uint8((count-1)>>16) }

func (p *packed) unpack() entry {
	e := entry{
		at: p.time(), bytes: p.bytes, count: p.count(), first: p.first, direction: p.direction(), kind: p.kind(),
		violation: session.Violation(p.mark >> kindBits & (1<<violationBits - 1)),
	}
	switch e.kind {
	case session.KindERR:
		e.code = p.detail
	case session.KindCommand:
		e.command = session.Command(p.detail)
	}
	return e
}

// history is a ring of the last entries.
type history struct {
	ring []packed // grows to its size, which most of many connections never need
	size int
	next int    // where the next one goes
	n    uint64 // entries ever added
}

// firstRing is how many entries a history begins with: a login and three commands.
const firstRing = 16

func (h *history) init(size int) { h.size, h.ring = size, make([]packed, min(size, firstRing)) }

func (h *history) add(e *entry) {
	// Rows that came one by one (split over reads) join the run before them.
	if e.kind != session.KindRow || !h.join(e) {
		*h.place() = e.pack()
	}
}

// packet is add for one packet, which comes most often.
// detail is the code of an ERR, or a command.
func (h *history) packet(at time.Duration, dir session.Direction, head wire.Header, kind session.Kind, v session.Violation, detail uint16) {
	m := mark(kind, v, dir)
	if kind == session.KindRow && h.next > 0 && h.ring[h.next-1].mark == m {
		h.add(&entry{at: at, bytes: head.Length, count: 1, first: head.Seq, direction: dir, kind: kind, violation: v})
		return
	}
	units := uint64(at) >> timeUnit
	p := h.place()
	p.at, p.high, p.bytes = uint32(units), uint16(units>>32), head.Length
	p.mark, p.first = m, head.Seq
	p.detail, p.extra = detail, 0
}

// rows is add for a run of rows. Behind anything but a row it is a new entry.
func (h *history) rows(at time.Duration, dir session.Direction, r *wire.Run) {
	m := mark(session.KindRow, session.None, dir)
	if h.next > 0 && h.ring[h.next-1].mark != m && r.Count <= maxRun {
		units := uint64(at) >> timeUnit
		p := h.place()
		p.at, p.high, p.bytes = uint32(units), uint16(units>>32), uint32(min(r.Bytes, 1<<32-1))
		p.mark, p.first = m, r.First
		p.run(uint32(r.Count))
		return
	}
	h.add(&entry{
		at: at, bytes: uint32(min(r.Bytes, 1<<32-1)), count: uint32(r.Count), first: r.First,
		direction: dir, kind: session.KindRow,
	})
}

// place returns the place of the next entry.
func (h *history) place() *packed {
	if h.next == len(h.ring) {
		h.turn()
	}
	p := &h.ring[h.next]
	h.next++
	h.n++
	return p
}

// join makes rows a part of the last entry, if they can be.
func (h *history) join(e *entry) bool {
	if h.next == 0 && h.n == 0 {
		return false
	}
	p := &h.ring[h.next-1]
	count := uint64(p.count()) + uint64(e.count)
	if p.mark != mark(e.kind, e.violation, e.direction) || e.violation != session.None || p.first+uint8(p.count()) != e.first || count > maxRun {
		return false
	}
	p.run(uint32(count))
	p.bytes = uint32(min(uint64(p.bytes)+uint64(e.bytes), 1<<32-1))
	return true
}

// turn makes room for an entry behind the last one.
func (h *history) turn() {
	if len(h.ring) == h.size {
		h.next = 0
		return
	}
	h.ring = append(make([]packed, 0, min(2*len(h.ring), h.size)), h.ring...)
	h.ring = h.ring[:cap(h.ring)]
}

// Packet is one packet, or a run of rows, without its content.
type Packet struct {
	Time      time.Time
	Direction session.Direction
	Kind      session.Kind
	Command   session.Command // of KindCommand
	First     uint8           // sequence id; of a run, of its first packet
	Last      uint8           // of a run, of its last packet
	Count     int             // packets: 1, or the length of a run
	Bytes     int             // payload bytes; of a run, of all its packets (at most 4 GiB, where int has 32 bits 2 GiB)
	ErrorCode uint16          // of KindERR
	Violation session.Violation
}

func (e *entry) packet(start time.Time) Packet {
	return Packet{
		Time: start.Add(e.at), Direction: e.direction, Kind: e.kind, Command: e.command,
		First: e.first, Last: e.last(), Count: int(e.count), Bytes: int(min(uint64(e.bytes), math.MaxInt)),
		ErrorCode: e.code, Violation: e.violation,
	}
}

// Excerpt is the history at one moment, in the form in which it is kept. It is
// quick to take, and made readable later.
type Excerpt struct {
	entries   []packed // oldest first
	forgotten uint64
	start     time.Time
}

// excerpt copies the entries.
func (h *history) excerpt(start time.Time) Excerpt {
	if h.n <= uint64(len(h.ring)) {
		return Excerpt{append([]packed(nil), h.ring[:h.n]...), 0, start}
	}
	kept := append(make([]packed, 0, len(h.ring)), h.ring[h.next:]...)
	return Excerpt{append(kept, h.ring[:h.next]...), h.n - uint64(len(h.ring)), start}
}

// Last is the last n entries of it.
func (x Excerpt) Last(n int) Excerpt {
	if older := len(x.entries) - max(n, 0); older > 0 {
		x.entries, x.forgotten = x.entries[older:], x.forgotten+uint64(older)
	}
	return x
}

// Packets returns the packets, oldest first, and how many older ones there were.
func (x Excerpt) Packets() (packets []Packet, forgotten uint64) {
	packets = make([]Packet, len(x.entries))
	for i := range x.entries {
		e := x.entries[i].unpack()
		packets[i] = e.packet(x.start)
	}
	return packets, x.forgotten
}

// History returns the last packets, oldest first, and how many older ones there
// were.
func (c *Conversation) History() (packets []Packet, forgotten uint64) {
	return c.Excerpt().Packets()
}

// Excerpt is what History makes readable. It costs a fraction of that.
func (c *Conversation) Excerpt() Excerpt { return c.history.excerpt(c.start) }

// Label names the packet in a few words: "COM_QUERY", "ERR 1159", "rows × 4096".
func (e Packet) Label() string {
	switch {
	case e.Violation == session.NotMySQL:
		return "bytes that are not a MySQL packet"
	case e.Kind == session.KindCommand:
		return e.Command.String()
	case e.Kind == session.KindERR && e.ErrorCode != 0:
		return fmt.Sprintf("ERR %d", e.ErrorCode)
	case e.Count > 1:
		return fmt.Sprintf("%ss × %d", e.Kind, e.Count)
	}
	return e.Kind.String()
}

// IDs prints the sequence id, or the first and last one of a run. It is empty
// for what is not MySQL: what looks like a header is something else's first
// letters, so there is no number, and no length either.
func (e Packet) IDs() string {
	if e.Violation == session.NotMySQL {
		return ""
	}
	if e.Count > 1 {
		return strconv.Itoa(int(e.First)) + "…" + strconv.Itoa(int(e.Last))
	}
	return strconv.Itoa(int(e.First))
}

// answerAfter is the time from the last command to the first packet behind it; 0
// if nothing has come, or if it is forgotten.
func (h *history) answerAfter() time.Duration {
	size := uint64(len(h.ring))
	var answer time.Duration
	at := h.next
	for range min(h.n, size) {
		if at == 0 {
			at = len(h.ring)
		}
		at--
		switch p := &h.ring[at]; {
		case p.direction() == session.FromServer:
			answer = p.time()
		case p.kind() == session.KindCommand && answer > 0:
			return answer - p.time()
		case p.kind() == session.KindCommand:
			return 0
		}
	}
	return 0
}
