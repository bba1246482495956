package trace

import "github.com/seqguard/mysql-seqguard/internal/version"

import "time"

// Version is that of the scope.
const Version = version.Version

// SetClock gives the rate limit another clock.
func (r *Recorder) SetClock(now func() time.Time) { r.now = now }
