//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestStopped: the login comes too late for the server, once because the proxy was stopped, once because the client waited. The
// proxy does not accuse a client of its own pause.
func TestStopped(t *testing.T) {
	const pause = 3200 * time.Millisecond
	greeting := mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{}))
	login := mysqltest.Packet(1, append([]byte{0, 2, 0, 0}, make([]byte, 30)...))
	server := mysqltest.Accept(t, func(c net.Conn) {
		_, _ = c.Write(greeting)
		<-time.After(pause - time.Second) // connect_timeout
		_, _ = c.Write(mysqltest.Packet(1, []byte("\xff\x87\x04#08S01Got timeout reading communication packets")))
		_, _ = io.Copy(io.Discard, c)
	}).Addr().String()
	for who, want := range map[string]string{"proxy": "login_delayed_on_the_way", "client": "login_stalled_locally"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestMainInside$")
			cmd.Env = append(os.Environ(), insideArgs+"=proxy -json -listen 127.0.0.1:0 -server "+server)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			says, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { cancel(); _ = cmd.Wait() }()
			line, err := bufio.NewReader(says).ReadString('\n')
			_, rest, _ := strings.Cut(line, "seqguard proxy: ")
			addr, _, ok := strings.Cut(rest, " →")
			if !ok {
				t.Fatalf("%q, %v", line, err)
			}
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := io.ReadFull(c, make([]byte, len(greeting))); err != nil {
				t.Fatal(err)
			}
			if who == "proxy" {
				_ = cmd.Process.Signal(syscall.SIGSTOP)
				_, _ = c.Write(login)
				<-time.After(pause)
				_ = cmd.Process.Signal(syscall.SIGCONT)
			} else {
				<-time.After(pause)
				_, _ = c.Write(login)
			}
			b, err := bufio.NewReader(out).ReadBytes('\n')
			var told struct {
				Cause, Explanation, Advice string
				Alternatives               []string `json:"not_excluded"`
			}
			if err == nil {
				err = json.Unmarshal(b, &told)
			}
			if err != nil || told.Cause != want {
				t.Fatalf("%v, %s", err, bytes.TrimSpace(b))
			}
			if who == "proxy" && (!strings.Contains(told.Explanation, "this proxy did not look at its own clock for") || !strings.Contains(told.Advice, "this proxy") ||
				!slices.Contains(told.Alternatives, "login_stalled_locally")) {
				t.Errorf("%s", b)
			}
		})
	}
}
