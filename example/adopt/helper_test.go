package adopt

import (
	"context"
	"database/sql"
	"testing"
	"time"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) { kit.Main(m) }

func server(t *testing.T) *mysqltest.Instance { return mysqltest.Shared(t, "mariadb1011") }

func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return c
}

// open is the line that most libraries need: they take a *sql.DB.
func open(t *testing.T, params string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql-seqguard", server(t).DSN(params))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// guarded runs use and fails the test if it opened no guarded connection, or if
// there is a report.
func guarded(t *testing.T, use func() error) {
	t.Helper()
	before := seqguard.Stats()
	if err := use(); err != nil {
		t.Fatal(err)
	}
	after := seqguard.Stats()
	if after.Connections == before.Connections {
		t.Error("no connection was guarded")
	}
	if after.Reports != before.Reports || after.Untracked != before.Untracked || after.Opaque != before.Opaque {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// answer is what each library is asked for.
type answer struct {
	N int `db:"n" gorm:"column:n" bun:"n" xorm:"n"`
}

const question = "SELECT 42 AS n"

func (a answer) check(t *testing.T) {
	t.Helper()
	if a.N != 42 {
		t.Errorf("the answer is %d", a.N)
	}
}
