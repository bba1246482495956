package cause

import (
	"fmt"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// prove adds to a diagnosis what the kernel and the runtime testify. It splits
// what looks the same on the wire, and never changes what the cause is called or
// whether the statement ran: a peer that reads a command and resets the
// connection at once leaves it unacknowledged (measured), so that "not
// acknowledged" does not mean "not executed".
func (e *Evidence) prove(d *Diagnosis) {
	switch d.Slug {
	case "peer_unresponsive", "closed_before_answer", "login_unanswered", "abandoned":
		e.proveDelivery(d)
	case "tls_failed":
		if e.Stream == StreamTimeout && e.Phase == session.PhaseTLS && e.TLSAlert == "" && e.ClientAlert == "" {
			e.proveDelivery(d)
		}
	case "login_delayed_on_the_way":
		e.proveDelay(d)
	case "login_stalled_locally", "slow_reader", "read_too_late":
		e.proveStall(d)
	case "stale_answer", "unsolicited_packet", "mismatched_answer":
		if e.tooEarly() {
			d.Explanation += fmt.Sprintf(" What was taken for the answer to %s began %s after the command was written, sooner than half of the least round trip of this connection (%s): it was under way before the command was.",
				what(e), micro(e.AnswerAfter), micro(e.Transport.LeastRTT))
		}
	}
}

// proveDelivery says whether the other side has what was sent.
func (e *Evidence) proveDelivery(d *Diagnosis) {
	t := &e.Transport
	subject := what(e)
	if connecting.holds(e) {
		subject = "the login"
	}
	if e.Phase == session.PhaseTLS {
		subject = "this side's part of the handshake"
	}
	if e.Unsent > 0 {
		subject = "what was sent of it"
	}
	givenUp := e.Abandoned != NotAbandoned
	inTime := e.Stream != StreamTimeout && !givenUp // the end came from there, and not from a clock here
	behind := "Behind a proxy this is the proxy: look there too."
	proved := t.Delivery()
	if proved == Undelivered && (e.Stream == StreamEOF || e.Stream == StreamReset) {
		proved = DeliveryUnknown // the end did come from there
	}
	switch proved {
	case Delivered:
		if inTime {
			d.Explanation += fmt.Sprintf(" The kernel of the other side had acknowledged %s before the end, all %s that were written on this connection: it was not lost on the way there.", subject, octets(t.Written))
			return
		}
		has := "it has " + subject + " and does not answer"
		if answering.holds(e) || e.Phase == session.PhaseLocalInfile { // whose next word is not the server's
			has = "nothing is lost on the way there"
		}
		d.Explanation += fmt.Sprintf(" The kernel of the other side has acknowledged all %s that were written: %s. The path there is alive.", octets(t.Written), has)
		if givenUp { // a statement that takes longer is the usual case, and what to do about it is said
			return
		}
		if !answering.holds(e) && e.Unsent == 0 && !connecting.holds(e) {
			d.Advice = "Look for the statement in SHOW PROCESSLIST: it waits for a lock, or takes longer than the limit (readTimeout in the DSN, the context's deadline), or the server hangs. It may still run there. " + behind
		} else if e.Phase == session.PhaseTLS {
			large := ""
			if e.largeHello() { // a box on the way that ends TCP may have it, and keep it
				large = " " + d.Advice
			}
			d.Advice = "Look at the server: it was stopped or hangs, has no thread for the connection, or waits for something else. The ClientHello has arrived there, and a refusal of versions or certificates would have been an answer. " + behind + large
		} else if connecting.holds(e) {
			d.Advice += " " + behind
		}
	case Undelivered:
		// The kernel counts the acknowledgement of the SYN too.
		silent := min(t.SinceAck, t.SinceData)
		d.Explanation += fmt.Sprintf(" The kernel of the other side has not acknowledged %s of the %s that were written, although they were retransmitted %s, and nothing has come from there for %s: the path is dead.",
			count(t.outstanding(), "byte", "bytes"), octets(t.Written), times(t.Unanswered), ago(silent))
		d.Do = "The path is dead: look at firewall, NAT, network."
		if connecting.holds(e) {
			d.Advice = "Look between this process and the server: the connection was made, and the login does not get there. Look for a firewall that lets only the first packets pass, for an MTU that swallows larger ones, and whether the other machine is gone. Raising the time limit does not help."
		} else if !answering.holds(e) {
			d.Advice = "Look between this process and the server: a firewall or NAT that forgot an idle connection drops silently (set SetConnMaxIdleTime below its limit, or let TCP keep-alive run more often), or the other machine or the network in between is gone. Raising the time limit does not help."
			if d.Executed == ExecutedUnknown {
				d.Advice += " That nothing was acknowledged does not prove that nothing arrived: check before you run the statement again."
			}
		}
	case NoRoom:
		if inTime {
			d.Explanation += fmt.Sprintf(" Before the end the kernel of the other side answered, but had no room for more: the program that should have read there did not, and %s waited here.", octets(t.NotSent))
			d.Advice += " First it did not read: a thread that hangs or waits, a machine out of CPU or memory, a process that was stopped or dumped core. " + behind
			return
		}
		if e.Phase == session.PhaseLocalInfile {
			d.Explanation += fmt.Sprintf(" The kernel of the other side answers, and has no room for more: the file is taken more slowly than it is sent, and %s wait here.", octets(t.NotSent))
			return
		}
		d.Explanation += fmt.Sprintf(" The kernel of the other side answers, but has no room for more: the program that should read there does not, and %s wait here.", octets(t.NotSent))
		d.Advice = "The path is alive. Look for what keeps the server from reading: a thread that hangs or waits, a machine out of CPU or memory. " + behind
		if e.Unsent > 0 && e.large() {
			// MySQL Router 9.7 in passthrough mode: a few of a thousand commands that its server refuses.
			d.Advice += " Or the server has refused the command for its size, and the proxy neither reads on nor closes: compare it with max_allowed_packet."
		}
		d.Do = "Look for what keeps the server or proxy from reading."
	default:
		if !t.Known || t.outstanding() == 0 {
			return
		}
		n := count(t.outstanding(), "byte", "bytes")
		if !inTime {
			d.Explanation += fmt.Sprintf(" The kernel of the other side has not acknowledged the last %s yet: the time was too short to tell a dead path from a slow one.", n)
			return
		}
		d.Explanation += fmt.Sprintf(" The kernel of the other side never acknowledged the last %s. That does not prove that nobody read them: a peer that ends a connection at once does not acknowledge what it read.", n)
	}
}

// proveDelay says who delayed a login that left in time.
func (e *Evidence) proveDelay(d *Diagnosis) {
	t := &e.Transport
	if !t.Known || t.Written == 0 || e.far() || e.doubted() {
		return
	}
	if t.Retransmitted > 0 {
		d.Explanation += fmt.Sprintf(" %s had to be sent again on this connection: packets are lost on the way.", capital(count(t.Retransmitted, "segment", "segments")))
		return
	}
	if t.Delivery() != Delivered || t.RTT <= 0 || e.SinceLogin < 4*t.RTT {
		return
	}
	d.Explanation += fmt.Sprintf(" Nothing was sent twice, all of it is acknowledged, and a round trip takes %s: the network lost and delayed nothing between this process and what ends the TCP connection. The end of that TCP connection, a proxy or the server itself, kept the login.", micro(t.RTT))
	d.Advice = "Look at what ends the TCP connection: a proxy or load balancer that queues connections or greets before it has a backend, or a server that was stopped or had no thread for the connection. Connect once without the proxy and compare. Raising the server's connect_timeout (10 s by default) only hides it."
}

// proveStall says what kept this process from running.
func (e *Evidence) proveStall(d *Diagnosis) {
	if !e.ours() {
		return
	}
	pause := e.LongestReadGap
	switch d.Slug {
	case "login_stalled_locally":
		pause = e.loginPause()
	case "read_too_late":
		pause = e.unread()
	}
	d.Explanation += e.Stall.Sentence(pause)
	proved := e.Stall.Cause(pause)
	if proved == StallUnknown {
		return
	}
	d.Do = proved.do()
	if site := e.Stall.site(); proved == StallOwn && site != "" {
		d.Do = "Look at " + site + ": the program was there."
	}
	perhapsOwn := (proved == StallNoCPU || proved == StallThrottled) && e.Stall.perhapsOwn(pause) != ""
	if perhapsOwn {
		d.Do = "It lacked CPU, or waits in its own code: look at both."
	}
	advice := e.Stall.Advice(pause)
	switch {
	case d.Slug == "login_stalled_locally":
		d.Advice = advice + " Raising the server's connect_timeout (10 s by default) only hides it."
	case d.Slug == "read_too_late":
		d.Advice = "The server and the network are not to blame. " + advice + " Raising readTimeout in the DSN only hides it."
	case proved == StallOwn, perhapsOwn:
		d.Advice = advice + " " + d.Advice
	default: // the pace of the program's own code is not to blame
		d.Advice = advice + " Raising net_write_timeout (60 s by default) only hides it."
	}
}

// unread is for how long the answer had been there when this process came to read
// it: by the kernel, since the last of it came; else since the limit was over.
func (e *Evidence) unread() time.Duration {
	if e.Transport.Known {
		return max(e.Overdue, e.Transport.SinceData)
	}
	return e.Overdue
}

// tooEarly: what came first after the last command cannot be an answer to it.
func (e *Evidence) tooEarly() bool {
	return e.ours() && e.Transport.tooEarly(e.AnswerAfter)
}

func octets(n uint64) string { return count(n, "byte", "bytes") }

// minStall is the least pause about which a process is asked.
const minStall = time.Second

// Pause is how long this process kept the server waiting, as far as that can
// have mattered: in the login, between two reads of an answer, or until it read
// an answer that was there. It is 0 if nobody is accused of it.
func (e *Evidence) Pause() time.Duration {
	p := e.LongestReadGap
	switch {
	case e.readLate():
		p = e.unread()
	case connecting.holds(e):
		p = e.loginPause()
	}
	if p < minStall {
		return 0
	}
	return p
}
