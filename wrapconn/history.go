package wrapconn

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// entry is one packet, or a run of rows, as a connection remembers it: never
// its content.
type entry struct {
	at        int64  // on the connection's clock
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

// HistoryEntry is one packet, or a run of rows, in a report.
type HistoryEntry struct {
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

// export copies the entries, oldest first, and says how many older ones have
// been overwritten.
func (h *history) export(start time.Time) (out []HistoryEntry, dropped uint64) {
	size := uint64(len(h.ring))
	from := uint64(0)
	if h.n > size {
		from = h.n - size
	}
	out = make([]HistoryEntry, 0, h.n-from)
	for i := from; i < h.n; i++ {
		e := &h.ring[i%size]
		out = append(out, HistoryEntry{
			Time: start.Add(time.Duration(e.at)), Direction: e.direction, Kind: e.kind, Command: e.command,
			First: e.first, Last: e.last, Count: int(e.count), Bytes: int(e.bytes),
			ErrorCode: e.code, Violation: e.violation,
		})
	}
	return out, from
}
