package testimony

import (
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// maxTasks bounds how many threads are looked at. A program with more has them
// in system calls or in C, and the first ones are those of the scheduler.
const maxTasks = 256

// found is where the control group is. A process is moved to another one before
// it begins its work, if ever.
var found = sync.OnceValue(func() group { return findGroup(os.ReadFile) })

// take reads the counters of this process.
func take() sample {
	s := sample{at: time.Now(), ran: cpuTime(), runtime: readRuntime()}
	g := found()
	s.quotas = g.quotas(os.ReadFile)
	s.tasks, s.some = readTasks()
	pressure := "/proc/pressure/cpu"
	if g.version == 2 {
		pressure = g.folders[0] + "/cpu.pressure"
	}
	if b, err := os.ReadFile(pressure); err == nil {
		s.pressure = parsePressure(string(b))
	}
	return s
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// readTasks also returns whether there may be more threads.
func readTasks() (tasks map[int]time.Duration, some bool) {
	dir, err := os.Open("/proc/self/task")
	if err != nil {
		return nil, false
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(maxTasks)
	tasks = make(map[int]time.Duration, len(names))
	for _, name := range names {
		id, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/self/task/" + name + "/schedstat")
		if err != nil {
			continue // it has ended, or the kernel has no CONFIG_SCHED_INFO
		}
		if waited, ok := parseSchedstat(string(b)); ok {
			tasks[id] = waited
		}
	}
	if len(tasks) == 0 {
		return nil, false
	}
	return tasks, len(names) == maxTasks
}
