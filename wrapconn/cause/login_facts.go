package cause

import (
	"fmt"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// What the rules about logins look for, and the words that they share.

// silentEnd: the peer ended the connection and said nothing.
func silentEnd(e *Evidence) bool {
	return ended.holds(e) && e.ServerError == nil && e.TLSAlert == "" && e.ClientAlert == ""
}

// proxyHeader recognises MariaDB's refusals of a PROXY header by its words:
// the codes alone (1105, 1130) are used for much else.
var proxyHeader = fact{is: "the server spoke of a PROXY header", holds: func(e *Evidence) bool {
	return (e.code() == 1105 || e.code() == 1130) && strings.Contains(strings.ToLower(e.ServerError.Message), "proxy header")
}}

// shown is whose certificate the client was shown.
func shown(e *Evidence) string {
	if e.OwnCertificate {
		return "proxy's"
	}
	return "server's"
}

// certificateAlert reports whether the server's alert is about the client's
// certificate: whoever receives such an alert is the one whose certificate it is.
// RFC 8446, section 6.2.
func certificateAlert(e *Evidence) bool { return aboutCertificate(e.TLSAlert) }

func aboutCertificate(alert string) bool {
	a := strings.ToLower(alert)
	for _, s := range [...]string{"certificate", "unknown ca", "unknown_ca", "unknown certificate"} {
		if strings.Contains(a, s) {
			return true
		}
	}
	return false
}

const (
	sslRequestBytes = 36   // with its header
	oneSegment      = 1400 // of TCP, on Ethernet and a little less
)

// largeHello reports whether the ClientHello, and what followed it, does not fit one segment of TCP.
func (e *Evidence) largeHello() bool { return e.CommandBytes-sslRequestBytes > oneSegment }

// tlsHint is for a login that ended without a word although no TLS was asked for.
func tlsHint(e *Evidence) string {
	if e.TLS == TLSNone && e.Network != "unix" {
		return " Some servers and proxies that take logins only over TLS hang up like this on a login without it: try tls=true. If a proxy ends TLS in between, look at its side towards the server."
	}
	return " If a proxy ends TLS in between, look at its side towards the server: the login ends with it."
}

var ownNumbersRight = guard("the client numbered its packets rightly", func(e *Evidence) bool { return !e.Misnumbered })

// otherBytes is why a server may read within a login what its client did not send.
const otherBytes = " A PROXY header in front of the connection, which MySQL does not know, has this answer, and so has something on the way that changes packets. " + mixedUp

// mixedUp was measured: of 40,000 logins with TLS to a server that ended others
// meanwhile, two got ERR 1156, and a hundred an alert of TLS in front of the greeting.
const mixedUp = "MySQL 9.7.4 was also seen to take one login's bytes for another's while it ended many (offline_mode)."

// sentAfter says what this process did meanwhile.
func sentAfter(e *Evidence) string {
	unseen := !paused(e) && couldNotRun(e)
	switch {
	case unseen && behindGreeting(e) && e.sinceGreeting() >= minConnectTimeout:
		step := "authentication"
		if e.Phase == session.PhaseTLS {
			step = "handshake of TLS"
		}
		return fmt.Sprintf("%s was still in the %s %s after it had read the greeting", e.who(), step, dur(e.sinceGreeting())) + layHere(e)
	case unseen:
		return fmt.Sprintf("%s read the greeting %s after it had begun to connect", e.who(), dur(e.DialTook+e.GreetingAfter)) + layHere(e)
	case e.GreetingLay > 0 && e.LoginAfter == 0:
		return fmt.Sprintf("by the kernel's clock the greeting had been here for %s when %s read it, and the login had not been sent", dur(e.GreetingLay), e.who())
	case e.GreetingLay > 0:
		return fmt.Sprintf("by the kernel's clock the greeting had been here for %s when %s read it, and the login was sent %s later", dur(e.GreetingLay), e.who(), dur(e.LoginAfter))
	case e.LoginAfter == 0 && e.pause() == 0:
		return "when " + e.who() + " sent it was not measured"
	case (e.far() || proxyLate(e)) && e.LoginAfter > 0:
		return fmt.Sprintf("it passed here %s after the greeting", dur(e.LoginAfter))
	case e.far(), proxyLate(e):
		return fmt.Sprintf("it had not passed here %s after the greeting", dur(e.pause()))
	case e.LoginAfter == 0:
		return fmt.Sprintf("%s had not sent it %s after it read the greeting", e.who(), dur(e.pause()))
	case e.OwnPause > e.LoginAfter && e.OwnPause >= time.Millisecond:
		// Before the first Read, or in a later round; less is nobody's trouble.
		return fmt.Sprintf("%s sent it %s after it read the greeting, and kept the server waiting for %s at another step", e.who(), dur(e.LoginAfter), dur(e.OwnPause))
	}
	return fmt.Sprintf("%s sent it %s after it read the greeting", e.who(), dur(e.LoginAfter))
}

// layHere is the kernel's word about it, to follow a clause.
func layHere(e *Evidence) string {
	if e.lay() < leastLay {
		return ""
	}
	return fmt.Sprintf(", and by the kernel's clock the last of what the server had sent had been here for %s when it was read", dur(e.lay()))
}

// unread tells what the number of an ERR proves: the distance is the number of
// this side's packets that the server had not read.
func unread(e *Evidence) string {
	d := e.Distance()
	if e.Violation != session.MisnumberedError || d < 1 || d > 8 || e.Compressed {
		return ""
	}
	last := "last packet"
	if d > 1 {
		last = fmt.Sprintf("last %d packets", d)
	}
	return fmt.Sprintf(" The ERR's number (%d where %d was due) says that the server had not read the %s of this login.", e.Actual, e.Expected, last)
}

// version names the peer in brackets, as far as it named itself.
func version(e *Evidence) string {
	if e.ServerVersion == "" {
		return ""
	}
	return " (it calls itself " + text(e.ServerVersion) + ")"
}
