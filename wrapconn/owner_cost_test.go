package wrapconn_test

import (
	"context"
	"net"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// ready is a guarded connection that is logged in.
func ready(t testing.TB, opts wrapconn.Options) *wrapconn.Conn {
	t.Helper()
	s := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}))
	inner, err := net.Dial(s.Net, s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	c := wrapconn.New(inner, opts)
	t.Cleanup(func() { _ = c.Close() })
	nc := c.NetConn()
	if _, err := c.Begin(context.Background(), wrapconn.OpConnect); err != nil {
		t.Fatal(err)
	}
	defer c.End(false)
	b := make([]byte, 512)
	if _, err := nc.Read(b); err != nil {
		t.Fatal(err)
	}
	login := make([]byte, 40)
	caps := uint32(mysqltest.DefaultCapabilities)
	login[0], login[1], login[2], login[3] = byte(caps), byte(caps>>8), byte(caps>>16), byte(caps>>24)
	if _, err := nc.Write(mysqltest.Packet(1, login)); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Read(b); err != nil {
		t.Fatal(err)
	}
	if !c.Idle() {
		t.Fatal("the login is not over")
	}
	return c
}

func operation(tb testing.TB, c *wrapconn.Conn, ctx context.Context) {
	if _, err := c.Begin(ctx, wrapconn.OpQuery); err != nil {
		tb.Fatal(err)
	}
	c.End(false)
}

func leased(tb testing.TB, c *wrapconn.Conn, ctx context.Context) {
	if _, err := c.Begin(ctx, wrapconn.OpQuery); err != nil {
		tb.Fatal(err)
	}
	c.End(true)
	if _, err := c.BeginLeased(ctx, wrapconn.OpRowsClose); err != nil {
		tb.Fatal(err)
	}
	c.EndLeased(true)
}

// TestOwnerAllocatesNothing holds the whole way through an operation and the look before a command to no allocation.
func TestOwnerAllocatesNothing(t *testing.T) {
	ctx := t.Context()
	for _, sites := range []bool{false, true} {
		c := ready(t, wrapconn.Options{CallSites: sites, Operations: true})
		for name, use := range map[string]func(){
			"operation": func() { operation(t, c, ctx) },
			"lease":     func() { leased(t, c, ctx) },
			"dropped":   func() { _, _ = c.Begin(ctx, wrapconn.OpQuery); c.End(true); c.Drop() },
			"check": func() {
				if err := c.Check(); err != nil {
					t.Fatal(err)
				}
			},
			"after an operation": func() {
				if !c.Idle() || c.Err() != nil || c.Take() != nil || c.Suspect() != nil || c.CutShort() {
					t.Fatal("not idle")
				}
			},
		} {
			if n := testing.AllocsPerRun(200, use); n != 0 {
				t.Errorf("%s, call sites %t: %v allocations", name, sites, n)
			}
		}
	}
}

func BenchmarkOperation(b *testing.B) {
	for name, sites := range map[string]bool{"plain": false, "call sites": true} {
		b.Run(name, func(b *testing.B) {
			c := ready(b, wrapconn.Options{CallSites: sites, Operations: true})
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				operation(b, c, ctx)
			}
		})
	}
}

func BenchmarkLease(b *testing.B) {
	c := ready(b, wrapconn.Options{Operations: true})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		leased(b, c, ctx)
	}
}

func BenchmarkCheck(b *testing.B) {
	c := ready(b, wrapconn.Options{Operations: true})
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Check(); err != nil {
			b.Fatal(err)
		}
	}
}
