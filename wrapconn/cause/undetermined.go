package cause

import (
	"fmt"
	"strings"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Undetermined is the slug of a failure that no rule fits.
const Undetermined Slug = "undetermined"

// unknown is the last row. It says what is known and does not guess.
var unknown = rule{
	slug:     Undetermined,
	severity: Error,
	title:    "The cause could not be determined",
	signs:    nil,
	explain: func(e *Evidence) string {
		return "No known cause fits these facts: " + strings.Join(facts(e), ", ") + "."
	},
	advise: func(*Evidence) string {
		return "Look into the error log of the server and the proxy at this moment, and try the same without the proxy. Please report the case with the packets of this report, so that it gets a name: https://github.com/seqguard/mysql-seqguard/issues"
	},
	executed: ifSent,
}

// facts lists what was seen, as far as it was.
func facts(e *Evidence) []string {
	out := []string{"phase " + e.Phase.String()}
	add := func(yes bool, format string, args ...any) {
		if yes {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	seen := e.Kind != session.KindUnknown || e.Violation != session.None && e.Violation != session.Truncated
	add(e.Violation != session.None, "%s", e.Violation)
	add(seen, "%s %s of %s with number %d where %d was due", e.Direction, e.Kind, count(e.Length, "byte", "bytes"), e.Actual, e.Expected)
	add(e.ServerError != nil, "%s", e.words())
	add(e.Stream != StreamOpen, "connection %s", e.Stream)
	add(e.InsidePacket, "inside a packet")
	add(e.Command != session.ComSleep, "command %s", e.Command)
	add(true, "%s", count(e.Pending, "answer outstanding", "answers outstanding"))
	add(e.BeforeCommand, "found before a command was written")
	add(e.Unsent > 0, "%s not sent", count(e.Unsent, "byte", "bytes"))
	add(e.TLS != TLSNone, "TLS %s", e.TLS)
	add(e.Compressed, "compressed")
	add(len(e.FirstBytes) > 0, "first bytes %s", firstBytes(e.FirstBytes))
	add(alertBefore(e.FirstBytes), "an alert of TLS in front of the greeting, as if for another connection (MySQL 9.7.4 was seen to do this while it ended many logins: offline_mode)")
	add(e.Age > 0, "connected %s ago", dur(e.Age))
	add(e.LoginAfter > 0, "login %s after the greeting", dur(e.LoginAfter))
	add(e.Idle > 0, "idle for %s", dur(e.Idle))
	add(e.SinceCommand > 0, "command sent %s ago", dur(e.SinceCommand))
	add(e.RelatedFailures > 0, "%s to this server failed within a second", count(e.RelatedFailures, "other connection", "other connections"))
	return out
}

// nearest names the rows that want a single fact, the ones with most in their
// favour first.
func nearest(e *Evidence) string {
	const most = 3
	type near struct {
		slug Slug
		want string
		held int
	}
	var best []near
	for i := range rules {
		r := &rules[i]
		n := near{slug: r.slug}
		for _, s := range r.signs {
			if want, held, ok := s.missing(e); ok && held > n.held {
				n.want, n.held = want, held
			}
		}
		if n.held == 0 {
			continue
		}
		at := len(best)
		for at > 0 && best[at-1].held < n.held {
			at--
		}
		best = append(best[:at], append([]near{n}, best[at:]...)...)
		best = best[:min(len(best), most)]
	}
	if len(best) == 0 {
		return " No known cause comes near."
	}
	var b strings.Builder
	b.WriteString(" Nearest, and what each would need:")
	for i, n := range best {
		sep := ";"
		if i == 0 {
			sep = ""
		}
		fmt.Fprintf(&b, "%s %s — that %s", sep, n.slug, n.want)
	}
	b.WriteString(".")
	return b.String()
}
