package proxy

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// TestServerGoneBeforeTheEnd: a pool keeps connections whose server is gone until it needs
// them. The proxy does not wait for that when it is to end.
func TestServerGoneBeforeTheEnd(t *testing.T) {
	for _, goroutines := range []bool{false, true} {
		server := mysqltest.Accept(t, func(c net.Conn) { letIn(c) }).Addr().String() // and leaves
		l := listen(t)
		p := New(Config{Server: server, Grace: time.Hour})
		if goroutines {
			p.loops.stop()
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Serve(ctx, l) }()
		pooled := dialLogin(t, l.Addr().String())
		eventually(t, func() bool {
			list := p.list()
			if len(list) != 1 {
				return false
			}
			s := list[0]
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.talk.State().ServerEnd != cause.StreamOpen
		}, "the server does not leave")
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("goroutines %t: it waits for a connection that is over", goroutines)
			_ = p.Close()
			<-done
		}
		_ = pooled.Close()
	}
}
