package trace

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

const (
	// maxEvents is how many packets become events. An SDK keeps 128 events of a
	// span unless told otherwise, and drops the oldest without saying which.
	maxEvents = 128
	// maxLines is how many packets a log record tells.
	maxLines = 16
)

// lastPackets returns the newest entries of the history, at most n, and how many
// older ones there were.
func lastPackets(r *wrapconn.Report, n int) (last []wrapconn.HistoryEntry, older int64) {
	cut := max(0, len(r.History)-n)
	return r.History[cut:], int64(r.Forgotten) + int64(cut)
}

// packetAttributes are those of one event of the span.
func packetAttributes(r *wrapconn.Report, e *wrapconn.HistoryEntry) []attribute.KeyValue {
	a := make(attrs, 0, 11)
	a.add(direction(e.Direction))
	a.str(KeyPacketLabel, e.Label())
	a.str(KeyPacketKind, e.Kind.String())
	if e.Violation == session.NotMySQL {
		a.str(KeyViolation, e.Violation.String())
		return a
	}
	a.num(KeySequenceFirst, int64(e.First))
	a.num(KeySequenceLast, int64(e.Last))
	a.num(KeyPacketCount, int64(e.Count))
	a.num(KeyPacketLength, int64(e.Bytes))
	if e.Kind == session.KindCommand {
		a.str(KeyCommand, e.Command.String())
	}
	a.positive(KeyServerErrorCode, int64(e.ErrorCode))
	if e.Violation != session.None {
		a.str(KeyViolation, e.Violation.String())
		if misnumbered(r, e) {
			a.num(KeySequenceExpected, int64(r.Evidence.Expected))
		}
	}
	return a
}

// misnumbered reports whether e is the packet whose number the report is about.
func misnumbered(r *wrapconn.Report, e *wrapconn.HistoryEntry) bool {
	v := e.Violation
	return (v == session.SequenceMismatch || v == session.MisnumberedError) &&
		v == r.Evidence.Violation && e.First == r.Evidence.Actual
}

// direction is seen from this process.
func direction(d session.Direction) attribute.KeyValue {
	if d == session.FromClient {
		return semconv.NetworkIODirectionTransmit
	}
	return semconv.NetworkIODirectionReceive
}

// packetLines are the last packets for a log record, which has no events: one
// line a packet, with the time since the connection was made.
func packetLines(r *wrapconn.Report) []string {
	last, _ := lastPackets(r, maxLines)
	out := make([]string, len(last))
	for i := range last {
		e := &last[i]
		arrow := "◀"
		if e.Direction == session.FromClient {
			arrow = "▶"
		}
		s := fmt.Sprintf("%+.6fs %s %s", e.Time.Sub(r.Connected).Seconds(), arrow, e.Label())
		if e.Violation == session.NotMySQL {
			out[i] = s
			continue
		}
		s += fmt.Sprintf(", seq %s, %d bytes", e.IDs(), e.Bytes)
		if e.Violation != session.None {
			s += ": " + e.Violation.String()
			if misnumbered(r, e) {
				s += fmt.Sprintf(", %d was due", r.Evidence.Expected)
			}
		}
		out[i] = s
	}
	return out
}
