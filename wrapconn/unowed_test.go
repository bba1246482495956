package wrapconn

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// reports collects them.
type reports struct {
	mu   sync.Mutex
	list []*Report
}

func (r *reports) add(_ context.Context, got *Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, got)
}

func (r *reports) all() []*Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list
}

// answered is a guarded connection on which an operation is under way that has
// got its whole answer, and the server's end. It must run in a bubble of synctest.
func answered(t *testing.T, opts Options) (*Conn, net.Conn, *reports) {
	t.Helper()
	a, server := net.Pipe()
	t.Cleanup(func() { _ = a.Close(); _ = server.Close() })
	told := &reports{}
	opts.OnReport = told.add
	c := New(a, opts)
	time.Sleep(time.Millisecond) // in a bubble: a time of 0 is one that is not known
	if _, err := c.Begin(t.Context(), OpQuery); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<12)
	for _, s := range append(loginSegments(), selectOne().parts...) {
		from, to := net.Conn(c), server
		if s.dir == session.FromServer {
			from, to = server, c
		}
		written := make(chan struct{})
		go func() {
			defer close(written)
			_, _ = from.Write(s.bytes)
		}()
		for n := 0; n < len(s.bytes); {
			m, err := to.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
		<-written
	}
	return c, server, told
}

// bubble is t.Run with a clock of its own, on which the second passes at once.
func bubble(t *testing.T, name string, test func(*testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// Fault 4.7: a read to which nothing is owed is shown while it lasts, is told
// after a second, and in Enforce mode ends.
func TestFault4_07(t *testing.T) {
	bubble(t, "enforce", func(t *testing.T) {
		c, _, told := answered(t, Options{Operations: true})
		began := time.Now()
		shown := make(chan time.Duration, 1)
		time.AfterFunc(unowedHolds/2, func() { shown <- c.Snapshot().NothingDue })
		n, err := c.Read(make([]byte, 10))
		var pe *ProtocolError
		if n != 0 || !errors.As(err, &pe) || !errors.Is(err, os.ErrDeadlineExceeded) || pe.Report.Cause.Slug != "read_nothing_due" {
			t.Fatalf("%d, %v", n, err)
		}
		if d := time.Since(began); d != unowedHolds {
			t.Errorf("after %s", d)
		}
		if d := <-shown; d != unowedHolds/2 {
			t.Errorf("shown: %s", d)
		}
		r := pe.Report
		if r.Cause.Executed != cause.ExecutedYes || r.Cause.RetrySafe || r.Evidence.NothingDue != unowedHolds || r.Evidence.AnswerAge < r.Evidence.NothingDue ||
			r.Owner == nil || c.Err() == nil || c.Snapshot().NothingDue != 0 {
			t.Errorf("%+v, %+v", r.Cause, r.Evidence)
		}
		if all := told.all(); len(all) != 1 {
			t.Errorf("%d reports", len(all))
		}
	})
	bubble(t, "behind an ERR", func(t *testing.T) {
		c, _, told := answered(t, Options{Operations: true})
		c.Refused()
		began := time.Now()
		_, err := c.Read(make([]byte, 10))
		if d := time.Since(began); d != unowedMoment || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %s: %v", d, err)
		}
		if all := told.all(); len(all) != 1 || all[0].Cause.Slug != "read_nothing_due" || all[0].Evidence.NothingDue != unowedMoment {
			t.Errorf("%v", all)
		}
	})
	bubble(t, "behind an ERR, and the server says goodbye", func(t *testing.T) {
		c, server, told := answered(t, Options{Operations: true})
		c.Refused()
		bye := mysqltest.Packet(0, mysqltest.ERRPayload(4031, "HY000", "inactivity"))
		go func() { _, _ = server.Write(bye) }()
		if n, err := c.Read(make([]byte, 100)); n != len(bye) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if all := told.all(); len(all) != 1 || all[0].Cause.Slug != "idle_timeout" {
			t.Errorf("%v", all)
		}
	})
	bubble(t, "behind an ERR, the next command", func(t *testing.T) {
		c, server, told := answered(t, Options{Operations: true})
		c.Refused()
		ok := mysqltest.Packet(1, mysqltest.OKPayload(0, 0, 2, 0))
		go func() {
			_, _ = server.Read(make([]byte, 100))
			time.Sleep(unowedHolds / 2)
			_, _ = server.Write(ok)
		}()
		if _, err := c.Write(mysqltest.Packet(0, []byte("\x03SELECT SLEEP(2)"))); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 100)); n != len(ok) || err != nil || len(told.all()) != 0 {
			t.Errorf("%d, %v, %v", n, err, told.all())
		}
		if c.due.Load()&refused != 0 {
			t.Error("the ERR is still held against the next answer")
		}
	})
	bubble(t, "observe", func(t *testing.T) {
		c, server, told := answered(t, Options{Operations: true, Mode: Observe})
		time.AfterFunc(unowedHolds*3/2, func() { _, _ = server.Write([]byte{1}) })
		if n, err := c.Read(make([]byte, 10)); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if all := told.all(); len(all) != 1 || all[0].Cause.Slug != "read_nothing_due" || c.Err() != nil {
			t.Errorf("%v, %v", all, c.Err())
		}
	})
	bubble(t, "a limit that is over sooner", func(t *testing.T) {
		c, _, told := answered(t, Options{Operations: true})
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if all := told.all(); len(all) != 1 || all[0].Cause.Slug != "read_nothing_due" || all[0].Evidence.Stream != cause.StreamTimeout {
			t.Errorf("%v", all)
		}
	})
	bubble(t, "closed by this side", func(t *testing.T) {
		c, _, told := answered(t, Options{Operations: true})
		time.AfterFunc(50*time.Millisecond, func() { _ = c.Close() })
		if _, err := c.Read(make([]byte, 10)); err == nil {
			t.Error("no error")
		}
		if all := told.all(); len(all) != 1 || all[0].Cause.Slug != "read_nothing_due" {
			t.Errorf("%v", all)
		}
	})
	bubble(t, "a reader of its own", func(t *testing.T) {
		c, server, told := answered(t, Options{})
		time.AfterFunc(unowedHolds*3/2, func() { _ = server.Close() })
		if _, err := c.Read(make([]byte, 10)); err == nil {
			t.Error("no error")
		}
		if all := told.all(); len(all) != 0 {
			t.Errorf("%v", all)
		}
	})
	bubble(t, "what is due", func(t *testing.T) {
		c, server, told := answered(t, Options{Operations: true})
		ok := mysqltest.Packet(1, mysqltest.OKPayload(0, 0, 2, 0))
		go func() {
			_, _ = server.Read(make([]byte, 100))
			time.Sleep(unowedHolds * 3 / 2)
			_, _ = server.Write(ok)
		}()
		if _, err := c.Write(mysqltest.Packet(0, []byte("\x03SELECT SLEEP(2)"))); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 100)); n != len(ok) || err != nil || len(told.all()) != 0 || c.Snapshot().NothingDue != 0 {
			t.Errorf("%d, %v, %v", n, err, told.all())
		}
	})
}
