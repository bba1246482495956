//go:build unix

package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// stuck takes the first line and then waits, like a pipe that nobody reads any more.
type stuck struct {
	lines   atomic.Int32
	first   chan string
	release chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	if s.lines.Add(1) == 1 {
		s.first <- string(p)
	} else {
		<-s.release
	}
	return len(p), nil
}

// TestErrorsThatNobodyReads: the proxy ends by SIGTERM also if its reports block.
func TestErrorsThatNobodyReads(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	errs := &stuck{first: make(chan string, 1), release: make(chan struct{})}
	defer close(errs.release)
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"proxy", "-listen", "127.0.0.1:0", "-server", "127.0.0.1:1"}, streams{nil, io.Discard, errs})
	}()
	if line := <-errs.first; !strings.Contains(line, "→") {
		t.Fatalf("it does not say that it serves: %q", line)
	}
	stop()
	select {
	case code := <-done:
		if code != 0 {
			t.Errorf("status %d", code)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}

// TestReaderOfReportsEnds: the end of who reads the reports ends no connection, and is
// told where that is possible.
func TestReaderOfReportsEnds(t *testing.T) {
	ping := mysqltest.Packet(0, []byte{0x0e})
	ok := func(seq byte) []byte { return mysqltest.Packet(seq, mysqltest.OKPayload(0, 0, 2, 0)) }
	greeting := mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{}))
	login := mysqltest.Packet(1, append([]byte{0, 2, 0, 0}, make([]byte, 30)...))
	server := mysqltest.Accept(t, func(c net.Conn) {
		_, _ = c.Write(greeting)
		_, _ = io.ReadFull(c, make([]byte, len(login)))
		_, _ = c.Write(ok(2))
		for {
			if _, err := io.ReadFull(c, make([]byte, len(ping))); err != nil {
				return
			}
			_, _ = c.Write(ok(7)) // a violation each time
		}
	}).Addr().String()
	for _, closed := range []string{"stdout", "stderr"} {
		t.Run(closed, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := inside(ctx, "proxy -json -listen 127.0.0.1:0 -server "+server)
			var ends [2]*os.File // that are read here
			for i, of := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _, _ = r.Close(), w.Close() }()
				ends[i], *of = r, w
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			out, errs := bufio.NewReader(ends[0]), bufio.NewReader(ends[1])
			addr := listensOn(t, errs)
			for i := range ends {
				// What the process has inherited is all there is of the other end.
				_ = []io.Writer{cmd.Stdout, cmd.Stderr}[i].(*os.File).Close()
			}
			if closed == "stdout" {
				_ = ends[0].Close()
			} else {
				_ = ends[1].Close()
			}
			for range 3 {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				_ = c.SetDeadline(time.Now().Add(30 * time.Second))
				_, _ = io.ReadFull(c, make([]byte, len(greeting)))
				_, _ = c.Write(login)
				_, _ = io.ReadFull(c, make([]byte, len(ok(2))))
				_, _ = c.Write(ping)
				if _, err := io.ReadFull(c, make([]byte, len(ok(7)))); err != nil {
					t.Fatalf("the proxy is gone: %v", err)
				}
				_ = c.Close()
				if closed == "stderr" {
					if line, err := out.ReadString('\n'); err != nil || !strings.Contains(line, `"cause"`) {
						t.Fatalf("%q, %v", line, err)
					}
				}
			}
			if closed == "stdout" {
				said := false
				for !said {
					line, err := errs.ReadString('\n')
					if err != nil {
						t.Fatalf("nothing is said: %v", err)
					}
					said = strings.Contains(line, "-json: violations cannot be written")
				}
			}
			_ = cmd.Process.Signal(os.Interrupt)
			_ = ends[0].Close()
			_ = ends[1].Close()
			if err := cmd.Wait(); err != nil && closed == "stdout" {
				t.Error(err)
			}
		})
	}
}
