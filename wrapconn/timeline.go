package wrapconn

import (
	"fmt"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Timeline is the report's history as text, one line a packet, with the time
// since the connection was made.
func (r *Report) Timeline() string {
	var b strings.Builder
	if r.Forgotten > 0 {
		fmt.Fprintf(&b, "%12s  … %d earlier packets\n", "", r.Forgotten)
	}
	for _, e := range r.History {
		arrow := "◀──"
		if e.Direction == session.FromClient {
			arrow = "──▶"
		}
		if e.Violation == session.NotMySQL {
			fmt.Fprintf(&b, "%+12.6f  %s  %s\n", e.Time.Sub(r.Connected).Seconds(), arrow, e.Label())
			continue
		}
		fmt.Fprintf(&b, "%+12.6f  %s  seq %-7s  %-28s %9d bytes", e.Time.Sub(r.Connected).Seconds(), arrow, e.IDs(), e.Label(), e.Bytes)
		if e.Violation != session.None {
			fmt.Fprintf(&b, "   ← %s", e.Violation)
			if e.Violation == session.SequenceMismatch || e.Violation == session.MisnumberedError {
				fmt.Fprintf(&b, ", %d was due", r.Evidence.Expected)
			}
		}
		b.WriteByte('\n')
	}
	if end := r.EndLine(); end != "" {
		fmt.Fprintf(&b, "%+12.6f  %s\n", r.Time.Sub(r.Connected).Seconds(), end)
	}
	return b.String()
}

// PacketLines are the last packets, n at most, and the end of the connection, one
// line each with the time since the connection was made: for a log.
func (r *Report) PacketLines(n int) []string {
	last := r.History[max(0, len(r.History)-n):]
	out := make([]string, 0, len(last)+1)
	since := func(t time.Time) string { return fmt.Sprintf("%+.6fs ", t.Sub(r.Connected).Seconds()) }
	for i := range last {
		out = append(out, since(last[i].Time)+r.PacketLine(&last[i]))
	}
	if end := r.EndLine(); end != "" {
		out = append(out, since(r.Time)+end)
	}
	return out
}

// PacketLine is an entry of the history for people: "◀ 1 ERR 1159, 50 bytes". The
// number is its sequence id.
func (r *Report) PacketLine(e *HistoryEntry) string {
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
		if r.Misnumbered(e) {
			s += fmt.Sprintf(", %d was due", r.Evidence.Expected)
		}
	}
	return s
}

// Misnumbered reports whether e is the packet whose number the report is about.
func (r *Report) Misnumbered(e *HistoryEntry) bool {
	v := e.Violation
	return (v == session.SequenceMismatch || v == session.MisnumberedError) &&
		v == r.Evidence.Violation && e.First == r.Evidence.Actual
}

// EndLine says how the connection ended; it is "" if it did not. If the end was
// found before a command, its true time is not known: the line has the time of
// detection.
func (r *Report) EndLine() string {
	switch r.Evidence.Stream {
	case cause.StreamOpen:
		return ""
	case cause.StreamTimeout:
		return "a time limit of this side ran out"
	}
	s := "◀ connection " + r.Evidence.Stream.String()
	if r.Evidence.BeforeCommand {
		s += ", found before the next command"
	}
	return s
}
