package mysqltest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Server plays scripts to the clients that connect. After the last step of its script a connection stays open until the client
// closes it or the test ends; a script that is to end it says so ([Close], [Reset]).
type Server struct {
	Net  string // "tcp" or "unix"
	Addr string // host:port, or the path of the socket

	t         testing.TB
	listener  net.Listener
	script    func(n int) ([]Step, bool)
	scripts   int // that must have been played at the end of the test
	stop      chan struct{}
	accepting sync.WaitGroup
	running   sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]string // what each is at
	played int
}

// Serve plays one script to the first connection; a second connection is an error.
func Serve(t testing.TB, steps ...Step) *Server {
	t.Helper()
	return ServeConns(t, steps)
}

// ServeConns plays one script to each of the connections, in the order in which they come; one more is an error, one fewer too.
func ServeConns(t testing.TB, scripts ...[]Step) *Server {
	t.Helper()
	return listen(t, "tcp", "127.0.0.1:0", len(scripts), inOrder(scripts))
}

// ServeUnix is [Serve] on a unix socket.
func ServeUnix(t testing.TB, steps ...Step) *Server {
	t.Helper()
	// Not t.TempDir: its path has the test's name in it, and a socket's path has little room (unix(7): 108 bytes).
	dir, err := os.MkdirTemp("", "mysqltest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return listen(t, "unix", filepath.Join(dir, "s.sock"), 1, inOrder([][]Step{steps}))
}

// ServeEvery plays the same script to every connection, however many come.
func ServeEvery(t testing.TB, steps ...Step) *Server {
	t.Helper()
	return listen(t, "tcp", "127.0.0.1:0", 0, func(int) ([]Step, bool) { return steps, true })
}

func inOrder(scripts [][]Step) func(int) ([]Step, bool) {
	return func(n int) ([]Step, bool) {
		if n < len(scripts) {
			return scripts[n], true
		}
		return nil, false
	}
}

func listen(t testing.TB, network, addr string, scripts int, script func(int) ([]Step, bool)) *Server {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	s := &Server{Net: network, Addr: l.Addr().String(), t: t, listener: l, script: script, scripts: scripts,
		stop: make(chan struct{}), conns: map[net.Conn]string{}}
	s.accepting.Add(1)
	go s.accept()
	t.Cleanup(s.close)
	return s
}

// DSN is a data source name for go-sql-driver that leads here; params are of the form "a=b&c=d", or empty.
func (s *Server) DSN(params string) string { return dsn("user:password", s.Net, s.Addr, "", params) }

func dsn(account, network, addr, db, params string) string {
	d := fmt.Sprintf("%s@%s(%s)/%s", account, network, addr, db)
	if params != "" {
		d += "?" + params
	}
	return d
}

func (s *Server) accept() {
	defer s.accepting.Done()
	for n := 0; ; n++ {
		conn, err := s.listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.t.Errorf("mysqltest: accept: %v", err)
			}
			return
		}
		steps, ok := s.script(n)
		if !ok {
			s.t.Errorf("mysqltest: connection %d came, there are scripts for %d", n+1, n)
			conn.Close()
			continue
		}
		s.mu.Lock()
		s.conns[conn] = "start"
		s.played++
		s.mu.Unlock()
		s.running.Add(1)
		go s.play(n, conn, steps)
	}
}

func (s *Server) play(n int, conn net.Conn, steps []Step) {
	defer s.running.Done()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
		conn.Close()
	}()
	ses := &Session{Conn: conn, Number: n, stop: s.stop}
	for i, st := range steps {
		at := fmt.Sprintf("step %d of %d, %v", i+1, len(steps), st)
		ses.idle = func(idle bool) {
			if idle {
				s.at(conn, "")
			} else {
				s.at(conn, at)
			}
		}
		s.at(conn, at)
		if err := st.Run(ses); err != nil {
			if errors.Is(err, net.ErrClosed) && s.ended() {
				return // end has said what there is to say: a command may come at the very moment
			}
			s.t.Errorf("mysqltest: connection %d, %s: %v", n+1, at, err)
			return
		}
	}
	s.at(conn, "")
	ses.drain()
}

// ended reports whether end has closed the connections.
func (s *Server) ended() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// at notes what a connection is doing; "" is: nothing that must come to an end.
func (s *Server) at(conn net.Conn, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[conn] = what
}

// close ends what is left. Connections that are still to come, and scripts that are still at something, get a moment: the
// client's last bytes may be on their way.
func (s *Server) close() {
	s.await(100*time.Millisecond, func(over bool) bool { return over || s.played >= s.scripts })
	s.listener.Close()
	s.accepting.Wait() // whom the listener let in is in conns now
	// The look and the end are one, or a script could go on in between.
	s.await(3*time.Second, s.end)
	s.running.Wait()
}

// await calls done, with mu held, until it returns true; over tells that the time is.
func (s *Server) await(most time.Duration, done func(over bool) bool) {
	for until := time.Now().Add(most); ; time.Sleep(time.Millisecond) { // between two looks
		s.mu.Lock()
		ok := done(time.Now().After(until))
		s.mu.Unlock()
		if ok {
			return
		}
	}
}

// end ends the connections if no script is at anything, or if time is over.
func (s *Server) end(over bool) bool {
	for _, what := range s.conns {
		if what != "" && !over {
			return false
		}
	}
	close(s.stop)
	for conn, what := range s.conns {
		if what != "" {
			s.t.Errorf("mysqltest: the test ended while the script was at %s", what)
		}
		conn.Close()
	}
	if s.played < s.scripts {
		s.t.Errorf("mysqltest: %d connections came, there are scripts for %d", s.played, s.scripts)
	}
	return true
}
