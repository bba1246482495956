package mysqltest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a program that runs in the background and ends with the test binary, even if that crashes (where the system can do so).
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// startProcess runs a program with its output in a log file.
func startProcess(log string, env []string, name string, args ...string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(os.Environ(), env...)
	if id, ok := serverUser(); ok {
		setUser(p.cmd, id)
	}
	endWithParent(p.cmd)
	started := make(chan error)
	go func() {
		// The kernel ends the process when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG): keep the thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.cmd.Wait()
			close(p.done)
		}
	}()
	return p, <-started
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks the process to end and waits; after 20 s it is killed.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.kill()
	}
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// waitUntil polls until ready succeeds; an error if the process ends first or the time is up.
func (p *process) waitUntil(limit time.Duration, ready func() error) error {
	for until := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) { // between two looks
		err := ready()
		if err == nil {
			return nil
		}
		if p.ended() {
			return fmt.Errorf("it ended: %v", p.cmd.ProcessState)
		}
		if time.Now().After(until) {
			return fmt.Errorf("not ready after %v: %w", limit, err)
		}
	}
}

type ids struct{ uid, gid uint32 }

// serverUser is the user that servers run as when the test runs as root: mysqld refuses root.
func serverUser() (ids, bool) {
	if os.Getuid() != 0 {
		return ids{}, false
	}
	for _, name := range []string{"mysql", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return ids{uint32(uid), uint32(gid)}, true
		}
	}
	return ids{}, false
}

// giveToServer makes the server's user the owner of a folder and all that is in it.
func giveToServer(dir string) error {
	id, ok := serverUser()
	if !ok {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(id.uid), int(id.gid))
	})
}

// privateDir makes a folder for a server, short enough for a socket in it; whoever runs it may look in.
func privateDir() (string, error) {
	dir, err := os.MkdirTemp("", "mysqltest")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// FreePort returns a TCP port of the loopback interface that is free now, another one each time. It lies below the range from which
// clients get theirs (from 32768 on, on some systems from 49152): a client could get one of those while its server is not yet up, or
// down to be restarted. Nor does another test binary get it while this one runs, which has taken the UDP port of the same number as a sign;
// any other process may still take it before it is used.
func FreePort() (port int, err error) {
	const first, count = 24000, 8000
	for range 100 {
		port = first + int(nextPort.Add(1)%count)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		sign, e := net.ListenPacket("udp", addr)
		if e != nil {
			err = e
			continue
		}
		l, e := net.Listen("tcp", addr)
		if e != nil {
			_ = sign.Close()
			err = e
			continue
		}
		takenPorts.Lock()
		takenPorts.signs = append(takenPorts.signs, sign)
		takenPorts.Unlock()
		return port, l.Close()
	}
	return 0, err
}

// takenPorts keeps the signs from being collected, and closed with that. They end with the process.
var takenPorts struct {
	sync.Mutex
	signs []net.PacketConn
}

// nextPort begins anywhere, so that processes do not try the same ports one after the other.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32()) }
