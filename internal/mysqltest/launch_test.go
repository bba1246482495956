package mysqltest_test

import (
	"fmt"
	"net"
	"runtime"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) { mysqltest.Main(m) }

func TestForEachServer(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, i *mysqltest.Instance) {
		for _, dsn := range []string{i.DSN(""), i.DSN("tls=skip-verify"), i.RootDSN(""), i.DSNFor("tlsonly", "secret", "tls=skip-verify"), i.SocketDSN("")} {
			var version string
			if err := open(t, dsn).QueryRow("SELECT VERSION()").Scan(&version); err != nil {
				t.Errorf("%s: %v", dsn, err)
			}
			t.Logf("%s: %s, %s", dsn, version, i.Version)
		}
		if mysqltest.Shared(t, i.Name) != i && !i.External {
			t.Error("a second shared instance")
		}
	})
}

func TestPrivateInstance(t *testing.T) {
	i := mysqltest.Start(t, "mariadb1011", "--connect-timeout=7")
	connectTimeout := func() (n int) {
		t.Helper()
		if err := open(t, i.DSN("")).QueryRow("SELECT @@connect_timeout").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := connectTimeout(); n != 7 {
		t.Errorf("connect_timeout is %d", n)
	}
	i.Restart(t, "--connect-timeout=8")
	if n := connectTimeout(); n != 8 {
		t.Errorf("connect_timeout is %d after the restart", n)
	}
	i.Kill()
	if err := open(t, i.DSN("")).Ping(); err == nil {
		t.Error("it answers after Kill")
	}
	i.Restart(t)
	connectTimeout()
}

// A server that is down to be restarted has its port no more: another test binary would take it.
func TestFreePortIsNotGivenTwice(t *testing.T) {
	for range 3 {
		port, err := mysqltest.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		if sign, err := net.ListenPacket("udp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			_ = sign.Close()
			t.Errorf("another binary could take port %d", port)
		}
	}
}
