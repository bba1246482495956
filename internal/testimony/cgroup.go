package testimony

import (
	"strconv"
	"strings"
	"time"
)

// readFile is os.ReadFile, or a fixture.
type readFile func(name string) ([]byte, error)

// group is where the control group of this process keeps its counters: the
// folders of the group and of those above it that can be seen. The quota of each
// of them holds for this process.
type group struct {
	version int // 0: there is none with a cpu controller
	folders []string
}

// maxGroups bounds how many levels are read.
const maxGroups = 6

// findGroup reads where the cpu controller has this process: version 2 if it is
// there, else 1. Linux, Documentation/admin-guide/cgroup-v2.rst and proc(5).
func findGroup(read readFile) group {
	cgroups, err := read("/proc/self/cgroup")
	if err != nil {
		return group{}
	}
	mounts, err := read("/proc/self/mountinfo")
	if err != nil {
		return group{}
	}
	for _, version := range []int{2, 1} {
		path, ok := groupPath(string(cgroups), version)
		if !ok {
			continue
		}
		root, point, ok := groupMount(string(mounts), version)
		if !ok {
			continue
		}
		g := group{version: version}
		for _, dir := range levels(root, path, point) {
			if _, err := read(dir + "/cpu.stat"); err != nil {
				continue
			}
			if _, err := read(dir + quotaFile(version)); err == nil {
				g.folders = append(g.folders, dir)
			}
		}
		if len(g.folders) > 0 {
			return g
		}
	}
	return group{}
}

func quotaFile(version int) string {
	if version == 2 {
		return "/cpu.max"
	}
	return "/cpu.cfs_quota_us"
}

// groupPath finds the group in /proc/self/cgroup: "0::/path" of version 2,
// "4:cpu,cpuacct:/path" of version 1.
func groupPath(cgroups string, version int) (path string, ok bool) {
	for line := range strings.Lines(cgroups) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		if version == 2 && f[0] == "0" && f[1] == "" || version == 1 && has(f[1], "cpu") {
			return f[2], true
		}
	}
	return "", false
}

// groupMount finds in /proc/self/mountinfo where the hierarchy is mounted, and
// which of its folders is.
func groupMount(mounts string, version int) (root, point string, ok bool) {
	for line := range strings.Lines(mounts) {
		before, after, found := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !found || len(f) < 5 || len(g) < 3 {
			continue
		}
		if version == 2 && g[0] == "cgroup2" || version == 1 && g[0] == "cgroup" && has(g[2], "cpu") {
			return f[3], f[4], true
		}
	}
	return "", "", false
}

// has reports whether a comma-separated list has a word.
func has(list, word string) bool {
	for s := range strings.SplitSeq(list, ",") {
		if s == word {
			return true
		}
	}
	return false
}

// levels are the folders of the group path and of those above it, below the
// mount point, innermost first. In a container, path may be that outside of it,
// which begins with root.
func levels(root, path, point string) (out []string) {
	rel := strings.TrimPrefix(path, strings.TrimSuffix(root, "/"))
	for range maxGroups {
		rel = strings.TrimSuffix(rel, "/")
		out = append(out, point+rel)
		i := strings.LastIndexByte(rel, '/')
		if i < 0 {
			break
		}
		rel = rel[:i]
	}
	return out
}

// quotas reads the counters of each level.
func (g group) quotas(read readFile) []quota {
	out := make([]quota, len(g.folders))
	for i, dir := range g.folders {
		stat, err := read(dir + "/cpu.stat")
		if err != nil {
			continue
		}
		if out[i] = parseCPUStat(string(stat), g.version); out[i].known {
			out[i].limit = g.limit(read, dir)
		}
	}
	return out
}

// throttledMost is what the level counted from a to b that was throttled most in that
// time. Each level has counters of its own: those of one say nothing about another's.
func throttledMost(a, b []quota) (most quota) {
	for i := range min(len(a), len(b)) {
		if !a[i].known || !b[i].known {
			continue
		}
		l := quota{known: true, throttled: max(0, b[i].throttled-a[i].throttled), limit: b[i].limit}
		if b[i].periods > a[i].periods {
			l.periods = b[i].periods - a[i].periods
		}
		if b[i].usage > 0 {
			l.usage = b[i].usage - a[i].usage
		}
		switch {
		case !most.known, l.throttled > most.throttled:
			// A limit further out holds as well, if there is none here.
			if most.known && l.limit == 0 {
				l.limit = most.limit
			}
			most = l
		case most.limit == 0:
			most.limit = l.limit
		}
	}
	return most
}

// parseCPUStat reads cpu.stat: microseconds in version 2, nanoseconds in 1.
func parseCPUStat(text string, version int) (q quota) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			continue
		}
		switch name {
		case "nr_throttled":
			q.periods = uint64(n)
		case "throttled_time":
			if version == 1 {
				q.throttled, q.known = time.Duration(n), true
			}
		case "throttled_usec":
			if version == 2 {
				q.throttled, q.known = microseconds(n), true
			}
		case "usage_usec":
			q.usage = microseconds(n)
		}
	}
	return q
}

// limit reads how many CPUs the group may use; 0 is no limit.
func (g group) limit(read readFile, dir string) float64 {
	number := func(b []byte, err error) float64 {
		f, perr := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
		if err != nil || perr != nil {
			return 0
		}
		return f
	}
	var quota, period float64
	if g.version == 2 {
		b, err := read(dir + "/cpu.max") // "max 100000", "50000 100000"
		q, p, _ := strings.Cut(string(b), " ")
		quota, period = number([]byte(q), err), number([]byte(p), err)
	} else {
		quota = number(read(dir + "/cpu.cfs_quota_us")) // -1: none
		period = number(read(dir + "/cpu.cfs_period_us"))
	}
	if quota <= 0 || period <= 0 {
		return 0
	}
	return quota / period
}

// microseconds is a duration that does not overflow.
func microseconds(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Microsecond)
	return time.Duration(min(n, most)) * time.Microsecond
}
