package debug_test

import (
	"database/sql"
	"strings"
	"testing"

	_ "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) { kit.Main(m) }

// Connections to real servers: through TLS and compression, and with a TLS that
// is not looked into.
func TestRealServer(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, s *mysqltest.Instance) {
		version, _, _ := strings.Cut(s.Version, "-")
		for params, want := range map[string][]string{
			"tls=skip-verify&compress=true": {
				"TLS 1.3 <small>visible</small> <small>compressed</small>", `title="TLS_`, ">ready</span>", "COM_PING",
			},
			"tls=skip-verify&seqguardTLS=opaque": {
				` <small title="switched off by option">opaque</small>`, ">opaque</span>", "SSLRequest",
			},
		} {
			db, err := sql.Open("mysql-seqguard", s.DSN(params))
			if err != nil {
				t.Fatal(err)
			}
			if err := db.PingContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			contains(t, get(t, of(s.Addr), "").Body.String(), append(want, `title="database gotest"`, version)...)
			_ = db.Close()
		}
	})
}
