package seqguard

import "github.com/seqguard/mysql-seqguard/wrapconn"

// Stats returns the totals of this process since it started: guarded
// connections made, violations reported, conversations that could not be
// followed or seen, reports that could not be delivered. It may be called at any time.
func Stats() wrapconn.Counters { return wrapconn.Stats() }
