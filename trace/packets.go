package trace

import (
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

const (
	// maxEvents is how many events a span gets. An SDK keeps 128 of a span unless
	// told otherwise, and drops the oldest without saying which.
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

// maxPackets is how many packets become events: the end of the stream is one, too.
func maxPackets(r *wrapconn.Report) int {
	if r.Evidence.Stream != cause.StreamOpen {
		return maxEvents - 1
	}
	return maxEvents
}

// packetAttributes are those of one event of the span.
func packetAttributes(r *wrapconn.Report, e *wrapconn.HistoryEntry) []attribute.KeyValue {
	a := make(attrs, 0, 12)
	a.str(KeyAbout, packetLine(r, e))
	a.add(direction(e.Direction))
	a.str(KeyPacketLabel, e.Label())
	a.str(KeyPacketKind, e.Kind.String())
	if e.Violation == session.NotMySQL {
		a.str(KeyViolation, e.Violation.String())
		return a
	}
	a.num(KeySequenceFirst, int64(e.First))
	a.num(KeySequenceLast, int64(e.Last))
	if e.Count > 1 {
		a.num(KeyPacketCount, int64(e.Count))
	}
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

// endAttributes are those of the event for the end of the stream.
func endAttributes(r *wrapconn.Report) []attribute.KeyValue {
	a := attrs{KeyAbout.String(endLine(r)), KeyStreamEnd.String(r.Evidence.Stream.String())}
	if r.Evidence.Stream != cause.StreamTimeout { // that end is this side's
		a.add(semconv.NetworkIODirectionReceive)
	}
	return a
}

// endLine tells how the stream ended. Of an end that was found in front of a
// command the true time is not known: only when it was met.
func endLine(r *wrapconn.Report) string {
	if r.Evidence.Stream == cause.StreamTimeout {
		return "a time limit of this side ran out"
	}
	s := "◀ connection " + r.Evidence.Stream.String()
	if r.Evidence.BeforeCommand {
		s += ", found before the next command"
	}
	return s
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
	out := make([]string, 0, len(last)+1)
	since := func(t time.Time) string { return fmt.Sprintf("%+.6fs ", t.Sub(r.Connected).Seconds()) }
	for i := range last {
		out = append(out, since(last[i].Time)+packetLine(r, &last[i]))
	}
	if r.Evidence.Stream != cause.StreamOpen {
		out = append(out, since(r.Time)+endLine(r))
	}
	return out
}

// packetLine is one packet for people: "◀ 1 ERR 1159, 50 bytes". The number is
// its sequence id.
func packetLine(r *wrapconn.Report, e *wrapconn.HistoryEntry) string {
	arrow := "◀ "
	if e.Direction == session.FromClient {
		arrow = "▶ "
	}
	if e.Violation == session.NotMySQL {
		return arrow + e.Label()
	}
	s := fmt.Sprintf("%s%s %s, %d bytes", arrow, e.IDs(), e.Label(), e.Bytes)
	if e.Bytes == 1 {
		s = strings.TrimSuffix(s, "s")
	}
	if e.Violation != session.None {
		s += ": " + e.Violation.String()
		if misnumbered(r, e) {
			s += fmt.Sprintf(", %d was due", r.Evidence.Expected)
		}
	}
	return s
}
