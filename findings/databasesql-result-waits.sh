#!/usr/bin/env bash
# databasesql-result-waits.sh: in Go's database/sql, Result.LastInsertId and RowsAffected can wait for somebody else's query. One expects
# them to return at once, for Exec is over and the numbers came with its answer. But both take the lock of the connection that Exec
# ran on, and that connection went back to the pool when Exec returned: if another goroutine's query runs on it by then, they wait
# until that query has ended, without regard to the context that Exec had. The smaller and busier the pool, the likelier.
#
# An INSERT then seems to hang although the server answered long ago, in a span that the application ends after LastInsertId the
# INSERT seems slow, and a goroutine profile shows it in sync.(*Mutex).Lock below driverResult.LastInsertId. What helps: Exec in a
# sql.Tx or on a sql.Conn, and the numbers read before it is given back.
#
# Run with Go 1.26.8, the driver go-sqlmock v1.5.2 and a pool of one connection. Fails if it is otherwise. Needs Go and the module
# proxy; connects to nothing. Output seen: the line at the end of this file.
set -euo pipefail
dir=$(mktemp -d -t finding.XXXXXX)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod
cat >main.go <<'GO'
package main

import (
	"database/sql/driver"
	"fmt"
	"time"

	sqlmock "github.com/DATA-DOG/go-sqlmock"
)

type slow struct{ began, end chan struct{} } // an argument that the driver compares for as long as we want

func (s slow) Match(driver.Value) bool {
	close(s.began)
	<-s.end
	return true
}

func main() {
	db, mock, err := sqlmock.New()
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(1)
	query := slow{make(chan struct{}), make(chan struct{})}
	mock.ExpectExec("INSERT").WillReturnResult(sqlmock.NewResult(7, 1))
	mock.ExpectQuery("SELECT").WithArgs(query).WillReturnRows(sqlmock.NewRows([]string{"a"}).AddRow(1))

	result, err := db.Exec("INSERT INTO t VALUES (1)")
	if err != nil {
		panic(err)
	}
	go func() {
		rows, err := db.Query("SELECT a FROM t WHERE a = ?", 1)
		if err != nil {
			panic(err)
		}
		rows.Close()
	}()
	<-query.began
	id := make(chan int64)
	go func() {
		n, _ := result.LastInsertId()
		id <- n
	}()
	select {
	case <-id:
		fmt.Print("LastInsertId does not wait for the query")
	case <-time.After(3 * time.Second):
		close(query.end)
		fmt.Print("LastInsertId waits 3 s while a query runs; when that ends it says ", <-id)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/DATA-DOG/go-sqlmock@v1.5.2 >log 2>&1 || { cat log; exit 1; }
out=$(go run .)
printf '%s: %s\n' "$(go env GOVERSION)" "$out"
[ "$out" = 'LastInsertId waits 3 s while a query runs; when that ends it says 7' ] || {
  echo 'that has changed' >&2
  exit 1
}
