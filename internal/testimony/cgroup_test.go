package testimony

import (
	"io/fs"
	"slices"
	"testing"
	"time"
)

// files is a machine as a test wants it.
type files map[string]string

func (f files) read(name string) ([]byte, error) {
	text, ok := f[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

const mountV2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"

const statV2 = "usage_usec 1200000\nuser_usec 800000\nsystem_usec 400000\nnice_usec 0\nnr_periods 30\nnr_throttled 27\nthrottled_usec 2700000\nnr_bursts 0\nburst_usec 0\n"

// A pod of Kubernetes on control groups of version 2, as it sees itself.
func podV2() files {
	return files{
		"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": mountV2,
		"/sys/fs/cgroup/cpu.stat": statV2, "/sys/fs/cgroup/cpu.max": "50000 100000\n",
	}
}

// A service of systemd whose slice has the limit.
func sliceV2() files {
	return files{
		"/proc/self/cgroup": "0::/shop.slice/api.service\n", "/proc/self/mountinfo": mountV2,
		"/sys/fs/cgroup/cpu.stat":                        "usage_usec 1\n", // the root has no limit
		"/sys/fs/cgroup/shop.slice/cpu.stat":             statV2,
		"/sys/fs/cgroup/shop.slice/cpu.max":              "150000 100000\n",
		"/sys/fs/cgroup/shop.slice/api.service/cpu.stat": "usage_usec 900000\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
		"/sys/fs/cgroup/shop.slice/api.service/cpu.max":  "max 100000\n",
	}
}

// Docker on version 1: the path is that outside of the container.
func dockerV1() files {
	return files{
		"/proc/self/cgroup": "5:memory:/docker/0123\n4:cpu,cpuacct:/docker/0123\n1:name=systemd:/docker/0123\n0::/system.slice/docker.service\n",
		"/proc/self/mountinfo": "40 31 0:29 /docker/0123 /sys/fs/cgroup/systemd ro,nosuid master:11 - cgroup cgroup rw,xattr,name=systemd\n" +
			"43 31 0:33 /docker/0123 /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime master:15 - cgroup cgroup rw,cpu,cpuacct\n",
		"/sys/fs/cgroup/cpu,cpuacct/cpu.stat":          "nr_periods 30\nnr_throttled 27\nthrottled_time 2700000000\n",
		"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  "200000\n",
		"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
	}
}

func TestQuota(t *testing.T) {
	for name, c := range map[string]struct {
		files files
		group group
		want  quota
	}{
		"pod":         {podV2(), group{2, []string{"/sys/fs/cgroup"}}, quota{true, 2700 * time.Millisecond, 27, 1200 * time.Millisecond, 0.5}},
		"slice":       {sliceV2(), group{2, []string{"/sys/fs/cgroup/shop.slice/api.service", "/sys/fs/cgroup/shop.slice"}}, quota{true, 2700 * time.Millisecond, 27, 1200 * time.Millisecond, 1.5}},
		"docker":      {dockerV1(), group{1, []string{"/sys/fs/cgroup/cpu,cpuacct"}}, quota{true, 2700 * time.Millisecond, 27, 0, 2}},
		"none":        {files{}, group{}, quota{}},
		"no cpu":      {files{"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": mountV2, "/sys/fs/cgroup/cpu.stat": "usage_usec 1\n"}, group{}, quota{}},
		"not mounted": {files{"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": "1 0 0:1 / / rw - ext4 /dev/vda rw\n"}, group{}, quota{}},
		"nonsense":    {files{"/proc/self/cgroup": "::\n0\n\n:::::", "/proc/self/mountinfo": " - \n- - -\na b c d e - cgroup2\n"}, group{}, quota{}},
	} {
		g := findGroup(c.files.read)
		if g.version != c.group.version || !slices.Equal(g.folders, c.group.folders) {
			t.Errorf("%s: group %+v, want %+v", name, g, c.group)
		}
		all := g.quotas(c.files.read)
		since := make([]quota, len(all))
		for i := range all {
			since[i].known = all[i].known
		}
		if q := throttledMost(since, all); q != c.want {
			t.Errorf("%s: %+v, want %+v", name, q, c.want)
		}
	}
	for text, want := range map[string]quota{
		"":                                    {},
		"nr_throttled -1\nthrottled_usec x\n": {},
		"throttled_usec 99999999999999999\n":  {known: true, throttled: microseconds(1<<63 - 1)}, // no overflow
		"throttled_usec\n":                    {},
	} {
		if got := parseCPUStat(text, 2); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// Two levels with a quota each: which of them has been throttled most since it was made
// changes between two samples. What is told is of one of them, in that time.
func TestQuotaOfTwoLevels(t *testing.T) {
	before := sample{at: at(0), quotas: []quota{
		{known: true, throttled: 100 * s, periods: 5000, usage: 900 * s, limit: 2},
		{known: true, throttled: 99 * s, periods: 40, usage: 90 * s, limit: 8},
	}}
	after := sample{at: at(3 * s), quotas: []quota{
		{known: true, throttled: 100 * s, periods: 5000, usage: 901 * s, limit: 2},
		{known: true, throttled: 101 * s, periods: 60, usage: 91 * s, limit: 8},
	}}
	got := between(&before, &after)
	if got.Periods != 20 || got.Throttled != 2*s || got.CPULimit != 8 {
		t.Errorf("%d periods, throttled for %v at a limit of %v; want 20, 2 s, 8", got.Periods, got.Throttled, got.CPULimit)
	}
}

func TestParseProc(t *testing.T) {
	if d, ok := parseSchedstat("250333 1234567 12\n"); !ok || d != 1234567 {
		t.Errorf("%v %v", d, ok)
	}
	for _, bad := range []string{"", "1", "1 -5 1", "a b c"} {
		if d, ok := parseSchedstat(bad); ok {
			t.Errorf("%q gives %v", bad, d)
		}
	}
	if d := parsePressure("some avg10=1.55 avg60=11.46 avg300=29.05 total=194032746\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"); d != 194032746*time.Microsecond {
		t.Errorf("%v", d)
	}
	for _, bad := range []string{"", "some total=", "some", "full total=5"} {
		if d := parsePressure(bad); d != 0 {
			t.Errorf("%q gives %v", bad, d)
		}
	}
}
