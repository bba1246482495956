package conversation

import (
	"fmt"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// entry is one packet, or a run of rows, as a conversation remembers it: never
// its content.
type entry struct {
	at        time.Duration
	bytes     uint32 // payload; of a run, of all rows, saturating
	count     uint32 // 1, or the length of a run
	code      uint16 // of an ERR
	first     uint8  // sequence ids
	last      uint8
	direction session.Direction
	kind      session.Kind
	command   session.Command
	violation session.Violation
}

// history is a ring of the last entries.
type history struct {
	ring []entry
	n    uint64 // entries ever added
}

func (h *history) init(size int) { h.ring = make([]entry, size) }

func (h *history) add(e entry) {
	// Rows that came one by one (split over reads) join the run before them.
	if e.kind == session.KindRow && e.violation == session.None && h.n > 0 {
		p := &h.ring[(h.n-1)%uint64(len(h.ring))]
		if p.kind == session.KindRow && p.last+1 == e.first && p.violation == session.None && p.direction == e.direction {
			p.last = e.last
			p.count += e.count
			if p.bytes+e.bytes >= p.bytes {
				p.bytes += e.bytes
			} else {
				p.bytes = 1<<32 - 1
			}
			return
		}
	}
	h.ring[h.n%uint64(len(h.ring))] = e
	h.n++
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
	Bytes     int             // payload bytes; of a run, of all its packets (at most 4 GiB)
	ErrorCode uint16          // of KindERR
	Violation session.Violation
}

func (e *entry) packet(start time.Time) Packet {
	return Packet{
		Time: start.Add(e.at), Direction: e.direction, Kind: e.kind, Command: e.command,
		First: e.first, Last: e.last, Count: int(e.count), Bytes: int(e.bytes),
		ErrorCode: e.code, Violation: e.violation,
	}
}

// Excerpt is the history at one moment, in the form in which it is kept: to be
// taken in a hurry, and made readable later.
type Excerpt struct {
	entries   []entry // oldest first
	forgotten uint64
	start     time.Time
}

// excerpt copies the entries.
func (h *history) excerpt(start time.Time) Excerpt {
	size := uint64(len(h.ring))
	if h.n <= size {
		return Excerpt{append([]entry(nil), h.ring[:h.n]...), 0, start}
	}
	at := h.n % size
	return Excerpt{append(append(make([]entry, 0, size), h.ring[at:]...), h.ring[:at]...), h.n - size, start}
}

// Packets returns the packets, oldest first, and how many older ones there were.
func (x Excerpt) Packets() (packets []Packet, forgotten uint64) {
	packets = make([]Packet, len(x.entries))
	for i := range x.entries {
		packets[i] = x.entries[i].packet(x.start)
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
		return fmt.Sprintf("%d…%d", e.First, e.Last)
	}
	return fmt.Sprint(e.First)
}

// answerAfter is the time from the last command to the first packet behind it; 0
// if nothing has come, or if it is forgotten.
func (h *history) answerAfter() time.Duration {
	size := uint64(len(h.ring))
	var answer time.Duration
	for i := h.n; i > 0 && h.n-i < size; i-- {
		switch e := &h.ring[(i-1)%size]; {
		case e.direction == session.FromServer:
			answer = e.at
		case e.kind == session.KindCommand && answer > 0:
			return answer - e.at
		case e.kind == session.KindCommand:
			return 0
		}
	}
	return 0
}
