package wire_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// TestFIPS140 runs TestFIPS140Inside in processes in which Go's crypto allows
// itself only what FIPS 140-3 approves; FIPS140.md tells the results.
func TestFIPS140(t *testing.T) {
	for _, name := range mysqltest.Names {
		server := mysqltest.Shared(t, name)
		modes := []string{"on"}
		if server.Kind == mysqltest.MySQL {
			// The accounts of the MariaDB servers log in with SHA-1, which "only" forbids, with the plain driver too.
			modes = append(modes, "only")
		}
		for _, mode := range modes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				cmd := exec.Command(os.Args[0], "-test.run=^TestFIPS140Inside$", "-test.v")
				cmd.Env = append(os.Environ(), "GODEBUG=fips140="+mode, "SEQGUARD_FIPS_DSN="+server.DSN("tls=skip-verify"))
				out, err := cmd.CombinedOutput()
				t.Logf("%s", out)
				if err != nil || !strings.Contains(string(out), "--- PASS: TestFIPS140Inside") {
					t.Errorf("fips140=%s: %v", mode, err)
				}
			})
		}
	}
}

func TestFIPS140Inside(t *testing.T) {
	dsn := os.Getenv("SEQGUARD_FIPS_DSN")
	if dsn == "" {
		return // TestFIPS140 runs it with one
	}
	db, c := kit.Open(t, dsn, nil)
	visible(t, db, c, cause.TLSVisible)
	if _, err := db.ExecContext(context.Background(), "DO 1"); err != nil {
		t.Error(err)
	}
}
