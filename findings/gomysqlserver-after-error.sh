#!/usr/bin/env bash
# gomysqlserver-after-error.sh: dolthub's go-mysql-server, with which Go programs imitate MySQL in their tests, carries out what stands
# behind a failed statement. Of several statements in one COM_QUERY (multiStatements=true, a migration, a dump) MySQL and MariaDB stop at
# the first that fails; so one expects the third of three not to run if the second fails. Here the client gets the error, and the third
# has run all the same: its row is in the table, and its answer follows on the wire behind the ERR, where a MySQL client expects nothing
# until it asks again. A migration that leaves the database in a known state on MySQL leaves another one in the test.
#
# Run with github.com/dolthub/go-mysql-server v0.20.0, its in-memory database, and go-sql-driver v1.10.1. Fails if it is otherwise. Needs
# Go and the module proxy, and some minutes to compile. Output seen: the line at the end of this file.
set -euo pipefail
version=${1:-v0.20.0}
dir=$(mktemp -d -t finding.XXXXXX)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod
cat >main.go <<'GO'
package main

import (
	"database/sql"
	"fmt"
	"io"
	"net"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/go-sql-driver/mysql"
	"github.com/sirupsen/logrus"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	logrus.SetOutput(io.Discard)
	check(mysql.SetLogger(&mysql.NopLogger{}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	provider := memory.NewDBProvider(memory.NewDatabase("d"))
	engine := sqle.NewDefault(provider)
	editor := engine.Analyzer.Catalog.MySQLDb.Editor()
	engine.Analyzer.Catalog.MySQLDb.AddSuperUser(editor, "root", "%", "")
	editor.Close()
	s, err := server.NewServer(server.Config{Protocol: "tcp", Listener: l}, engine, gms.NewContext, memory.NewSessionBuilder(provider), nil)
	check(err)
	go func() { check(s.Start()) }()

	db, err := sql.Open("mysql", "root@tcp("+l.Addr().String()+")/d?multiStatements=true&timeout=60s&readTimeout=60s")
	check(err)
	_, err = db.Exec("CREATE TABLE t (a int)")
	check(err)
	_, err = db.Exec("INSERT INTO t VALUES (1); INSERT INTO missing VALUES (2); INSERT INTO t VALUES (3)")
	fmt.Printf("error: %v; rows:", err)
	db.SetMaxIdleConns(0) // a new connection for what follows
	rows, err := db.Query("SELECT a FROM t ORDER BY a")
	check(err)
	for rows.Next() {
		var a int
		check(rows.Scan(&a))
		fmt.Print(" ", a)
	}
	check(rows.Err())
	fmt.Println()
}
GO
go mod init finding >/dev/null 2>&1
go get "github.com/dolthub/go-mysql-server@$version" github.com/go-sql-driver/mysql@v1.10.1 >log 2>&1 || { cat log; exit 1; }
go mod tidy >log 2>&1 || { cat log; exit 1; }
out=$(go run . 2>log) || { cat log; exit 1; }
printf 'go-mysql-server %s: %s\n' "$version" "$out"
[ "$out" = 'error: Error 1146 (HY000): table not found: missing; rows: 1 3' ] || {
  echo 'that has changed' >&2
  exit 1
}
