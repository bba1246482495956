package doors

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
)

// A dial function that is registered for a network that package net knows wins over package net, as with the plain driver. To
// go past it would be to log in to another server.
func TestFault5_01BuiltInNetworks(t *testing.T) {
	server := answersOK(t)
	wrong := setTrap(t)
	for network, addr := range map[string]string{
		"tcp":  wrong.Addr().String(),
		"tcp4": wrong.Addr().String(),
		"unix": filepath.Join(t.TempDir(), "nobody.sock"),
	} {
		t.Run(network, func(t *testing.T) {
			var got []string
			registerDial(t, network, func(ctx context.Context, addr string) (net.Conn, error) {
				got = append(got, addr)
				var nd net.Dialer
				return nd.DialContext(ctx, server.Net, server.Addr)
			})
			dsn := "user:password@" + network + "(" + addr + ")/"
			guards(t, 1, func() {
				db := open(t, seqguard.DriverName, dsn)
				works(t, db)
				_ = db.Close()
			})
			works(t, open(t, "mysql", dsn))
			if len(got) != 2 || got[0] != addr || got[1] != addr {
				t.Errorf("dialed %q", got)
			}
			if n := wrong.hits.Load(); n != 0 {
				t.Errorf("%d connections to the address itself", n)
			}
		})
	}
	// The registry is asked at each connect: the network is package net's again.
	guards(t, 1, func() {
		db := open(t, seqguard.DriverName, server.DSN(""))
		works(t, db)
		_ = db.Close()
	})
}

// Networks that only mysql.RegisterDialContext or mysql.RegisterDial knows are guarded without a call changed.
func TestFault5_02NetworkOfTheDriver(t *testing.T) {
	server := answersOK(t)
	type key struct{}
	var value any
	registerDial(t, "doorstest", func(ctx context.Context, addr string) (net.Conn, error) {
		value = ctx.Value(key{})
		var nd net.Dialer
		return nd.DialContext(ctx, server.Net, server.Addr)
	})
	//lint:ignore SA1019 programs call it
	mysql.RegisterDial("doorsold", func(addr string) (net.Conn, error) { return net.Dial(server.Net, server.Addr) })
	t.Cleanup(func() { mysql.DeregisterDialContext("doorsold") })
	//lint:ignore SA1019 programs that were changed for it go on working
	seqguard.RegisterDialContext("doorsours", func(ctx context.Context, addr string) (net.Conn, error) {
		var nd net.Dialer
		return nd.DialContext(ctx, server.Net, server.Addr)
	})
	//lint:ignore SA1019 as above
	t.Cleanup(func() { seqguard.DeregisterDialContext("doorsours") })
	for _, network := range []string{"doorstest", "doorsold", "doorsours"} {
		t.Run(network, func(t *testing.T) {
			guards(t, 1, func() {
				db := open(t, seqguard.DriverName, "user:password@"+network+"(anywhere)/")
				if err := db.PingContext(context.WithValue(ctx(t), key{}, "v")); err != nil {
					t.Fatal(err)
				}
				_ = db.Close()
			})
		})
	}
	if value != "v" {
		t.Errorf("the dial function got the context's value %v", value)
	}
}

// What the dial function says, and what package net says of a network that nobody knows, is what the plain driver says.
func TestFault5_02Errors(t *testing.T) {
	broken := errors.New("no route")
	registerDial(t, "doorsbroken", func(context.Context, string) (net.Conn, error) { return nil, broken })
	for _, network := range []string{"doorsbroken", "doorsunknown"} {
		dsn := "user@" + network + "(anywhere)/"
		want := open(t, "mysql", dsn).PingContext(ctx(t))
		got := open(t, seqguard.DriverName, dsn).PingContext(ctx(t))
		if want == nil || got == nil || got.Error() != want.Error() || errors.Is(got, broken) != errors.Is(want, broken) {
			t.Errorf("%s: %v, want %v", network, got, want)
		}
		if strings.Contains(got.Error(), "seqguard") {
			t.Errorf("%s: %v", network, got)
		}
	}
}

// Config.DialFunc wins over the registry, as in the plain driver.
func TestDialFuncWins(t *testing.T) {
	server := answersOK(t)
	registerDial(t, "tcp", func(context.Context, string) (net.Conn, error) {
		t.Error("the registered function was called")
		return nil, net.ErrClosed
	})
	cfg, err := mysql.ParseDSN("user:password@tcp(db.internal:3306)/")
	if err != nil {
		t.Fatal(err)
	}
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network != "tcp" || addr != "db.internal:3306" {
			t.Errorf("dialed %s %s", network, addr)
		}
		var nd net.Dialer
		return nd.DialContext(ctx, server.Net, server.Addr)
	}
	connector, err := seqguard.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	guards(t, 1, func() {
		db := openDB(t, connector)
		works(t, db)
		_ = db.Close()
	})
}
