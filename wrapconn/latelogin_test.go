package wrapconn_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// TestGreetingLayAtDeadline: a process that sleeps past the deadline of its context finds the greeting together with the end of its own limit. The
// server is not one that never greeted. The driver has closed the connection by then, or has not.
func TestGreetingLayAtDeadline(t *testing.T) {
	for _, closed := range []bool{false, true} {
		for _, greets := range []bool{true, false} {
			t.Run(fmt.Sprintf("closed=%t greets=%t", closed, greets), func(t *testing.T) {
				t.Parallel()
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				client, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				server, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer server.Close()
				c := wrapconn.New(client, wrapconn.Options{Operations: true})
				// That is told of a connection that is older than a second: the context is the younger one.
				ctx, cancel := context.WithTimeout(t.Context(), 1100*time.Millisecond)
				defer cancel()
				if taken, err := c.Begin(ctx, wrapconn.OpConnect); !taken {
					t.Fatal(err)
				}
				if greets {
					if _, err := server.Write([]byte("\x4a\x00\x00\x00\x0a9.7.4\x00")); err != nil {
						t.Fatal(err)
					}
					kit.AwaitReadable(client.(*net.TCPConn), 10*time.Second)
				}
				<-ctx.Done()
				if closed {
					_ = c.Close()
				}
				c.DeadlineExceeded(ctx.Err())
				r := c.Take()
				want := "no_greeting"
				if greets {
					want = "read_too_late"
				}
				if r == nil || string(r.Cause.Slug) != want {
					t.Errorf("%+v, want %s", r, want)
				}
			})
		}
	}
}
