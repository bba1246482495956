// Package clock tells the clocks of a process apart. It has one, except in tests: each bubble of testing/synctest has one of its own, which
// begins in the year 2000.
package clock

import "time"

// Other reports whether two readings that are d apart were taken on different clocks: nothing in a process lasts for ten years.
func Other(d time.Duration) bool { return d.Abs() > 10*365*24*time.Hour }
