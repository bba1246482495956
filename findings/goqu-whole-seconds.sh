#!/usr/bin/env bash
# goqu-whole-seconds.sh: goqu, which builds SQL for Go programs, cuts the fraction of a second off each time.Time that it writes into a
# statement for MySQL. One expects what the driver does with an argument: microseconds, as many as the column has. But
#
# - INSERT and UPDATE store whole seconds in a DATETIME(6);
# - a row's own time finds nothing, so an UPDATE … WHERE updated_at = (what was read) changes no row, without an error;
# - "the rows after the last one that I have" has the last one again, and every other one of that second.
#
# With Prepared(true) the same code is exact, for then the driver writes the times; and so it is with goqu's dialects for PostgreSQL and
# SQLite, which have nanoseconds. Whoever tests there, or turns Prepared on or off, gets other rows. The general log and a capture show
# the statements with their times.
#
# Run with github.com/doug-martin/goqu v9.19.0, its newest, go-sql-driver v1.10.1, Go 1.26.8 and MariaDB 10.11 of the cache
# (scripts/servers.sh). Its page on times speaks of the zone only, and no issue of it was found. Fails if it is otherwise. Needs Go and
# the module proxy. Output seen: the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=${1:-v9.19.0}
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-24008}
"$scripts/servers.sh" start mariadb1011 "$dir/server" "$port" >/dev/null
mkdir "$dir/program"
cd "$dir/program"
export GOWORK=off GOFLAGS=-mod=mod
cat >main.go <<'GO'
package main

import (
	"database/sql"
	"fmt"
	"os"
	"time"

	"github.com/doug-martin/goqu/v9"
	_ "github.com/doug-martin/goqu/v9/dialect/mysql"
	_ "github.com/go-sql-driver/mysql"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	db := must(sql.Open("mysql", os.Args[1]+"?parseTime=true"))
	must(db.Exec("CREATE TABLE orders (id INT PRIMARY KEY, changed DATETIME(6), state VARCHAR(9))"))
	changed := time.Date(2026, 11, 28, 12, 0, 0, 123456000, time.UTC)
	must(db.Exec("INSERT INTO orders VALUES (1, ?, 'open'), (2, ?, 'open')", changed.Add(-100*time.Millisecond), changed))
	for _, prepared := range []bool{false, true} {
		goqu.SetDefaultPrepared(prepared)
		orders := goqu.New("mysql", db)
		var after []int
		if err := orders.From("orders").Select("id").Where(goqu.C("changed").Gt(changed)).ScanVals(&after); err != nil {
			panic(err)
		}
		done := must(orders.Update("orders").Set(goqu.Record{"state": "paid"}).Where(goqu.Ex{"id": 2, "changed": changed}).Executor().Exec())
		must(orders.Insert("orders").Rows(goqu.Record{"id": 3, "changed": changed, "state": "new"}).Executor().Exec())
		var stored time.Time
		if err := db.QueryRow("SELECT changed FROM orders WHERE id = 3").Scan(&stored); err != nil {
			panic(err)
		}
		fmt.Printf("prepared %t: after the last: %v; rows updated: %d; %s stored as %s\n", prepared, after, must(done.RowsAffected()),
			changed.Format("15:04:05.000000"), stored.Format("15:04:05.000000"))
		must(db.Exec("DELETE FROM orders WHERE id = 3"))
	}
}
GO
{ go mod init finding && go get "github.com/doug-martin/goqu/v9@$version" github.com/go-sql-driver/mysql@v1.10.1; } >log 2>&1 || die "$(tail -5 log)"
out=$(go run . "gotest:secret@tcp(127.0.0.1:$port)/gotest" 2>&1) || die "$out"
say "goqu $version"
say "$out"
[ "$out" = 'prepared false: after the last: [1 2]; rows updated: 0; 12:00:00.123456 stored as 12:00:00.000000
prepared true: after the last: []; rows updated: 1; 12:00:00.123456 stored as 12:00:00.123456' ] || die 'that has changed'
