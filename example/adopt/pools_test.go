package adopt

import (
	"database/sql"
	"testing"

	"github.com/DATA-DOG/go-txdb"
	uppermysql "github.com/upper/db/v4/adapter/mysql"
)

func TestTxdb(t *testing.T) {
	txdb.Register("txdb", "mysql-seqguard", server(t).DSN(""))
	guarded(t, func() error {
		db, err := sql.Open("txdb", t.Name())
		if err != nil {
			return err
		}
		defer db.Close()
		var a answer
		err = db.QueryRowContext(ctx(t), question).Scan(&a.N)
		a.check(t)
		return err
	})
}

func TestUpper(t *testing.T) {
	guarded(t, func() error {
		session, err := uppermysql.New(open(t, "parseTime=true"))
		if err != nil {
			return err
		}
		defer session.Close()
		row, err := session.SQL().QueryRow(question)
		if err != nil {
			return err
		}
		var a answer
		err = row.Scan(&a.N)
		a.check(t)
		return err
	})
}
