//go:build linux && !386 && !s390x

package testimony

import (
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func ask(t *testing.T, c syscall.Conn) cause.Transport {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return Transport(raw)
}

// wait asks until what is said is as it should be in the end.
func wait(t *testing.T, c syscall.Conn, ok func(cause.Transport) bool) cause.Transport {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) { // the kernel counts when it likes
		got := ask(t, c)
		if ok(got) {
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("it stays at: %s", got.String())
		}
	}
}

// TestTransport: what is said of a socket in each of the ways in which it ends.
func TestTransport(t *testing.T) {
	hundred := make([]byte, 100)
	t.Run("silent", func(t *testing.T) {
		c, _ := pair(t)
		c.Write(hundred)
		got := wait(t, c, func(x cause.Transport) bool { return x.Acked == 100 })
		if got.Delivery() != cause.Delivered || got.Written != 100 || got.LeastRTT <= 0 || got.State != cause.TCPEstablished {
			t.Errorf("%+v", got)
		}
	})
	t.Run("reset after the command was read", func(t *testing.T) {
		c, s := pair(t)
		c.Write(hundred)
		wait(t, c, func(x cause.Transport) bool { return x.Acked == 100 })
		s.SetLinger(0)
		s.Close()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("no reset")
		}
		if got := ask(t, c); got.Acked != 100 || got.Written != 100 || got.State != cause.TCPClosed {
			t.Errorf("the counters must survive a reset: %+v", got)
		}
	})
	t.Run("closed before the write", func(t *testing.T) {
		c, s := pair(t)
		s.Close()
		wait(t, c, func(x cause.Transport) bool { return x.State == cause.TCPCloseWait })
		c.Write(hundred)
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("no end")
		}
		if got := ask(t, c); got.Acked != 0 || got.Written != 100 || got.Delivery() != cause.DeliveryUnknown {
			t.Errorf("%+v", got)
		}
	})
	t.Run("no room", func(t *testing.T) {
		c, _ := pair(t)
		c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		n, err := c.Write(make([]byte, 64<<20))
		if err == nil {
			t.Fatalf("%d bytes have found room", n)
		}
		got := ask(t, c)
		if got.Delivery() != cause.NoRoom || got.NotSent == 0 || got.Written != uint64(n) {
			t.Errorf("%d bytes written, %+v", n, got)
		}
	})
	t.Run("closed by this side", func(t *testing.T) {
		c, _ := pair(t)
		raw, _ := c.SyscallConn()
		c.Close()
		if got := Transport(raw); got != (cause.Transport{}) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("unix", func(t *testing.T) {
		l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := ask(t, c.(*net.UnixConn)); got != (cause.Transport{}) {
			t.Errorf("a unix socket speaks TCP: %+v", got)
		}
	})
	if got := Transport(nil); got != (cause.Transport{}) {
		t.Errorf("%+v", got)
	}
}

// TestArrival: what came before this process looked is as old as it is.
func TestArrival(t *testing.T) {
	const late = 300 * time.Millisecond
	c, s := pair(t)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if got := Arrived(raw); !got.Known || got.Data || got.Ended || got.LeastRTT <= 0 {
		t.Errorf("nothing has come: %+v", got)
	}
	sent := time.Now()
	if _, err := s.Write([]byte("greeting")); err != nil {
		t.Fatal(err)
	}
	wait(t, c, func(cause.Transport) bool { return time.Since(sent) > late && Arrived(raw).Data })
	got, most := Arrived(raw), time.Since(sent)+20*time.Millisecond // its clock ticks
	if got.Since < late/2 || got.Since > most || got.Made < got.Since || got.Ended {
		t.Errorf("%v after it was sent: %+v", most, got)
	}
	s.Close()
	wait(t, c, func(x cause.Transport) bool { return x.State != cause.TCPEstablished })
	if got := Arrived(raw); !got.Ended || !got.Data || got.Made < late/2 || got.Since > got.Made {
		t.Errorf("ended: %+v", got)
	}
	if got := Arrived(nil); got != (Arrival{}) {
		t.Errorf("%+v", got)
	}
}

// TestTransportOfAnOccupiedSocket: it does not wait for a Read that waits.
func TestTransportOfAnOccupiedSocket(t *testing.T) {
	c, _ := pair(t)
	go func() { _, _ = c.Read(make([]byte, 1)) }()
	for stacks := make([]byte, 1<<16); !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "[IO wait"); {
		runtime.Gosched()
	}
	start := time.Now()
	if got := ask(t, c); !got.Known {
		t.Errorf("%+v", got)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("it took %v", d)
	}
}

func BenchmarkTransport(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	raw, _ := c.(*net.TCPConn).SyscallConn()
	b.ReportAllocs()
	for b.Loop() {
		Transport(raw)
	}
}
