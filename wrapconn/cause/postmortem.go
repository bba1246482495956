package cause

import (
	"fmt"
	"strings"
	"time"
)

// PostMortem is what a server said of itself when it was asked after a failure,
// over a connection that was made for that. Behind a proxy or a load balancer it
// may be another server than the one that the failed connection led to, and the
// number of that connection may be the proxy's own.
type PostMortem struct {
	Asked bool
	// Failure is why it did not answer, in words of the guard's own ("connection
	// refused", "ERR 1045", "no answer in time"); empty if it did.
	Failure string
	After   time.Duration // from the failure until it had answered
	// UptimeKnown: it says for how long it has been up. Uptime is in whole
	// seconds, 0 within the first.
	UptimeKnown bool
	Uptime      time.Duration

	// ThreadKnown: it was asked for the failed connection, by its number.
	ThreadKnown, ThreadFound   bool
	ThreadCommand, ThreadState string        // of SHOW PROCESSLIST; the state may be empty
	ThreadTime                 time.Duration // that the thread has been in that state
	// Statement is the text of the thread's statement, which is only asked for by
	// an option of its own.
	Statement string

	// Global settings, 0 if it does not say.
	ConnectTimeout, NetReadTimeout, NetWriteTimeout, WaitTimeout time.Duration
	MaxAllowedPacket                                             int64
	// Counters since the server was started.
	AbortedClients, AbortedConnects int64
	ReadOnly, Offline               bool
}

// tolerance is how far the clock of a server, which counts whole seconds, may be
// off the one here.
const tolerance = 2 * time.Second

// restarted reports whether the server was started after the failed connection was
// made.
func (p *PostMortem) restarted(age time.Duration) bool {
	return p.UptimeKnown && p.Uptime+tolerance < age+p.After
}

// examine adds to a diagnosis what the server said afterwards, and puts its real
// settings in the place of their defaults.
func (e *Evidence) examine(d *Diagnosis) {
	p := &e.PostMortem
	if !p.Asked {
		return
	}
	if p.Failure != "" {
		d.Explanation += fmt.Sprintf(" Asked over a new connection %s later, the server did not answer: %s.", dur(p.After), p.Failure)
		return
	}
	s := fmt.Sprintf(" Asked over a new connection %s later, the server", dur(p.After))
	switch {
	case p.restarted(e.Age):
		s += fmt.Sprintf(" has been up for %s only, less than this connection was old: it was restarted, or there is another one behind this address now.", seconds(p.Uptime))
	case p.UptimeKnown && p.Uptime > e.Age+p.After:
		s += fmt.Sprintf(" has been up for %s, longer than this connection", dur(p.Uptime)) + p.thread()
	case p.UptimeKnown: // its clock counts whole seconds: either may be older
		s += fmt.Sprintf(" has been up for about %s", dur(p.Uptime)) + p.thread()
	default:
		s += " answers" + p.thread()
	}
	if p.Offline {
		s += " It is in offline mode."
	} else if p.ReadOnly {
		s += " It is read only."
	}
	d.Explanation += s
	if p.runs() && !p.restarted(e.Age) && d.Severity != DataIntegrity {
		d.Advice += " The statement still runs there: KILL it if nobody wants what it does."
	}
	d.Explanation, d.Advice = p.settings(d.Explanation), p.settings(d.Advice)
}

// thread says what became of the connection's thread.
func (p *PostMortem) thread() string {
	if !p.ThreadKnown {
		return "."
	}
	if !p.ThreadFound {
		return ", and the connection's thread is gone."
	}
	state := ""
	if p.ThreadState != "" {
		state = ", " + text(p.ThreadState)
	}
	return fmt.Sprintf(", and the connection's thread is still there: %s for %s%s.", p.ThreadCommand, seconds(p.ThreadTime), state)
}

// runs reports whether the connection's thread is at work on a statement.
func (p *PostMortem) runs() bool {
	return p.ThreadFound && (p.ThreadCommand == "Query" || p.ThreadCommand == "Execute")
}

// settings puts the real settings in the place of the defaults that a text names.
func (p *PostMortem) settings(text string) string {
	var pairs []string
	set := func(name, byDefault string, d time.Duration) {
		if d > 0 {
			_, own, _ := strings.Cut(byDefault, ";") // what may be otherwise all the same
			if own != "" {
				own = ";" + own
			}
			pairs = append(pairs, name+" ("+byDefault+")", name+" ("+seconds(d)+" on this server"+own+")")
		}
	}
	set("connect_timeout", "10 s by default", p.ConnectTimeout)
	set("net_read_timeout", "30 s by default", p.NetReadTimeout)
	set("net_write_timeout", "60 s by default", p.NetWriteTimeout)
	set("wait_timeout", "8 h by default", p.WaitTimeout)
	set("wait_timeout", "28800 s by default; a session may have its own", p.WaitTimeout)
	if p.MaxAllowedPacket > 0 {
		for _, where := range []string{" on the server", " of the server"} {
			pairs = append(pairs, "max_allowed_packet"+where, fmt.Sprintf("max_allowed_packet%s (%d bytes)", where, p.MaxAllowedPacket))
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// seconds is a duration that was told in whole seconds.
func seconds(d time.Duration) string { return fmt.Sprintf("%d s", int64(d/time.Second)) }

// String is what the server said in one line, empty if it was not asked.
func (p *PostMortem) String() string {
	switch {
	case !p.Asked:
		return ""
	case p.Failure != "":
		return p.Failure
	}
	s := "answers"
	if p.UptimeKnown {
		s = "up for " + seconds(p.Uptime)
	}
	if p.ThreadKnown {
		s += "; thread " + map[bool]string{true: "there", false: "gone"}[p.ThreadFound]
		if p.ThreadFound {
			s += fmt.Sprintf(": %s for %s %s", p.ThreadCommand, seconds(p.ThreadTime), text(p.ThreadState))
		}
	}
	sep := "; "
	for _, limit := range []struct {
		name string
		d    time.Duration
	}{{"connect_timeout", p.ConnectTimeout}, {"net_read_timeout", p.NetReadTimeout}, {"net_write_timeout", p.NetWriteTimeout}, {"wait_timeout", p.WaitTimeout}} {
		if limit.d > 0 { // or it did not say
			s, sep = s+sep+limit.name+" "+seconds(limit.d), ", "
		}
	}
	if p.MaxAllowedPacket > 0 {
		s += fmt.Sprintf("%smax_allowed_packet %d", sep, p.MaxAllowedPacket)
	}
	if p.UptimeKnown { // told together with these
		s += fmt.Sprintf("; Aborted_clients %d, Aborted_connects %d", p.AbortedClients, p.AbortedConnects)
	}
	if p.Statement != "" {
		s += "; statement " + text(p.Statement)
	}
	if p.ReadOnly {
		s += "; read only"
	}
	if p.Offline {
		s += "; offline"
	}
	return s
}
