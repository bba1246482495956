package testimony

import (
	"strconv"
	"strings"
	"time"
)

// parseSchedstat reads /proc/self/task/N/schedstat: time on a CPU, time ready
// and without one, both in nanoseconds, and how often it ran. Linux,
// Documentation/scheduler/sched-stats.rst. (/proc/self/schedstat is that of the
// first thread alone.)
func parseSchedstat(text string) (waited time.Duration, ok bool) {
	f := strings.Fields(text)
	if len(f) < 2 {
		return 0, false
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	return time.Duration(n), err == nil && n >= 0
}

// parsePressure reads the total of the line "some" of /proc/pressure/cpu or of a
// group's cpu.pressure, in microseconds. Linux, Documentation/accounting/psi.rst.
func parsePressure(text string) time.Duration {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "some ") {
			continue
		}
		_, total, ok := strings.Cut(line, "total=")
		n, err := strconv.ParseInt(strings.TrimSpace(total), 10, 64)
		if !ok || err != nil || n < 0 {
			return 0
		}
		return microseconds(n)
	}
	return 0
}
