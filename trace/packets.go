package trace

import (
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
	// maxLines is how many packets an OpenTelemetry log record tells.
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
	a.str(KeyAbout, r.PacketLine(e))
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
		if r.Misnumbered(e) {
			a.num(KeySequenceExpected, int64(r.Evidence.Expected))
		}
	}
	return a
}

// endAttributes are those of the event for the end of the stream.
func endAttributes(r *wrapconn.Report) []attribute.KeyValue {
	a := attrs{KeyAbout.String(r.EndLine()), KeyStreamEnd.String(r.Evidence.Stream.String())}
	if r.Evidence.Stream != cause.StreamTimeout { // that end is this side's
		a.add(semconv.NetworkIODirectionReceive)
	}
	return a
}

// direction is seen from this process.
func direction(d session.Direction) attribute.KeyValue {
	if d == session.FromClient {
		return semconv.NetworkIODirectionTransmit
	}
	return semconv.NetworkIODirectionReceive
}
