package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

const clock = "2006-01-02 15:04:05.000"

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if s, ok := strings.CutSuffix(what, "y"); ok {
		return fmt.Sprintf("%d %sies", n, s)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (x *explainer) text() bool { return !x.opts.JSON && x.opts.HTML == "" }

func (x *explainer) violation(c *conn, v *report.Violation) {
	x.tally.violation(v)
	switch {
	case x.page != nil:
		x.page.violation(v)
	case x.opts.JSON:
		x.keep(v.JSON(x.out))
	default:
		fmt.Fprintf(x.out, "\n#%d", c.number)
		x.keep(v.Text(x.out))
	}
}

func (x *explainer) keep(err error) {
	if x.err == nil {
		x.err = err
	}
}

// packet is one line of the list.
func (c *conn) packet(p conversation.Packet) {
	x := c.x
	c.packets += uint64(p.Count)
	if x.opts.OnPacket != nil {
		x.opts.OnPacket(c.number, p)
	}
	if c.lines != nil {
		c.lines.add(&p, c.start)
	}
	if !x.opts.Packets || x.page != nil {
		return
	}
	if x.opts.JSON {
		x.keep(x.enc.Encode(packetObject{c.number, report.PacketObject(&p)}))
		return
	}
	line := report.PacketLine(&p, time.Unix(0, c.start))
	fmt.Fprintf(x.out, "#%-4d %s", c.number, line)
	if s := c.margin(&p); s != "" {
		fmt.Fprintf(x.out, "   ← %s", s)
	}
	if c.sql != nil && p.Kind == session.KindCommand {
		if s := c.sql.next(&p); s != "" {
			fmt.Fprintf(x.out, "   %s", s)
		}
	}
	x.keep(x.out.WriteByte('\n'))
	c.last[p.Direction], c.speaker = p, p.Direction
}

// packetObject is a packet for programs: it has no cause.
type packetObject struct {
	Number int `json:"connection"` // in the order of the capture
	report.Packet
}

// pause is how long one side may wait for the other before the margin says so.
const pause = 500 * time.Millisecond

// margin is what a list of packets does not say by itself.
func (c *conn) margin(p *conversation.Packet) string {
	var s []string
	if p.Violation != session.None {
		s = append(s, p.Violation.String())
	}
	before := &c.last[c.speaker]
	if before.Time.IsZero() {
		return strings.Join(s, "; ")
	}
	if d := p.Time.Sub(before.Time); d >= pause {
		who := "client"
		if p.Direction == session.FromServer {
			who = "server"
		}
		switch {
		case p.Kind == session.KindCommand && c.speaker == session.FromServer:
			s = append(s, "idle for "+report.Duration(d))
		case p.Direction == c.speaker:
			s = append(s, "the "+who+" paused for "+report.Duration(d))
		default:
			s = append(s, "the "+who+" took "+report.Duration(d))
		}
	}
	if p.Kind == session.KindCommand && c.speaker == session.FromClient && c.last[session.FromClient].Kind == session.KindCommand &&
		p.Violation == session.None && answered(c.last[session.FromClient].Command) {
		s = append(s, "sent before the answer to the last command")
	}
	return strings.Join(s, "; ")
}

// answered reports whether a command has an answer.
func answered(c session.Command) bool {
	switch c {
	case session.ComStmtClose, session.ComStmtSendLongData, session.ComQuit:
		return false
	}
	return true
}

func (x *explainer) gap(c *conn, d session.Direction, n int64, at int64) {
	x.totals.Gaps++
	x.totals.Lost += uint64(n)
	c.gaps++
	c.lost += uint64(n)
	if x.opts.Packets && x.text() {
		from := "server"
		if d == session.FromClient {
			from = "client"
		}
		fmt.Fprintf(x.out, "#%-4d %+12.6f  ···  %d bytes of the %s are not in the capture\n", c.number, c.since(at).Seconds(), n, from)
	}
}

// gone writes the line of a connection.
func (x *explainer) gone(c *conn, at int64) {
	s := c.talk.State()
	if s.Counts.Untracked > 0 && c.gaps == 0 && !c.flow.Middle {
		x.totals.Untracked++
	}
	if s.Counts.Opaque > 0 {
		x.totals.Opaque++
		x.totals.Encrypted = x.totals.Encrypted || s.TLS == cause.TLSOpaque && x.opts.KeyLog == ""
	}
	x.tally.connection(&s, len(c.causes))
	if x.page != nil {
		x.page.connection(c, &s, at)
		return
	}
	if x.opts.JSON {
		return
	}
	ends := c.ends()
	fmt.Fprintf(x.out, "\n#%-4d %s  %s → %s  %s\n", c.number, time.Unix(0, c.start).Format(clock), ends[0], ends[1], who(s.Client))
	x.keep(x.out.WriteByte(' '))
	fmt.Fprintf(x.out, "     %s\n", strings.Join(c.facts(&s, at), "; "))
}

// who is a client without its address.
func who(c cause.Client) string {
	c.Address = ""
	return c.String()
}

// facts are what there is to say of a connection in one line.
func (c *conn) facts(s *conversation.State, at int64) []string {
	var f []string
	if s.ServerVersion != "" {
		f = append(f, "server "+clip(s.ServerVersion))
	}
	if s.Connection != 0 {
		f = append(f, fmt.Sprintf("connection %d", s.Connection))
	}
	f = append(f, report.Duration(c.since(at)), plural(int(s.Commands), "command"),
		report.Bytes(s.Sent)+" sent, "+report.Bytes(s.Received)+" received")
	switch s.TLS {
	case cause.TLSVisible:
		f = append(f, "TLS, seen with its secrets")
	case cause.TLSOpaque:
		f = append(f, "TLS, not seen")
	}
	if s.Compressed {
		f = append(f, "compressed")
	}
	if s.OpaqueReason != "" {
		f = append(f, "opaque: "+s.OpaqueReason)
	}
	if c.flow.Middle {
		f = append(f, "its beginning is not in the capture")
	}
	if c.gaps > 0 {
		f = append(f, fmt.Sprintf("%s lost by the capture in %s", report.Bytes(c.lost), plural(c.gaps, "place")))
	}
	if n := c.flow.Again[0] + c.flow.Again[1]; n > 0 {
		f = append(f, plural(int(n), "segment")+" sent again")
	}
	if c.vantage == cause.VantageServerHost {
		f = append(f, "seen at the server's end")
	} else if c.vantage == cause.VantageBetween {
		f = append(f, "seen in between")
	}
	f = append(f, ending(s))
	if len(c.causes) > 0 {
		names := make([]string, 0, 4)
		for _, n := range c.causes[:min(len(c.causes), 4)] {
			names = append(names, string(n))
		}
		f = append(f, plural(len(c.causes), "violation")+": "+strings.Join(names, ", "))
	}
	return f
}

func clip(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return fmt.Sprintf("%q", s)
		}
	}
	return s
}

// ending says who ended the connection, and how.
func ending(s *conversation.State) string {
	name := func(e cause.StreamEnd) string {
		if e == cause.StreamReset {
			return "reset"
		}
		return "closed"
	}
	switch {
	case s.ClientEnd == cause.StreamOpen && s.ServerEnd == cause.StreamOpen:
		return "open at the end of the capture"
	case s.ServerEnd == cause.StreamOpen || s.ClientEnd != cause.StreamOpen && s.ClientEndAt <= s.ServerEndAt:
		quit := ""
		if s.Command == session.ComQuit {
			quit = " with COM_QUIT"
		}
		return name(s.ClientEnd) + " by the client" + quit
	}
	return name(s.ServerEnd) + " by the server"
}

// finish writes what closes the run.
func (x *explainer) finish() error {
	if x.page != nil {
		_ = x.file.Truncate(0) // a pipe has no length
		err := x.page.write(x.file, x)
		if e := x.file.Close(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(x.out, "%s: %s, %s\n", x.opts.HTML, plural(x.totals.Connections, "connection"), plural(x.totals.Violations, "violation"))
		return x.err
	}
	if !x.opts.JSON {
		x.tally.write(x.out, &x.totals)
	}
	return x.err
}
