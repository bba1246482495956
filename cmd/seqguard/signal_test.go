//go:build unix

package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestSecondSignal: the first SIGTERM waits for a connection that is busy, the second
// one for nobody.
func TestSecondSignal(t *testing.T) {
	greeting := mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{}))
	server := mysqltest.Accept(t, func(c net.Conn) {
		_, _ = c.Write(greeting)
		_, _ = io.Copy(io.Discard, c)
	}).Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := inside(ctx, "proxy -listen 127.0.0.1:0 -grace 1h -server "+server)
	says, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr := listensOn(t, bufio.NewReader(says))
	busy, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	if _, err := io.ReadFull(busy, make([]byte, len(greeting))); err != nil { // it is in its login now
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	for ctx.Err() == nil { // until it does not listen any more: the first one has come
		c, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	ended := make(chan struct{})
	go func() { // the first one may still be at work
		for cmd.Process.Signal(syscall.SIGTERM) == nil {
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	_, _ = io.Copy(io.Discard, says)
	err = cmd.Wait()
	close(ended)
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("%v", err)
	}
}
