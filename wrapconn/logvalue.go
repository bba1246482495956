package wrapconn

import (
	"log/slog"
	"strconv"
	"strings"
)

var _ slog.LogValuer = (*Report)(nil)

// logPackets is how many packets LogValue tells.
const logPackets = 8

// Summary is the report in one line of at most [MaxErrorLine] characters: the text
// of its error, without the client's own.
func (r *Report) Summary() string { return r.line(nil) }

// LogValue implements [slog.LogValuer]: what the reader of a log needs, on one
// screen. The rest is in the report itself.
func (r *Report) LogValue() slog.Value {
	d, e := &r.Cause, &r.Evidence
	out := make([]slog.Attr, 0, 20)
	add := func(key, value string) {
		if value != "" {
			out = append(out, slog.String(key, value))
		}
	}
	add("cause", string(d.Slug))
	add("severity", d.Severity.String())
	add("explanation", d.Explanation)
	add("advice", d.Advice)
	if !d.Standing {
		add("executed", d.Executed.String())
	}
	if safe, applies := d.Retry(); applies {
		out = append(out, slog.Bool("retry_safe", safe))
	}
	if len(d.Alternatives) > 0 {
		s := make([]string, len(d.Alternatives))
		for i, a := range d.Alternatives {
			s[i] = string(a)
		}
		add("alternatives", strings.Join(s, " "))
	}
	add("server", r.Server)
	add("database", r.Database)
	if r.Connection != 0 {
		add("connection", strconv.FormatUint(uint64(r.Connection), 10))
	}
	if r.Intruder != nil {
		add("refused", r.Intruder.String())
		if r.Owner != nil {
			add("in_use_by", r.Owner.String())
		}
	} else if r.Owner != nil {
		add("operation", r.Owner.String())
	}
	add("seen", numbers(e))
	if lines := r.PacketLines(logPackets); len(lines) > 0 {
		out = append(out, slog.Any("packets", lines))
	}
	return slog.GroupValue(out...)
}
