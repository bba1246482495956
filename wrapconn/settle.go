package wrapconn

import "time"

// holdFor is how long a report waits for what others may still tell about its
// cause: those behind it wait as well, as the order is kept. The error of the
// operation does not wait.
func holdFor(r *Report) time.Duration {
	if r.unsettled() {
		return settleAfter
	}
	return 0
}

// settled is the report as it is told when its time has come. An error has
// given r away already, so it must not be changed: another verdict needs a copy.
func settled(r *Report) *Report { return r.settle(time.Now()) }
