package main

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"strings"

	"github.com/go-sql-driver/mysql"
)

var loadData = scenario{
	name:  "load-data",
	title: "LOAD DATA LOCAL: the reader of the file fails after 10 lines.",
	lacks: func(ctx context.Context, db *sql.DB) string {
		var on bool
		if err := db.QueryRowContext(ctx, "SELECT @@local_infile").Scan(&on); err != nil || !on {
			return "the server does not allow LOAD DATA LOCAL (SET GLOBAL local_infile=1)"
		}
		return ""
	},
	run: importFile,
}

func importFile(ctx context.Context, u *use) error {
	table := "seqguard_demo_" + strings.ReplaceAll(u.driver, "-", "_")
	if _, err := u.db.ExecContext(ctx, "DROP TABLE IF EXISTS "+table); err != nil {
		return err
	}
	if _, err := u.db.ExecContext(ctx, "CREATE TABLE "+table+" (i INT)"); err != nil {
		return err
	}
	defer u.db.ExecContext(ctx, "DROP TABLE "+table) //nolint:errcheck // it is the demo's own
	mysql.RegisterReaderHandler(table, func() io.Reader {
		return io.MultiReader(strings.NewReader(strings.Repeat("1\n", 10)), broken{})
	})
	defer mysql.DeregisterReaderHandler(table)
	_, err := u.db.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::"+table+"' INTO TABLE "+table)
	var n int
	if e := u.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); e != nil {
		return e
	}
	u.note("rows in the table", n)
	return err
}

// broken is a file whose disk fails.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("disk read error") }
