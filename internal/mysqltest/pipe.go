package mysqltest

import (
	"net"
	"testing"
)

// Pipe plays a script on the far end of a connection in memory and returns the near one: for tests about the clock, in a bubble of
// testing/synctest, where a socket would stand still. When the script is over its end is closed.
func Pipe(t testing.TB, steps ...Step) net.Conn {
	client, server := net.Pipe()
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		defer server.Close()
		if err := Steps(steps...).Run(&Session{Conn: server, stop: stop, idle: func(bool) {}}); err != nil {
			t.Errorf("mysqltest: %v", err)
		}
	}()
	t.Cleanup(func() {
		close(stop)
		_ = client.Close()
		<-over
	})
	return client
}
