package wrapconn

import "sync/atomic"

// Counters are totals of this process since it started. They are written when
// a connection is made or something breaks, never for a packet.
type Counters struct {
	Connections uint64 // guarded connections made
	Reports     uint64 // violations reported
	Notices     uint64 // reports of severity notice: the server said goodbye to an idle connection
	Closed      uint64 // idle connections that the peer closed politely
	Untracked   uint64 // conversations that could not be followed for a while
	Opaque      uint64 // connections whose packets could not be seen
	Abandoned   uint64 // operations whose context ended while their command was unanswered
	Panics      uint64 // of the guard's own view, or of what it calls with a report, recovered
	Undelivered uint64 // times that a receiver (telemetry, a callback) did not get a report, because there were too many
	Nested      uint64 // reports that were caused by telling a receiver of another one, and not told to any
}

var counters struct {
	connections, reports, notices, closed, untracked, opaque, panics atomic.Uint64
	undelivered, nested, abandoned                                   atomic.Uint64
}

// Recovered counts a panic that the caller has recovered, of code that was called for telemetry's sake: Counters.Panics.
func Recovered(any) { counters.panics.Add(1) }

// Stats returns the totals of this process. It may be called at any time.
func Stats() Counters {
	return Counters{
		Connections: counters.connections.Load(),
		Reports:     counters.reports.Load(),
		Notices:     counters.notices.Load(),
		Closed:      counters.closed.Load(),
		Untracked:   counters.untracked.Load(),
		Opaque:      counters.opaque.Load(),
		Abandoned:   counters.abandoned.Load(),
		Panics:      counters.panics.Load(),
		Undelivered: counters.undelivered.Load(),
		Nested:      counters.nested.Load(),
	}
}
