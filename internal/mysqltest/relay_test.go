package mysqltest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// errNumber is the number of the server's error; 0 if it is none.
func errNumber(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

func TestRelayPasses(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, i *mysqltest.Instance) {
		r := mysqltest.NewRelay(t, i.Addr)
		for _, params := range []string{"", "tls=skip-verify", "compress=true"} {
			var n int
			if err := open(t, r.DSN(params)).QueryRow("SELECT LENGTH(?)", make([]byte, 100_000)).Scan(&n); err != nil || n != 100_000 {
				t.Errorf("%q: %d, %v", params, n, err)
			}
		}
	})
}

func TestRelayBreaks(t *testing.T) {
	i := mysqltest.Shared(t, "mysql9")
	login := func(a mysqltest.Action) mysqltest.Rule { return mysqltest.OnPacket(mysqltest.FromClient, 0, a) }
	own := mysqltest.Packet(1, mysqltest.ERRPayload(1105, "HY000", "too many clients"))
	for name, c := range map[string]struct {
		rule mysqltest.Rule
		want uint16
	}{
		"renumbered login": {login(mysqltest.Action{Renum: true, Seq: 0}), 1156},
		"half-closed":      {login(mysqltest.Action{End: mysqltest.HalfClose}), 1158},
		"own answer":       {login(mysqltest.Action{Reply: own, Drop: true}), 1105},
		"cut":              {mysqltest.AtByte(mysqltest.FromServer, 10, mysqltest.Cut), 0},
		"reset":            {mysqltest.AtByte(mysqltest.FromServer, 90, mysqltest.ResetBoth), 0},
	} {
		t.Run(name, func(t *testing.T) {
			err := open(t, mysqltest.NewRelay(t, i.Addr, c.rule).DSN("timeout=5s")).Ping()
			if err == nil || errNumber(err) != c.want {
				t.Errorf("got %v, want error %d", err, c.want)
			}
		})
	}
	t.Run("held login", func(t *testing.T) {
		private := mysqltest.Start(t, "mysql9", "--connect-timeout=2")
		r := mysqltest.NewRelay(t, private.Addr, login(mysqltest.Action{Hold: 3 * time.Second}))
		if err := open(t, r.DSN("")).Ping(); errNumber(err) != 1159 {
			t.Errorf("got %v, want error 1159", err)
		}
	})
	t.Run("duplicate answer", func(t *testing.T) {
		ping := mysqltest.Once(func(p mysqltest.RelayPacket) bool {
			return !p.Raw && p.From == mysqltest.FromServer && p.Index > 2 && p.Seq() == 1
		}, mysqltest.Action{Copies: 1})
		db := open(t, mysqltest.NewRelay(t, i.Addr, ping).DSN(""))
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestJaeger(t *testing.T) {
	j := mysqltest.Jaeger(t)
	if j.OTLPHTTP == "" || j.Query == "" {
		t.Error("no addresses")
	}
}

func TestRouter(t *testing.T) {
	i := mysqltest.Shared(t, "mysql9")
	r := mysqltest.Router(t, i)
	for _, addr := range []string{r.Pass, r.Split, r.Share} {
		if err := open(t, "gotest:secret@tcp("+addr+")/gotest").Ping(); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
