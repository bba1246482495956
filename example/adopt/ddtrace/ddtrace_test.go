package ddtrace

import (
	"testing"

	sqltrace "github.com/DataDog/dd-trace-go/contrib/database/sql/v2"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) { kit.Main(m) }

func TestAbove(t *testing.T) {
	server := mysqltest.Shared(t, "mariadb1011")
	sqltrace.Register("mysql-seqguard", &seqguard.Driver{})
	db, err := sqltrace.Open("mysql-seqguard", server.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	before := seqguard.Stats()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT 42").Scan(&n); err != nil || n != 42 {
		t.Fatalf("%d, %v", n, err)
	}
	if after := seqguard.Stats(); after.Connections != before.Connections+1 || after.Reports != before.Reports {
		t.Errorf("before %+v, after %+v", before, after)
	}
}
