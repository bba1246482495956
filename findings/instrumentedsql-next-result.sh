#!/usr/bin/env bash
# instrumentedsql-next-result.sh: behind github.com/luna-duclos/instrumentedsql the second result of a CALL or of several statements
# is gone without an error. One expects a wrapper for tracing to change nothing. Its Rows lack driver.RowsNextResultSet, so
# rows.NextResultSet() says that there is no more, and rows.Err() that all is well. The same code without the wrapper gets both.
# To somebody who looks at the connection, the server has sent everything.
#
# Run with v1.1.3, its newest; the driver below it is go-sqlmock v1.5.2. Fails if it is otherwise. Needs Go and the module proxy;
# connects to nothing. Output seen: the two lines at the end of this file.
set -euo pipefail
version=${1:-v1.1.3}
dir=$(mktemp -d -t finding.XXXXXX)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod
cat >main.go <<'GO'
package main

import (
	"database/sql"
	"fmt"

	sqlmock "github.com/DATA-DOG/go-sqlmock"
	"github.com/luna-duclos/instrumentedsql"
)

func main() {
	plain, mock, err := sqlmock.NewWithDSN("finding")
	if err != nil {
		panic(err)
	}
	sql.Register("instrumented", instrumentedsql.WrapDriver(plain.Driver()))
	wrapped, err := sql.Open("instrumented", "finding")
	if err != nil {
		panic(err)
	}
	for _, try := range []struct {
		name string
		db   *sql.DB
	}{{"plain", plain}, {"wrapped", wrapped}} {
		mock.ExpectQuery("CALL").WillReturnRows(sqlmock.NewRows([]string{"a"}).AddRow("first"), sqlmock.NewRows([]string{"b"}).AddRow("second"))
		rows, err := try.db.Query("CALL p()")
		if err != nil {
			panic(err)
		}
		fmt.Print(try.name, ":")
		for more := true; more; more = rows.NextResultSet() {
			for rows.Next() {
				var value string
				if err := rows.Scan(&value); err != nil {
					panic(err)
				}
				fmt.Print(" ", value)
			}
		}
		fmt.Println(", error", rows.Err())
	}
}
GO
go mod init finding >/dev/null 2>&1
go get "github.com/luna-duclos/instrumentedsql@$version" github.com/DATA-DOG/go-sqlmock@v1.5.2 >log 2>&1 || { cat log; exit 1; }
out=$(go run .)
printf 'instrumentedsql %s\n%s\n' "$version" "$out"
[ "$out" = 'plain: first second, error <nil>
wrapped: first, error <nil>' ] || {
  echo 'that has changed' >&2
  exit 1
}
