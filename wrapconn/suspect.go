package wrapconn

import "github.com/seqguard/mysql-seqguard/wrapconn/cause"

// Sound reports whether nothing was reported about the connection: Err, Take and
// Suspect return nil then. It costs next to nothing.
func (c *Conn) Sound() bool { return !c.broken.Load() }

// Suspect returns, once, the report of a violation that makes it doubtful whose
// answer the operation under way got: another answer, which nobody had asked for,
// came before or after it. All answers begin alike, so it cannot be known which of
// the two belongs to the operation. Suspect returns nil if there was none.
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
