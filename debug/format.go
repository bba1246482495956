package debug

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// MarshalJSON writes milliseconds with a fraction, to the microsecond.
func (d ms) MarshalJSON() ([]byte, error) {
	v := float64(time.Duration(d).Round(time.Microsecond)) / float64(time.Millisecond)
	return strconv.AppendFloat(nil, v, 'f', -1, 64), nil
}

// String is the duration as a person would say it.
func (d ms) String() string {
	v := time.Duration(d)
	number := func(unit time.Duration, digits int, name string) string {
		return strconv.FormatFloat(float64(v)/float64(unit), 'f', digits, 64) + " " + name
	}
	switch {
	case v < time.Microsecond:
		return "0 s"
	case v < time.Millisecond:
		return number(time.Microsecond, 0, "µs")
	case v < 10*time.Millisecond:
		return number(time.Millisecond, 1, "ms")
	case v < time.Second:
		return number(time.Millisecond, 0, "ms")
	case v < time.Minute:
		return number(time.Second, 1, "s")
	}
	units := [...]struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	i := 0
	for v < units[i].size {
		i++
	}
	s := strconv.FormatInt(int64(v/units[i].size), 10) + " " + units[i].name
	if rest := v % units[i].size / units[i+1].size; rest > 0 {
		s += " " + strconv.FormatInt(int64(rest), 10) + " " + units[i+1].name
	}
	return s
}

func size(n uint64) string {
	const names = "kMGTPE"
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, i := float64(n)/1000, 0
	for v >= 999.5 {
		v /= 1000
		i++
	}
	digits := 0
	if v < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + names[i:i+1] + "B"
}

// widths are those of the columns of a timeline: no wider than what is in them,
// because a telephone has room for 50 characters.
type widths struct{ at, ids, label, bytes int }

func widthsOf(shown []packet) (w widths) {
	for i := range shown {
		w.add(&shown[i])
	}
	return w
}

func (w *widths) add(p *packet) {
	w.at = wider(w.at, decimals(int(time.Duration(p.At)/time.Second))+len("+.000000"))
	if p.ids == "" {
		return // there are no other columns
	}
	w.ids = wider(w.ids, utf8.RuneCountInString(p.ids))
	w.label = wider(w.label, utf8.RuneCountInString(p.Label))
	w.bytes = wider(w.bytes, decimals(p.Bytes))
}

// wider bounds a column by the spaces that there are to fill it.
func wider(w, n int) int { return min(max(w, n), len(spaces)) }

// decimals is how many digits a number has that is not negative.
func decimals(n int) int {
	k := 1
	for ; n > 9; n /= 10 {
		k++
	}
	return k
}

// appendLine appends the packet as a line: when, direction, sequence id, what it
// is, bytes, and what is wrong with it.
func (p *packet) appendLine(b []byte, w *widths) []byte {
	b = appendSeconds(b, time.Duration(p.At), w.at)
	if p.sent {
		b = append(b, "  ──▶  "...)
	} else {
		b = append(b, "  ◀──  "...)
	}
	if p.ids == "" {
		return append(b, p.Label...) // not MySQL: no number, no length
	}
	b = append(b, "seq "...)
	b = left(b, p.ids, w.ids)
	b = append(b, "  "...)
	b = left(b, p.Label, w.label)
	b = append(b, "  "...)
	b = append(b, spaces[:max(0, w.bytes-decimals(p.Bytes))]...)
	b = strconv.AppendInt(b, int64(p.Bytes), 10)
	b = append(b, " byte"...)
	if p.Bytes != 1 {
		b = append(b, 's')
	}
	if p.Violation != "" {
		if p.Bytes == 1 {
			b = append(b, ' ')
		}
		b = append(b, "  ← "...)
		b = append(b, p.Violation...)
		if p.Due != nil {
			b = append(b, ", "+strconv.Itoa(int(*p.Due))+" was due"...)
		}
	}
	return b
}

const spaces = "                                "

// appendSeconds appends seconds to the microsecond, "+1.000250", in a column of that
// width.
func appendSeconds(b []byte, d time.Duration, width int) []byte {
	n := (max(d, 0) + time.Microsecond/2) / time.Microsecond
	whole, part := int(n/1e6), int(n%1e6)
	b = append(b, spaces[:max(0, width-decimals(whole)-len("+.000000"))]...)
	b = strconv.AppendInt(append(b, '+'), int64(whole), 10)
	b = append(b, '.')
	for unit := 100_000; unit > 0; unit /= 10 {
		b = append(b, byte('0'+part/unit%10))
	}
	return b
}

func left(b []byte, s string, width int) []byte {
	return append(append(b, s...), spaces[:max(0, width-utf8.RuneCountInString(s))]...)
}
