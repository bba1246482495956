package proxy

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// On Linux, connections whose bytes pass as they are have no goroutines of their own: a loop waits for many of them with epoll(7).
// A goroutine for each direction is parked and woken twice for every command, and each time the scheduler looks for other work
// before it waits; that took more CPU than reading, looking and writing.

// loops are those of one proxy. The zero value has none yet.
type loops struct {
	mu   sync.Mutex
	all  []*loop
	over bool // no new ones; each ends with its last connection
}

// most is how many loops there are at most: one processor is left to what is not a loop.
func most() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// get returns the loop with the fewest connections, one more counted; nil if there is none to be had.
func (ls *loops) get() *loop {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.over {
		return nil
	}
	var least *loop
	for _, l := range ls.all {
		if least == nil || l.load < least.load {
			least = l
		}
	}
	if least == nil || least.load > 0 && len(ls.all) < most() {
		l, err := newLoop(ls)
		switch {
		case err == nil:
			ls.all = append(ls.all, l)
			least = l
			go l.run()
		case least == nil:
			return nil
		}
	}
	least.load++
	return least
}

// put counts a connection out that get has counted in.
func (ls *loops) put(l *loop) {
	ls.mu.Lock()
	l.load--
	end := ls.over && l.load == 0
	ls.mu.Unlock()
	if end {
		l.do(l.end)
	}
}

// stop ends each loop when it has no connection any more.
func (ls *loops) stop() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.over {
		return
	}
	ls.over = true
	for _, l := range ls.all {
		if l.load == 0 {
			l.do(l.end)
		}
	}
}

// loop passes the bytes of its connections, one after the other. What it calls must not wait for anything.
type loop struct {
	of      *loops
	load    int // connections; guarded by of.mu
	poll    int // descriptor of the epoll
	pipe    [2]int
	sockets map[int32]*socket
	buf     *[bufferSize]byte // for what is passing
	over    bool

	mu     sync.Mutex
	todo   []func()
	closed bool
}

func newLoop(of *loops) (l *loop, err error) {
	l = &loop{of: of, sockets: map[int32]*socket{}, buf: buffers.Get().(*[bufferSize]byte)}
	if l.poll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if err = syscall.Pipe2(l.pipe[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		_ = syscall.Close(l.poll)
		return nil, err
	}
	e := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(l.pipe[0])}
	if err = syscall.EpollCtl(l.poll, syscall.EPOLL_CTL_ADD, l.pipe[0], &e); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// A goroutine that has not been through the scheduler for 10 ms loses its processor at the next system call, and as long as that
// happens the runtime's watchdog (sysmon) looks for such a one every 20 µs: an eighth of the CPU. So a loop that is busy goes through
// the scheduler sooner; one with fewer turns than lookTurns in that time has little to lose.
const (
	sliceLength = 5 * time.Millisecond
	lookTurns   = 16 // so rarely a look at the clock costs nothing
)

// run is the loop's goroutine. It reads as long as bytes are there (level-triggered): what one turn leaves in a socket is told
// again in the next one.
func (l *loop) run() {
	defer l.close()
	runtime.LockOSThread() // the kernel then keeps it near those that it wakes and that wake it
	events := make([]syscall.EpollEvent, 128)
	var slice time.Time // since when the goroutine has not let go of its processor
	for turn := 0; !l.over; turn++ {
		if turn%lookTurns == 0 {
			if now := time.Now(); now.Sub(slice) > sliceLength {
				runtime.Gosched()
				slice = now
			}
		}
		n, err := syscall.EpollWait(l.poll, events, -1)
		if err != nil && err != syscall.EINTR {
			panic(os.NewSyscallError("epoll_wait", err)) // it has no error that is not a fault of ours
		}
		asked := false
		for i := range max(n, 0) {
			e := &events[i]
			if s := l.sockets[e.Fd]; s != nil { // nil if the turn has closed it
				s.ready(e.Events)
			} else if int(e.Fd) == l.pipe[0] {
				asked = true
			}
		}
		// Behind the events: a descriptor that is new here may have the number of one that they are about.
		if asked {
			l.perform()
		}
	}
}

// do has the loop call f. It may be called from anywhere, with locks held: it does not wait.
func (l *loop) do(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return // it had no connection left
	}
	l.todo = append(l.todo, f)
	if len(l.todo) == 1 {
		_, _ = syscall.Write(l.pipe[1], []byte{0})
	}
}

func (l *loop) perform() {
	var b [16]byte
	_, _ = syscall.Read(l.pipe[0], b[:])
	l.mu.Lock()
	todo := l.todo
	l.todo = nil
	l.mu.Unlock()
	for _, f := range todo {
		f()
	}
}

func (l *loop) end() { l.over = true }

func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	_, _, _ = syscall.Close(l.poll), syscall.Close(l.pipe[0]), syscall.Close(l.pipe[1])
	buffers.Put(l.buf)
}
