//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
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
	server := mysqltest.Accept(t, func(c net.Conn) {
		_, _ = c.Write(serverGreeting)
		<-time.After(pause - time.Second) // connect_timeout
		_, _ = c.Write(mysqltest.Packet(1, []byte("\xff\x87\x04#08S01Got timeout reading communication packets")))
		_, _ = io.Copy(io.Discard, c)
	}).Addr().String()
	for who, want := range map[string]string{"proxy": "login_delayed_on_the_way", "client": "login_stalled_locally"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			b := late(t, server, pause, who == "proxy")
			for try := 0; try < 3 && who == "client" && bytes.Contains(b, []byte(ownClock)); try++ {
				t.Log("again: this machine stood still, and the proxy says so")
				b = late(t, server, pause, false)
			}
			var told struct {
				Cause, Explanation, Advice string
				NotExcluded                []string `json:"not_excluded"`
			}
			if err := json.Unmarshal(b, &told); err != nil || told.Cause != want {
				t.Fatalf("%v, %s", err, b)
			}
			if who == "proxy" && (!strings.Contains(told.Explanation, ownClock) || !strings.Contains(told.Advice, "this proxy") || !slices.Contains(told.NotExcluded, "login_stalled_locally")) {
				t.Errorf("%s", b)
			}
		})
	}
}

const ownClock = "this proxy did not look at its own clock for"

// late returns what a proxy reports of a login that comes after the pause, in which the proxy is stopped or the client waits.
func late(t *testing.T, server string, pause time.Duration, stop bool) []byte {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := inside(ctx, "proxy -json -listen 127.0.0.1:0 -server "+server)
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
	c, err := net.Dial("tcp", listensOn(t, bufio.NewReader(says)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.ReadFull(c, make([]byte, len(serverGreeting))); err != nil {
		t.Fatal(err)
	}
	login := mysqltest.Packet(1, append([]byte{0, 2, 0, 0}, make([]byte, 30)...))
	if stop {
		_ = cmd.Process.Signal(syscall.SIGSTOP)
		_, _ = c.Write(login)
		<-time.After(pause)
		_ = cmd.Process.Signal(syscall.SIGCONT)
	} else {
		<-time.After(pause)
		_, _ = c.Write(login)
	}
	b, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var serverGreeting = mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{}))
