package mysqltest

import (
	"net"
	"os"
	"testing"
	"time"
)

// Accept listens on a free port of 127.0.0.1 until the end of the test and calls serve with each connection, on a goroutine of its own. A
// connection is closed when serve returns. It is for peers that are no script, nor a server.
func Accept(t testing.TB, serve func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				serve(c)
			}()
		}
	}()
	return l
}

// Length is how long a test goes on that can do so for any time: what the variable of the environment says, or usual, or short with
// -short.
func Length(t testing.TB, variable string, usual, short time.Duration) time.Duration {
	t.Helper()
	v := os.Getenv(variable)
	switch {
	case v != "":
		length, err := time.ParseDuration(v)
		if err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
		return length
	case testing.Short():
		return short
	}
	return usual
}
