package wrapconn

import "github.com/seqguard/mysql-seqguard/wrapconn/cause"

// Suspect returns, once, the report of a violation that puts in doubt whose
// answer the operation under way got, if there was one: behind it, or in front
// of it, came another that nobody had asked for. All answers begin alike, so
// which of the two is the operation's own cannot be known.
func (c *Conn) Suspect() *Report {
	if !c.broken.Load() {
		return nil
	}
	return c.suspect()
}

func (c *Conn) suspect() *Report {
	c.mu.Lock()
	defer c.unlock()
	r := c.pending
	if r == nil || r.Cause.Severity != cause.DataIntegrity {
		return nil
	}
	c.pending = nil
	return r
}

// CutShort reports, once, whether a Write failed when a part of its command had
// been written.
func (c *Conn) CutShort() bool { return c.cut.Load() && c.cut.Swap(false) }
