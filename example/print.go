package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	seqguard "github.com/seqguard/mysql-seqguard"
)

// The output is made for a terminal of 100 columns.
const (
	width      = 100
	leftWidth  = 37
	rightWidth = width - 2 - leftWidth - 3
	maxPackets = 9 // of a timeline, without -v
)

// printer prints comparisons.
type printer struct {
	w       io.Writer
	color   bool
	verbose bool
}

// paint is an ANSI attribute.
type paint string

const (
	none   paint = ""
	bold   paint = "1"
	dim    paint = "2"
	red    paint = "31"
	green  paint = "32"
	yellow paint = "33"
	cyan   paint = "36"
)

// line is a line of text of one colour.
type line struct {
	text  string
	paint paint
}

func (p *printer) painted(s string, c paint) string {
	if !p.color || c == none || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

func (p *printer) print(format string, a ...any) { fmt.Fprintf(p.w, format, a...) }

// opening says what is going to be seen.
func (p *printer) opening(n int, embedded bool) {
	server := "your server"
	if embedded {
		server = "a MySQL-compatible server inside this process"
	}
	p.print("\n")
	for _, l := range wrap(fmt.Sprintf("%d ways to break a connection, on %s. Each is run twice: on the left what an application sees with %s, on the right with %s, and below it the last packets. It takes some seconds.",
		n, server, plain, guarded), width-2) {
		p.print("  %s\n", l)
	}
	p.print("\n")
}

// closing counts, and says what to do next.
func (p *printer) closing(n, named, skipped int) {
	s := fmt.Sprintf("%d of %d failures were named by %s", named, n, guarded)
	if skipped > 0 {
		s += fmt.Sprintf("; %d could not be run on this server", skipped)
	}
	p.print("%s\n", p.painted("── "+s+".", bold))
	if !p.verbose {
		p.print("  -v prints the errors, the advice and the timelines in full.\n")
	}
	p.print("  -dsn runs it on a server of yours, OTEL_EXPORTER_OTLP_ENDPOINT sends the spans.\n")
	p.print("  Next, in your program: import _ \"github.com/seqguard/mysql-seqguard\", sql.Open(%q, dsn).\n", guarded)
}

// comparison prints one scenario.
func (p *printer) comparison(c *comparison) {
	s := c.scenario
	p.print("%s %s\n", p.painted("── "+s.name, bold), p.painted(strings.Repeat("─", width-4-utf8.RuneCountInString(s.name)), dim))
	for _, l := range wrap(s.title, width-2) {
		p.print("  %s\n", l)
	}
	p.print("\n")
	switch {
	case c.err != nil:
		p.print("  %s\n\n", p.painted("The demo itself failed: "+c.err.Error(), red))
		return
	case c.skipped != "":
		p.print("  Not run: %s.\n\n", c.skipped)
		return
	}
	p.columns(c.plain.lines(leftWidth, p.verbose), c.guarded.lines(rightWidth, p.verbose))
	if r := c.guarded.report(); r != nil {
		p.print("\n")
		for _, l := range timeline(r, p.verbose) {
			p.print("  %s\n", p.painted(l, packetPaint(l)))
		}
	}
	if p.verbose {
		p.full(plain, &c.plain)
		p.full(guarded, &c.guarded)
	}
	if c.trace != "" {
		p.print("\n  %s\n", p.painted("trace "+c.trace, cyan))
	}
	p.print("\n")
}

// columns prints the two outcomes side by side.
func (p *printer) columns(left, right []line) {
	left = append([]line{{plain, bold}}, left...)
	right = append([]line{{guarded, bold}}, right...)
	for i := range max(len(left), len(right)) {
		var l, r line
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		pad := strings.Repeat(" ", leftWidth-utf8.RuneCountInString(l.text))
		s := "  " + p.painted(l.text, l.paint) + pad + " " + p.painted("│", dim) + " " + p.painted(r.text, r.paint)
		p.print("%s\n", strings.TrimRight(s, " "))
	}
}

// full prints the error as the application's log would have it.
func (p *printer) full(driver string, o *outcome) {
	if o.err != nil {
		p.print("\n  %s\n  %v\n", p.painted("the error of "+driver+", in full", dim), o.err)
	}
}

// lines is the outcome as a column of w characters.
func (o *outcome) lines(w int, verbose bool) []line {
	r := o.report()
	var out []line
	add := func(c paint, text string) {
		for _, l := range wrap(text, w) {
			out = append(out, line{l, c})
		}
	}
	switch {
	case o.panicked != nil:
		add(red, fmt.Sprint("panic: ", o.panicked))
	case o.err == nil:
		add(none, "no error")
	case r == nil:
		add(red, o.err.Error())
	}
	if r != nil {
		d := r.Cause
		add(yellow, string(d.Slug))
		facts := d.Severity.String() + " · executed: " + d.Executed.String()
		if safe, applies := d.Retry(); safe && applies {
			facts += " · safe to retry"
		}
		add(dim, facts)
		add(bold, d.Title)
		add(none, d.Explanation)
		advice := d.Advice
		if short := gist(advice); !verbose && short != advice {
			advice = short + " … (-v)"
		}
		add(green, "→ "+advice)
	}
	for _, n := range o.notes {
		add(cyan, n.what+": "+n.result)
	}
	for _, l := range o.log {
		add(dim, "log: "+gist(l))
	}
	return out
}

// report is the one that the demo shows. What is too ordinary to be reported is
// still in the error.
func (o *outcome) report() *seqguard.Report {
	var pe *seqguard.ProtocolError
	switch {
	case len(o.reports) > 0:
		return o.reports[0]
	case errors.As(o.err, &pe):
		return pe.Report
	}
	return nil
}

// short is an error in a few words: of ours the cause, which the column beside
// it explains.
func short(err error) string {
	var pe *seqguard.ProtocolError
	var oe *seqguard.OwnershipError
	switch {
	case errors.As(err, &pe) && !pe.Report.Evidence.NothingWritten:
		return string(pe.Report.Cause.Slug)
	case errors.As(err, &pe):
		return "refused, " + string(pe.Report.Cause.Slug)
	case errors.As(err, &oe):
		return "refused, " + string(oe.Report.Cause.Slug)
	}
	return err.Error()
}

// timeline is the report's, squeezed to the width of the terminal; of a long one
// the middle is left out unless everything is wanted.
func timeline(r *seqguard.Report, all bool) []string {
	lines := squeeze(strings.Split(strings.TrimRight(r.Timeline(), "\n"), "\n"))
	if n := len(lines) - maxPackets; n > 1 && !all {
		head := lines[: maxPackets/3 : maxPackets/3]
		lines = append(append(head, fmt.Sprintf("… %d more", n)), lines[len(lines)-(maxPackets-maxPackets/3):]...)
	}
	return lines
}

// squeeze narrows every run of columns that are blank in all lines to two.
func squeeze(lines []string) []string {
	table := make([][]rune, len(lines))
	widest := 0
	for i, l := range lines {
		table[i] = []rune(l)
		widest = max(widest, len(table[i]))
	}
	out := make([]strings.Builder, len(lines))
	blanks := 2 // none at the beginning
	for col := range widest {
		blank := true
		for _, l := range table {
			blank = blank && (col >= len(l) || l[col] == ' ')
		}
		if blank {
			blanks++
		} else {
			blanks = 0
		}
		if blanks > 2 {
			continue
		}
		for i, l := range table {
			if col < len(l) {
				out[i].WriteRune(l[col])
			}
		}
	}
	for i := range out {
		lines[i] = strings.TrimRight(out[i].String(), " ")
	}
	return lines
}

func packetPaint(l string) paint {
	if strings.Contains(l, "←") {
		return red
	}
	return dim
}

// wrap breaks text into lines of at most w characters.
func wrap(text string, w int) []string {
	var out []string
	cur := ""
	for _, word := range strings.Fields(text) {
		for utf8.RuneCountInString(word) > w { // longer than a line
			if cur != "" {
				out, cur = append(out, cur), ""
			}
			r := []rune(word)
			out, word = append(out, string(r[:w])), string(r[w:])
		}
		switch {
		case cur == "":
			cur = word
		case utf8.RuneCountInString(cur)+1+utf8.RuneCountInString(word) <= w:
			cur += " " + word
		default:
			out, cur = append(out, cur), word
		}
	}
	if cur != "" {
		out = append(out, cur)
	}
	return out
}

// gist cuts after the sentence in which enough has been said.
func gist(s string) string {
	for i := 0; ; {
		n := strings.Index(s[i:], ". ")
		if n < 0 {
			return s
		}
		if i += n + 1; i >= 70 {
			return s[:i]
		}
	}
}
