package netlab

import (
	"context"
	"io"
	"testing"
	"time"
)

// TestLab: bytes pass, late if they are to, and not at all if they are not.
func TestLab(t *testing.T) {
	l := New(t)
	ln := l.Listen(t)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	c, err := l.Dial(context.Background(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	echo := func(limit time.Duration) (time.Duration, error) {
		start, b := time.Now(), []byte("x")
		if _, err := c.Write(b); err != nil {
			return 0, err
		}
		c.SetReadDeadline(start.Add(limit))
		_, err := c.Read(b)
		return time.Since(start), err
	}
	const patience = 20 * time.Second // for a busy machine
	if d, err := echo(patience); err != nil {
		t.Fatalf("%v after %v", err, d)
	}
	l.Delay(20 * time.Millisecond)
	if d, err := echo(patience); err != nil || d < 40*time.Millisecond {
		t.Errorf("%v, %v; want at least 40 ms", d, err)
	}
	l.NFT(t, "add rule inet lab in tcp dport 1-65535 drop")
	if d, err := echo(500 * time.Millisecond); err == nil {
		t.Errorf("an answer after %v although all is dropped", d)
	}
}
