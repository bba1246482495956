package explain

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// timeline is when each side of a connection spoke, in so few points that a page can
// show it.
type timeline struct {
	points []point
	marks  []point // violations
}

type point struct {
	at   int64 // nanoseconds since the connection was made
	dir  session.Direction
	text string // of a mark
}

const (
	maxPoints = 600
	maxMarks  = 50
)

func (t *timeline) add(p *conversation.Packet, start int64) {
	at := p.Time.UnixNano() - start
	if p.Violation != session.None {
		t.mark(at, p.Direction, p.Violation.String()+": "+p.Label())
	}
	if len(t.points) == maxPoints { // every second one goes, of each direction
		var turn [2]bool
		kept := t.points[:0]
		for _, q := range t.points {
			if turn[q.dir] = !turn[q.dir]; turn[q.dir] {
				kept = append(kept, q)
			}
		}
		t.points = kept
	}
	t.points = append(t.points, point{at: at, dir: p.Direction})
}

// mark adds a violation.
func (t *timeline) mark(at int64, dir session.Direction, text string) {
	if len(t.marks) < maxMarks {
		t.marks = append(t.marks, point{at, dir, text})
	}
}

// svg draws it: the client's words above the line, the server's below.
func (t *timeline) svg(length int64) template.HTML {
	const left, width, mid = 60, 930, 26
	length = max(length, 1)
	x := func(at int64) float64 { return left + float64(width)*float64(min(max(at, 0), length))/float64(length) }
	var paths [2]strings.Builder
	last := [2]float64{-1, -1}
	for _, p := range t.points {
		if at := x(p.at); at-last[p.dir] >= 0.5 { // closer than that is one line on the screen
			last[p.dir] = at
			up := 12
			if p.dir == session.FromClient {
				up = -12
			}
			fmt.Fprintf(&paths[p.dir], "M%.1f %dv%d", at, mid, up)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 1000 56" role="img" aria-label="timeline"><line x1="%d" y1="%d" x2="%d" y2="%d" stroke="var(--line)"/>`, left, mid, left+width, mid)
	fmt.Fprintf(&b, `<text x="0" y="%d">client</text><text x="0" y="%d">server</text>`, mid-4, mid+12)
	fmt.Fprintf(&b, `<path d="%s" stroke="var(--client)" stroke-width="1.2"/><path d="%s" stroke="var(--server)" stroke-width="1.2"/>`,
		&paths[session.FromClient], &paths[session.FromServer])
	for _, m := range t.marks {
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%d" r="4" fill="var(--error)"><title>%s</title></circle>`, x(m.at), mid, template.HTMLEscapeString(m.text))
	}
	fmt.Fprintf(&b, `<text x="%d" y="54">0</text><text x="%d" y="54" text-anchor="end">%s</text></svg>`, left, left+width,
		template.HTMLEscapeString(duration(length)))
	return template.HTML(b.String()) // numbers and escaped text only
}
