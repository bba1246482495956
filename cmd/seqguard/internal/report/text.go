package report

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

const timeLayout = "2006-01-02 15:04:05.000000"

// Text writes a violation for people: what it is, why, what to do, and the last
// packets before it.
func (v *Violation) Text(w io.Writer) error {
	var b strings.Builder
	f := &v.Finding
	fmt.Fprintf(&b, "\n%s  %s (%s)\n", f.Time.Format(timeLayout), v.Cause.Title, v.Cause.Slug)
	wrap(&b, "  ", v.Cause.Explanation)
	wrap(&b, "  → ", v.Cause.Advice)
	facts := []string{
		"severity: " + v.Cause.Severity.String(),
		"executed: " + v.Cause.Executed.String(),
	}
	if len(v.Cause.Alternatives) > 0 {
		s := make([]string, len(v.Cause.Alternatives))
		for i, a := range v.Cause.Alternatives {
			s[i] = string(a)
		}
		facts = append(facts, "not excluded: "+strings.Join(s, ", "))
	}
	fmt.Fprintf(&b, "  %s\n", strings.Join(facts, "; "))
	who := v.Client().String()
	if v.Client() == (cause.Client{}) {
		who = "a client"
	}
	fmt.Fprintf(&b, "  %s, connection", who)
	if f.Connection != 0 {
		fmt.Fprintf(&b, " %d", f.Connection)
	}
	fmt.Fprintf(&b, " to %s", v.Server)
	if s := f.Evidence.ServerVersion; s != "" {
		fmt.Fprintf(&b, " (%q)", clip(s, 60))
	}
	fmt.Fprintf(&b, ", %s old\n", Duration(f.Evidence.Age))
	for _, n := range v.Notes {
		wrap(&b, "  note: ", n)
	}
	if f.OpaqueReason != "" {
		fmt.Fprintf(&b, "  the packets could not be seen: %s\n", f.OpaqueReason)
	}
	Packets(&b, f.History, f.Forgotten, v.Started, v)
	_, err := io.WriteString(w, b.String())
	return err
}

// Packets writes a list of packets, one a line, with the time since started.
// v, if there is one, is the violation that the last of them belong to.
func Packets(b *strings.Builder, list []conversation.Packet, forgotten uint64, started time.Time, v *Violation) {
	if forgotten > 0 {
		fmt.Fprintf(b, "  %12s  … %d earlier\n", "", forgotten)
	}
	const shown = 24
	if n := len(list); n > shown {
		if forgotten == 0 {
			fmt.Fprintf(b, "  %12s  … %d earlier\n", "", n-shown)
		}
		list = list[n-shown:]
	}
	for i := range list {
		line := PacketLine(&list[i], started)
		if s := Margin(&list[i], v); s != "" {
			line += "   ← " + s
		}
		b.WriteString("  " + line + "\n")
	}
}

// PacketLine is one packet: time, direction, sequence id, kind, length.
func PacketLine(p *conversation.Packet, started time.Time) string {
	arrow := "◀──"
	if p.Direction == session.FromClient {
		arrow = "──▶"
	}
	at := p.Time.Sub(started).Seconds()
	if p.IDs() == "" {
		return fmt.Sprintf("%+12.6f  %s  %s", at, arrow, p.Label())
	}
	return fmt.Sprintf("%+12.6f  %s  seq %-7s  %-28s %9d bytes", at, arrow, p.IDs(), p.Label(), p.Bytes)
}

// Margin is what a list of packets does not say by itself. What was due is known of the
// packet whose number v is about; an earlier one may have had a wrong number, too.
func Margin(p *conversation.Packet, v *Violation) string {
	if p.Violation == session.None {
		return ""
	}
	s := p.Violation.String()
	if v != nil && v.numbered() && p.Violation == v.Finding.Evidence.Violation && p.First == v.Finding.Evidence.Actual {
		s += fmt.Sprintf(", %d was due", v.Finding.Evidence.Expected)
	}
	return s
}

// Line is a violation in one line, for a log.
func (v *Violation) Line() string {
	where := v.Client().String() + " → " + v.Server
	if id := v.Finding.Connection; id != 0 { // it has no number before the greeting
		where += fmt.Sprintf(", connection %d", id)
	}
	if v.TraceID != "" {
		where += ", trace " + v.TraceID
	}
	return fmt.Sprintf("%s %s: %s [%s] %s", v.Cause.Severity, v.Cause.Slug, v.Cause.Explanation, where, v.Cause.Advice)
}

// wrap writes a paragraph of at most 110 columns; first is before its first
// line, as many spaces before the others.
func wrap(b *strings.Builder, first, s string) {
	const width = 110
	indent := strings.Repeat(" ", utf8.RuneCountInString(first))
	line, n := first, utf8.RuneCountInString(first)
	for i, word := range strings.Fields(s) {
		l := utf8.RuneCountInString(word)
		if n+1+l > width && i > 0 {
			b.WriteString(line + "\n")
			line, n = indent, len(indent)
		} else if i > 0 {
			line += " "
			n++
		}
		line += word
		n += l
	}
	b.WriteString(line + "\n")
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// Duration is a duration as a person would say it.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d)/1e6)
	case d < 10*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// Bytes is a number of bytes as a person would say it.
func Bytes(n uint64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}
