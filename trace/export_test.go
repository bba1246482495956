package trace

import "time"

// Version is that of the scope.
const Version = version

// SetClock gives the rate limit another clock.
func (r *Recorder) SetClock(now func() time.Time) { r.now = now }
