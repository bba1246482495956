package proxy

import (
	"fmt"
	"sync"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// The end of an idle connection breaks no rule: its client has asked for nothing, and meets the end later, or never. So it is no
// violation, and one alone is not told. Several at once are what is left of a server that was killed, and that is told in one line.

// idleEnds are the idle connections that the server has ended since the first of them, within idleWindow.
type idleEnds struct {
	mu           sync.Mutex
	n            int
	open         int // connections there were
	transactions int // of n, within one
	first, last  time.Time
	shortest     time.Duration // without a byte until then
	longest      time.Duration
	total        uint64 // since the start
}

// idleWindow is how long ends are counted together.
const idleWindow = time.Second

// isIdleEnd reports whether the end of the server's bytes is one of an idle connection, as the conversation was before it. That of a client
// that has left, or said COM_QUIT, is asked for; where packets are not seen, nothing is known.
func isIdleEnd(st *conversation.State, unread bool) bool {
	return st.Phase == session.PhaseReady && st.Pending == 0 && st.ClientEnd == cause.StreamOpen && !unread
}

// idleEnd notes one.
func (p *Proxy) idleEnd(st *conversation.State, quiet time.Duration) {
	open := p.open()
	e := &p.idle
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if e.n == 0 {
		e.first, e.open, e.shortest, e.longest = now, open, quiet, quiet
		time.AfterFunc(idleWindow, p.tellIdleEnds)
	}
	e.n++
	e.total++
	e.last, e.shortest, e.longest = now, min(e.shortest, quiet), max(e.longest, quiet)
	if st.InTransaction {
		e.transactions++
	}
}

// idleEnded is how many there were since the start.
func (p *Proxy) idleEnded() uint64 {
	p.idle.mu.Lock()
	defer p.idle.mu.Unlock()
	return p.idle.total
}

// tellIdleEnds tells those that came together.
func (p *Proxy) tellIdleEnds() {
	p.idle.mu.Lock()
	line := p.idle.line(p.server)
	p.idle.n, p.idle.transactions = 0, 0
	p.idle.mu.Unlock()
	if line != "" {
		p.logOf(endedIdle, "%s", line)
	}
}

// line is what there is to tell, with mu held.
func (e *idleEnds) line(server string) string {
	if e.n < 2 {
		return ""
	}
	within := ""
	if e.transactions > 0 {
		within = fmt.Sprintf(", %d of them within a transaction", e.transactions)
	}
	// A timeout ends each when it has been idle for as long as the others.
	quiet, what := "after "+report.Duration(e.shortest)+" to "+report.Duration(e.longest), "a restart, a crash or a failover does that"
	if e.longest-e.shortest <= idleWindow {
		quiet, what = "each after "+report.Duration(e.longest), "a timeout for idle connections does that, and so does a restart, a crash or a failover"
	}
	return fmt.Sprintf("%d idle connections to %s (of %d that were open) were ended by the server, or by what is in between, within %s, %s without traffic%s: %s. "+
		"Their clients meet it at their next command", e.n, server, e.open, report.Duration(e.last.Sub(e.first)), quiet, within, what)
}
