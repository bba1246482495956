package proxy

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
)

// A proxy that is stopped, or has no processor, reads late what its client has sent in time. To the server, and by the proxy's
// own notes, that looks like a client that was late. So while there are connections the proxy looks at its own clock once a
// second, and says how late it was.

// watched reports whether there are connections, for which the clock is looked at.
func (p *Proxy) watched() (open, waits bool) {
	open = p.open() > 0
	return open, open
}

// lateHere notes for how long this proxy did not look at its clock during a login.
func (p *Proxy) lateHere(f *conversation.Finding) {
	if e := &f.Evidence; e.Phase.Connecting() {
		ended := max(0, time.Since(f.Time))
		e.ProxyLate = p.clock.Between(ended+e.Age, ended).Late
	}
}
