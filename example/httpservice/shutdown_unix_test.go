//go:build unix

package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/kit"
)

// TestShutdown: a request that is under way when the signal comes still has its pool.
func TestShutdown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	over := make(chan error, 1)
	go func() { over <- run(addr, server.DSN("app", "")) }()
	listening := func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	kit.Eventually(t, listening, "it does not listen")
	body, more := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", "http://"+addr+"/stock/pear", body)
	if err != nil {
		t.Fatal(err)
	}
	status := make(chan int, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			status <- 0
			return
		}
		_ = resp.Body.Close()
		status <- resp.StatusCode
	}()
	if _, err := io.WriteString(more, "1"); err != nil { // it is on its way
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	kit.Eventually(t, func() bool { return !listening() }, "it still listens")
	if _, err := io.WriteString(more, "2"); err != nil {
		t.Fatal(err)
	}
	_ = more.Close()
	if got := <-status; got != http.StatusNoContent {
		t.Errorf("status %d", got)
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
}
